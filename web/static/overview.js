// The night at a glance: hypnogram, hypnodensity, and where we are. A slider for the keyboard.

import { INK, LETTERS, LINE, SOFT, clock, fit } from "./dom.js";

const LEFT = 42, RIGHT = 10, ROWS_TOP = 8, ROWS = 92, GAP = 14, DENSITY = 42, AXIS = 22;

export class Overview {
  /** `go(seconds)` is called when a person points somewhere. */
  constructor(canvas, about, go) {
    Object.assign(this, { canvas, about, go, result: null, duration: 1, starts: null });
    this.view = { from: 0, span: 30, epoch: 0 };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.point(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) this.point(event); });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(duration, starts, result) {
    Object.assign(this, { duration, starts, result });
    this.draw();
  }

  /** Say why there is no hypnogram yet. */
  wait(words) {
    this.words = words;
    this.draw();
  }

  look(view) {
    this.view = view;
    this.draw();
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    this.go(Math.min(1, Math.max(0, share)) * this.duration);
  }

  draw() {
    const { context: c, width, height } = fit(this.canvas);
    const x = (s) => LEFT + (s / this.duration) * (width - LEFT - RIGHT);
    c.font = LETTERS;
    c.textBaseline = "middle";
    if (this.result) {
      this.drawStages(c, x);
      this.drawDensity(c, x, width);
    } else {
      c.fillStyle = SOFT;
      c.textAlign = "center";
      c.fillText(this.words ?? "", (LEFT + width - RIGHT) / 2, ROWS_TOP + ROWS / 2);
    }
    this.drawAxis(c, x, height);
    this.drawWindow(c, x, height);
  }

  drawStages(c, x) {
    const { classes, stages, epoch_s: e, onset_s: onset, changed } = this.result;
    const rows = this.about.top_to_bottom.filter((name) => classes.includes(name));
    const step = ROWS / (rows.length - 1);
    const y = (code) => ROWS_TOP + rows.indexOf(classes[code]) * step;
    rows.forEach((name, i) => {
      c.fillStyle = SOFT;
      c.textAlign = "right";
      c.fillText(name, LEFT - 9, ROWS_TOP + i * step);
      c.fillStyle = LINE;
      c.fillRect(LEFT, ROWS_TOP + i * step, x(this.duration) - LEFT, 1);
    });
    c.strokeStyle = "#8a929e";
    c.lineWidth = 1;
    c.beginPath();
    for (let i = 1; i < stages.length; i++) {
      if (stages[i] === stages[i - 1] || stages[i] < 0 || stages[i - 1] < 0) continue;
      c.moveTo(x(onset + i * e), y(stages[i - 1]));
      c.lineTo(x(onset + i * e), y(stages[i]));
    }
    c.stroke();
    for (let i = 0, first = 0; i < stages.length; i++) {
      if (i + 1 < stages.length && stages[i + 1] === stages[first]) continue;
      if (stages[first] >= 0) {
        c.fillStyle = this.about.colours[classes[stages[first]]];
        const from = x(onset + first * e);
        c.fillRect(from, y(stages[first]) - 3, Math.max(1, x(onset + (i + 1) * e) - from), 6);
      }
      first = i + 1;
    }
    c.fillStyle = INK;
    for (const epoch of changed) c.fillRect(x(onset + epoch * e), ROWS_TOP + ROWS + 6, 1, 4);
    c.fillStyle = "#1d7a46";
    for (const epoch of this.result.rescored) {
      c.beginPath();
      c.arc(x(onset + (epoch + 0.5) * e), ROWS_TOP + ROWS + 8, 3, 0, 7);
      c.fill();
    }
  }

  drawDensity(c, x, width) {
    const { classes, proba, epoch_s: e, onset_s: onset } = this.result;
    if (!proba) return;
    const top = ROWS_TOP + ROWS + GAP;
    const order = [...this.about.top_to_bottom].reverse().filter((name) => classes.includes(name));
    const columns = Math.floor(width - LEFT - RIGHT);
    for (let column = 0; column < columns; column++) {
      const s = ((column + 0.5) / columns) * this.duration - onset;
      const last = Math.min(proba.length - 1, Math.floor((s + this.duration / columns / 2) / e));
      const first = Math.max(0, Math.min(last, Math.floor((s - this.duration / columns / 2) / e)));
      const rows = proba.slice(first, last + 1).filter((row) => row[0] !== null);
      let y = top + DENSITY;
      for (const name of rows.length ? order : []) {
        const k = classes.indexOf(name);
        const share = rows.reduce((sum, row) => sum + row[k], 0) / rows.length;
        c.fillStyle = this.about.colours[name];
        c.fillRect(LEFT + column, y - share * DENSITY, 1.2, share * DENSITY + 0.3);
        y -= share * DENSITY;
      }
    }
    c.fillStyle = SOFT;
    c.textAlign = "right";
    c.fillText("prob.", LEFT - 9, top + DENSITY / 2);
  }

  drawAxis(c, x, height) {
    const hours = this.duration / 3600;
    const step = hours > 3 ? 3600 : hours > 0.75 ? 900 : hours > 0.25 ? 300 : 60;
    const [h, m, s] = this.starts ? this.starts.split(":").map(Number) : [0, 0, 0];
    const offset = (h * 3600 + m * 60 + s) % step;
    c.fillStyle = SOFT;
    c.textAlign = "center";
    for (let t = (step - offset) % step; t <= this.duration; t += step) {
      c.fillRect(x(t), height - AXIS, 1, 4);
      const at = Math.min(Math.max(x(t), LEFT + 14), x(this.duration) - 14);
      c.fillText(clock(t, this.starts, false), at, height - AXIS + 13);
    }
  }

  drawWindow(c, x, height) {
    const { from, span } = this.view;
    const left = x(Math.max(0, from));
    const wide = Math.max(3, x(Math.min(this.duration, from + span)) - left);
    c.fillStyle = "rgb(28 74 138 / 12%)";
    if (span < 0.6 * this.duration) c.fillRect(left, 0, wide, height - AXIS); // else it only dims
    c.strokeStyle = "#1c4a8a";
    c.lineWidth = 1.5;
    c.strokeRect(left, 0.75, wide, height - AXIS - 1.5);
  }
}

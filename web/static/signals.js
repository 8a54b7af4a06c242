// Signals: fetched in stretches three windows wide, drawn from what is at hand, fetched again when
// a person comes near its end. The page never holds more than one stretch.

import { stretch } from "./api.js";
import { LETTERS, LINE, SOFT, clock, fit } from "./dom.js";

const LEFT = 96, RIGHT = 10, STRIP = 24, AXIS = 20;
const MARGIN = 1; // windows fetched on each side of the one in view
const COLOURS = { eeg: "#24364f", eog: "#2f6b57", emg: "#7d4a2d", ecg: "#a1202f" };
const HALF_LANE = { eeg: 75, eog: 150 }; // uV; other signals fill their lane with their own spread

export class Signals {
  /** `moved(view)` is called with every change of the window. */
  constructor(canvas, about, moved) {
    Object.assign(this, { canvas, about, moved, night: null, result: null, lanes: [] });
    this.view = { from: 0, span: 30, epoch: 0 };
    this.gain = 1;
    this.kept = null; // the stretch at hand: {from, to, span, keys, columns, pieces}
    this.wanted = null;
    this.listen();
    new ResizeObserver(() => { this.kept = null; this.refresh(); }).observe(canvas);
  }

  show(night, result) {
    if (this.night?.id !== night.id) Object.assign(this, { kept: null, lanes: [] });
    Object.assign(this, { night, result });
    this.refresh();
  }

  choose(lanes) {
    this.lanes = lanes;
    this.refresh();
  }

  get duration() { return this.night?.recording?.duration_s ?? 1; }

  /** Move the window: `from` seconds, `span` seconds; the epoch in hand stays within it. */
  move(from, span = this.view.span, epoch = null) {
    span = Math.min(Math.max(span, 2), Math.max(this.duration, 30));
    from = Math.min(Math.max(from, 0), Math.max(0, this.duration - span));
    const e = this.epochS, onset = this.result?.onset_s ?? 0, last = this.nEpochs - 1;
    let at = epoch ?? this.view.epoch;
    const [low, high] = [Math.ceil((from - onset) / e - 1e-6), Math.floor((from + span - onset) / e - 1e-6)];
    if (epoch === null && (at < low || at > Math.max(low, high - 1))) at = span < e ? Math.floor((from - onset) / e) : low;
    this.view = { from, span, epoch: Math.min(Math.max(at, 0), Math.max(0, last)) };
    this.moved(this.view);
    this.refresh();
  }

  /** Bring an epoch into view and take it in hand. */
  goTo(epoch) {
    epoch = Math.min(Math.max(epoch, 0), this.nEpochs - 1);
    const e = this.epochS, begin = (this.result?.onset_s ?? 0) + epoch * e, { from, span } = this.view;
    const inside = begin >= from - 1e-6 && begin + e <= from + span + 1e-6;
    this.move(inside ? from : begin - Math.max(0, span - e) / 2, span, epoch);
  }

  get epochS() { return this.result?.epoch_s ?? 30; }
  get nEpochs() { return this.result ? this.result.stages.length : Math.max(1, Math.floor(this.duration / 30)); }

  zoom(factor, aroundS = this.view.from + this.view.span / 2) {
    const span = Math.min(Math.max(this.view.span * factor, 2), Math.max(this.duration, 30));
    this.move(aroundS - ((aroundS - this.view.from) / this.view.span) * span, span);
  }

  grow(factor) {
    this.gain = Math.min(Math.max(this.gain * factor, 0.05), 50);
    this.draw();
  }

  listen() {
    let grip = null;
    const canvas = this.canvas;
    const seconds = (event) => this.view.from + ((event.clientX - canvas.getBoundingClientRect().left - LEFT) / this.plotWidth) * this.view.span;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      grip = { x: event.clientX, from: this.view.from, moved: false };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!grip) return;
      grip.moved ||= Math.abs(event.clientX - grip.x) > 4;
      if (!grip.moved) return;
      canvas.classList.add("dragging");
      this.move(grip.from - ((event.clientX - grip.x) / this.plotWidth) * this.view.span);
    });
    canvas.addEventListener("pointerup", (event) => {
      canvas.classList.remove("dragging");
      if (grip && !grip.moved) this.goTo(Math.floor((seconds(event) - (this.result?.onset_s ?? 0)) / this.epochS));
      grip = null;
    });
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, seconds(event));
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        this.move(this.view.from + ((event.deltaX || event.deltaY) / this.plotWidth) * this.view.span);
      } else return; // a plain wheel scrolls the page
      event.preventDefault();
    }, { passive: false });
  }

  get plotWidth() { return Math.max(1, this.canvas.clientWidth - LEFT - RIGHT); }

  /** Pixels of a stretch. */
  get columns() { return Math.min(4000, Math.round(this.plotWidth * (window.devicePixelRatio || 1)) * (1 + 2 * MARGIN)); }

  /** Draw what is at hand, and fetch what is missing. */
  refresh() {
    this.draw();
    const keys = this.lanes.map((lane) => lane.key);
    if (!this.night || !keys.length || this.canvas.clientWidth <= LEFT + RIGHT) return; // or hidden
    const { from, span } = this.view, kept = this.kept;
    const near = kept && kept.span === span && kept.columns === this.columns && String(kept.keys) === String(keys);
    const half = span / 2;
    const enough = near && Math.max(0, from - half) >= kept.from - 1e-6
      && Math.min(this.duration, from + span + half) <= kept.to + 1e-6;
    if (!enough) this.fetch(keys);
  }

  async fetch(keys) {
    const { from, span } = this.view, id = this.night.id;
    const want = { from: from - MARGIN * span, to: from + (1 + MARGIN) * span, span, keys, columns: this.columns };
    want.name = JSON.stringify([id, want]);
    if (this.wanted === want.name) return;
    this.wanted = want.name;
    const begun = performance.now();
    try {
      want.pieces = await stretch(id, keys, want.from, want.to, want.columns);
      this.answeredMs = performance.now() - begun;
      if (this.wanted === want.name) { this.kept = want; this.draw(); }
    } catch (error) {
      console.warn(error.message);
    }
    if (this.wanted === want.name) { this.wanted = null; }
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { context: c, width, height } = fit(this.canvas);
    c.font = LETTERS;
    c.textBaseline = "middle";
    if (!this.night?.recording) return;
    this.paintEpochs(c, height);
    const tall = (height - STRIP - AXIS) / Math.max(1, this.lanes.length);
    this.lanes.forEach((lane, i) => this.paintLane(c, lane, STRIP + (i + 0.5) * tall, tall / 2, width));
    this.paintAxis(c, width, height);
    if (!this.lanes.length) {
      c.fillStyle = SOFT;
      c.textAlign = "center";
      c.fillText(this.night.signals.length ? "No signal is chosen" : "The signals are being drawn …", width / 2, height / 2);
    }
  }

  x(seconds) { return LEFT + ((seconds - this.view.from) / this.view.span) * this.plotWidth; }

  paintEpochs(c, height) {
    const { from, span, epoch } = this.view, e = this.epochS, onset = this.result?.onset_s ?? 0;
    const first = Math.max(0, Math.floor((from - onset) / e));
    const last = Math.min(this.nEpochs - 1, Math.floor((from + span - onset) / e - 1e-6));
    const wide = (e / span) * this.plotWidth;
    c.save();
    c.beginPath();
    c.rect(LEFT, 0, this.plotWidth, height);
    c.clip();
    c.fillStyle = "#eef3fa";
    c.fillRect(this.x(onset + epoch * e), STRIP, wide, height - STRIP - AXIS);
    for (const [a, b] of this.night.recording.gaps) {
      c.fillStyle = "#ececec";
      c.fillRect(this.x(a), STRIP, this.x(b) - this.x(a), height - STRIP - AXIS);
    }
    for (let i = first; i <= last; i++) {
      const x = this.x(onset + i * e), code = this.result?.stages[i] ?? -1;
      const name = code >= 0 ? this.result.classes[code] : "";
      c.fillStyle = name ? this.about.colours[name] : "#e7eaee";
      c.fillRect(x, 0, wide > 6 ? wide - 1 : wide + 0.4, i === epoch ? 18 : 14);
      if (wide > 12) { c.fillStyle = "#cfd5dd"; c.fillRect(x, STRIP, 1, height - STRIP - AXIS); }
      if (wide > 26) {
        c.textAlign = "left";
        c.fillStyle = ["N3", "R", "D"].includes(name) ? "#fff" : "#1d2127";
        c.fillText(wide > 90 ? `${i + 1}  ${name}` : name, x + 5, i === epoch ? 9.5 : 7.5);
      }
    }
    if (span <= 40) {
      c.fillStyle = LINE;
      for (let s = Math.ceil(from); s < from + span; s++) c.fillRect(this.x(s), STRIP, 1, height - STRIP - AXIS);
    }
    c.restore();
  }

  paintLane(c, lane, middle, half, width) {
    const tallest = HALF_LANE[lane.kind] && lane.unit === "uV" ? HALF_LANE[lane.kind] : 1.6 * lane.spread;
    const scale = (half / tallest) * this.gain;
    c.textAlign = "right";
    c.fillStyle = "#23272e";
    c.fillText(lane.name, LEFT - 10, middle - 7, LEFT - 14);
    c.fillStyle = SOFT;
    const range = half / scale, milli = lane.unit === "uV" && range >= 1000;
    const unit = milli ? "mV" : lane.unit.replace("uV", "µV");
    c.fillText(unit ? `±${Number((milli ? range / 1000 : range).toPrecision(2))} ${unit}` : lane.detail, LEFT - 10, middle + 8, LEFT - 14);
    const piece = this.kept?.pieces?.[lane.key];
    if (!piece || !piece.count) return;
    c.save();
    c.beginPath();
    c.rect(LEFT, middle - half * 1.7, width - LEFT - RIGHT, half * 3.4);
    c.clip();
    c.strokeStyle = COLOURS[lane.kind] || "#4a4f59";
    c.lineWidth = 1;
    c.beginPath();
    const y = (n) => middle - (lane.centre + lane.step * n - (this.offset(lane))) * scale;
    if (piece.width === 1) this.traceSamples(c, piece, y);
    else this.traceColumns(c, piece, y);
    c.stroke();
    c.restore();
  }

  offset(lane) { return lane.filter === "as recorded" ? lane.centre : 0; }

  traceSamples(c, piece, y) {
    const first = Math.max(0, Math.floor((this.view.from - piece.from_s) / piece.step_s) - 1);
    const last = Math.min(piece.count - 1, Math.ceil((this.view.from + this.view.span - piece.from_s) / piece.step_s) + 1);
    for (let i = first; i <= last; i++) c.lineTo(this.x(piece.from_s + i * piece.step_s), y(piece.values[i]));
  }

  traceColumns(c, piece, y) {
    const n = piece.count / 2;
    const first = Math.max(0, Math.floor((this.view.from - piece.from_s) / piece.step_s) - 1);
    const last = Math.min(n - 1, Math.ceil((this.view.from + this.view.span - piece.from_s) / piece.step_s) + 1);
    for (let i = first; i <= last; i++) {
      const x = this.x(piece.from_s + (i + 0.5) * piece.step_s);
      const [low, high] = [y(piece.values[2 * i]), y(piece.values[2 * i + 1])];
      c.lineTo(x, high);
      c.lineTo(x, Math.max(low, high + 0.6));
    }
  }

  paintAxis(c, width, height) {
    const steps = [1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200];
    const step = steps.find((s) => (s / this.view.span) * this.plotWidth > 84) ?? 7200;
    const starts = this.night.recording.starts;
    const [h, m, s] = starts ? starts.split(":").map(Number) : [0, 0, 0];
    const offset = (h * 3600 + m * 60 + s) % step;
    c.fillStyle = SOFT;
    c.textAlign = "center";
    for (let t = Math.ceil((this.view.from + offset) / step) * step - offset; t <= this.view.from + this.view.span; t += step) {
      const x = this.x(t);
      c.fillRect(x, height - AXIS, 1, 4);
      if (x > LEFT + 24 && x < width - 30) c.fillText(clock(t, starts, step < 60), x, height - AXIS + 13);
    }
  }
}

// Scoring by hand: the queue of doubt, buttons for stages, undo and redo.

import { ask } from "./api.js";
import { $, clock, make, percent } from "./dom.js";

export class Review {
  /** `goTo(epoch)` shows an epoch; `changed(result)` is called after every change. */
  constructor(about, goTo, changed, refused) {
    Object.assign(this, { about, goTo, changed, refused, night: null, result: null, epoch: 0 });
    this.sending = Promise.resolve(); // changes are sent one after the other
    $("next").addEventListener("click", () => this.step(1));
    $("previous").addEventListener("click", () => this.step(-1));
    $("undo").addEventListener("click", () => this.send("POST", "undo"));
    $("redo").addEventListener("click", () => this.send("POST", "redo"));
  }

  show(night, result) {
    Object.assign(this, { night, result });
    $("stage-buttons").replaceChildren(...this.order().map((name) => {
      const button = make("button", { type: "button" }, name);
      button.addEventListener("click", () => this.score(name));
      return button;
    }));
    $("review-card").hidden = $("scoring").hidden = false;
    this.list();
    this.look(this.epoch);
  }

  order() { return ["W", "N1", "N2", "N3", "L", "D", "R"].filter((name) => this.result.classes.includes(name)); }

  /** Mark the epoch in hand. */
  look(epoch) {
    this.epoch = epoch;
    if (!this.result) return;
    const code = this.result.stages[epoch], name = this.result.classes[code];
    for (const button of $("stage-buttons").children) button.setAttribute("aria-pressed", String(button.textContent === name));
    $("scoring-label").textContent = `Epoch ${epoch + 1} is`;
    const row = this.result.proba?.[epoch];
    const sure = row && row[0] !== null ? this.result.classes.map((stage, k) => [stage, row[k]]).sort((a, b) => b[1] - a[1]).filter((pair) => pair[1] >= 0.01) : [];
    const raw = this.result.uncorrected?.[epoch];
    const before = raw !== undefined && raw !== this.result.given[epoch] ? `  ·  stager alone: ${this.result.classes[raw] ?? "?"}` : "";
    const hand = this.result.rescored.includes(epoch) ? "  ·  by hand" : "";
    $("proba").textContent = sure.map(([stage, p]) => `${stage} ${percent(p)}`).join("   ") + before + hand;
    for (const button of $("queue").querySelectorAll("button")) {
      const here = Number(button.dataset.epoch) === epoch;
      if (here) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      if (here) keepInSight(button.parentElement, $("queue"));
    }
  }

  /** Go to the next (1) or previous (-1) doubtful epoch, round and round; forward skips those scored by hand. */
  step(direction) {
    if (!this.result) return;
    const { queue, rescored } = this.result, n = queue.length;
    const at = queue.includes(this.epoch) ? queue.indexOf(this.epoch) : direction > 0 ? -1 : n;
    for (let i = 1; i <= n; i++) {
      const epoch = queue[(at + direction * i + 2 * n) % n];
      if (direction > 0 && rescored.includes(epoch)) continue;
      this.goTo(epoch);
      return;
    }
  }

  /** Score the epoch in hand and go on: in the queue to the next doubtful one, else to the next. */
  async score(stage) {
    const { epoch } = this, inQueue = this.result.queue.includes(epoch);
    await this.send("PUT", "stages", [{ epoch, stage }]);
    if (inQueue) this.step(1);
    else this.goTo(epoch + 1);
  }

  send(method, path, body) {
    this.sending = this.sending.then(async () => {
      try {
        const told = await ask(method, `/nights/${this.night.id}/${path}`, body);
        const { changes, ...summary } = told;
        Object.assign(this.result, summary);
        for (const change of changes) this.result.stages[change.epoch] = this.result.classes.indexOf(change.after);
        this.list();
        if (path !== "stages" && changes.length) this.goTo(changes[0].epoch);
        else this.look(this.epoch);
        this.changed(this.result, changes);
      } catch (error) { this.refused(error); }
    });
    return this.sending;
  }

  list() {
    const { queue, rescored, can_undo: undo, can_redo: redo } = this.result;
    $("undo").disabled = !undo;
    $("redo").disabled = !redo;
    const done = queue.filter((epoch) => rescored.includes(epoch)).length;
    $("review-text").textContent = queue.length
      ? `${done} of the ${queue.length} most doubtful epochs are scored by hand.`
      : "The stager gave no probabilities: there is no order of doubt.";
    const top = $("queue").scrollTop;
    $("queue").replaceChildren(...queue.map((epoch) => make("li", {}, this.entry(epoch))));
    $("queue").scrollTop = top;
    for (const bar of $("queue").querySelectorAll("canvas")) this.paint(bar);
    this.look(this.epoch);
  }

  entry(epoch) {
    const { classes, stages, given, proba, rescored, epoch_s: e, onset_s: onset } = this.result;
    const name = classes[stages[epoch]] ?? "?", was = classes[given[epoch]] ?? "?";
    const hand = rescored.includes(epoch);
    const bar = make("canvas", { width: 110, height: 10, ariaHidden: "true" });
    bar.dataset.epoch = epoch;
    const button = make("button", { type: "button", tabIndex: -1 },
      make("span", {}, String(epoch + 1)), make("span", { className: "was" }, clock(onset + epoch * e, this.night.recording.starts, true)),
      make("b", {}, hand ? `${name} ✓` : name), bar);
    button.ariaLabel = `Epoch ${epoch + 1}, ${name}${hand ? ` by hand, was ${was}` : `, ${percent(proba[epoch][given[epoch]])}`}`;
    button.dataset.epoch = epoch;
    button.addEventListener("click", () => this.goTo(epoch));
    return button;
  }

  paint(bar) {
    const { classes, proba } = this.result, row = proba[Number(bar.dataset.epoch)];
    const context = bar.getContext("2d");
    let x = 0;
    for (const name of this.about.top_to_bottom.filter((stage) => classes.includes(stage))) {
      const wide = row[classes.indexOf(name)] * bar.width;
      context.fillStyle = this.about.colours[name];
      context.fillRect(x, 0, wide, bar.height);
      x += wide;
    }
  }
}

/** Scroll a list so that an entry is seen, without moving the page. */
function keepInSight(entry, list) {
  const [top, bottom] = [entry.offsetTop - list.offsetTop, entry.offsetTop - list.offsetTop + entry.offsetHeight];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}

// Single keys. They can be switched off, and never reach into a field, a list or a dialog.

import { $ } from "./dom.js";

const STAGES = { w: "W", 1: "N1", 2: "N2", 3: "N3", r: "R", l: "L", d: "D" };

/** `signals` and `review` are called; `result()` returns what is on the screen, or null. */
export function listen(signals, review, result) {
  $("help-open").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", (event) => {
    if ($("help").open || $("night").hidden) return;
    const target = event.target;
    if (target.closest("select, textarea, input:not([type=checkbox])")) return;
    const act = event.ctrlKey || event.metaKey ? undoing(event, result()) : single(event, signals, review, result());
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function undoing(event, result) {
  if (!result) return null;
  const key = event.key.toLowerCase();
  if (key === "y" || (key === "z" && event.shiftKey)) return () => $("redo").click();
  return key === "z" ? () => $("undo").click() : null;
}

function single(event, signals, review, result) {
  if (event.altKey || !$("keys-on").checked) return null;
  const { key, shiftKey } = event, { from, span, epoch } = signals.view;
  const stage = STAGES[key.toLowerCase()];
  if (stage && result?.classes.includes(stage)) return () => review.score(stage);
  const moves = {
    ArrowLeft: () => (shiftKey ? signals.move(from - span) : signals.goTo(epoch - 1)),
    ArrowRight: () => (shiftKey ? signals.move(from + span) : signals.goTo(epoch + 1)),
    PageUp: () => signals.move(from - span), PageDown: () => signals.move(from + span),
    Home: () => signals.goTo(0), End: () => signals.goTo(signals.nEpochs - 1),
    ArrowUp: () => signals.grow(1.25), ArrowDown: () => signals.grow(0.8),
    "+": () => signals.zoom(0.5), "=": () => signals.zoom(0.5), "-": () => signals.zoom(2), "−": () => signals.zoom(2),
    n: () => review.step(1), p: () => review.step(-1), "?": () => $("help").showModal(),
  };
  const inList = event.target.closest("summary, .queue") && key.startsWith("Page");
  const act = moves[key.length === 1 ? key.toLowerCase() : key];
  return act && !inList ? act : null;
}

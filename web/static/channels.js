// Which channel of the file is which derivation: what was found, and what a person says instead.

import { $, make } from "./dom.js";

const FIRST = ["F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"]; // always listed
const NONE = "none";
const FEW = 4; // lanes; a recording of which fewer are known shows its first channels too

/** Fill the table; `change(target, text)` takes "#3", "#3-#9", "" (leave out) or null (as found). */
export function showChannels(night, change) {
  const montage = night.montage ?? [];
  const open = $("channels").querySelector("details")?.open ?? false;
  const rows = (wanted) => montage.filter(wanted).map((choice) => row(night, choice, change));
  const others = make("details", { open }, make("summary", {}, "Other derivations"));
  others.append(table(rows((choice) => !FIRST.includes(choice.target))));
  $("channels").replaceChildren(table(rows((choice) => FIRST.includes(choice.target))), others);
  $("automatic").hidden = !Object.keys(night.channels).length;
}

function table(rows) {
  const head = make("tr", {});
  for (const text of ["Wanted", "Channel", "minus"]) head.append(make("th", { scope: "col" }, text));
  return make("table", { className: "map" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

function row(night, choice, change) {
  const { target, plus, minus } = choice, byHand = target in night.channels;
  const first = select(night, plus, `Channel of ${target}`, "—");
  const second = select(night, minus, `Subtracted from ${target}`, "—");
  second.disabled = plus === null;
  const told = () => {
    if (first.value === NONE) return "";
    return second.value === NONE ? `#${first.value}` : `#${first.value}-#${second.value}`;
  };
  first.addEventListener("change", () => change(target, told()));
  second.addEventListener("change", () => change(target, told()));
  const kinds = [byHand ? "hand" : "", plus === null ? "absent" : ""].join(" ").trim();
  const name = make("th", { scope: "row", title: byHand ? `${choice.how}` : choice.how }, target);
  return make("tr", { className: kinds }, name, make("td", {}, first), make("td", {}, second));
}

function select(night, position, label, none) {
  const list = make("select", { ariaLabel: label });
  list.append(make("option", { value: NONE, selected: position === null }, none));
  for (const channel of night.recording.channels) {
    const text = `${channel.label || "(no label)"}  #${channel.position}`;
    const dead = Boolean(channel.dead);
    list.append(make("option", { value: channel.position, selected: channel.position === position, disabled: dead }, dead ? `${text} (dead)` : text));
  }
  return list;
}

/** Return the lanes a person may choose among: derivations found first, then the other channels. */
export function lanesOf(night) {
  const byKey = new Map(night.signals.map((signal) => [signal.key, signal]));
  const lanes = [], taken = new Set();
  for (const { target, plus, minus } of night.montage ?? []) {
    const key = plus === null ? "" : minus === null ? `${plus}` : `${plus}-${minus}`;
    const signal = byKey.get(key);
    if (!signal || taken.has(key)) continue;
    taken.add(key);
    const label = night.recording.channels[plus].label;
    lanes.push({ ...signal, name: target, detail: label, usual: FIRST.includes(target) });
  }
  for (const signal of night.signals) {
    if (taken.has(signal.key) || signal.key.includes("-")) continue;
    const label = night.recording.channels[Number(signal.key)].label;
    lanes.push({ ...signal, name: label, detail: `#${signal.key}`, usual: false });
  }
  for (const kind of ["eeg", "eog", "ecg"]) { // what else shows brain, eyes and heart
    const those = lanes.filter((lane) => lane.kind === kind);
    if (!those.some((lane) => lane.usual)) those.slice(0, 2).forEach((lane) => { lane.usual = true; });
  }
  if (lanes.filter((lane) => lane.usual).length < FEW) lanes.slice(0, 8).forEach((lane) => { lane.usual = true; });
  return lanes;
}

// The cards beside the signals: progress, alarms, sleep, files to take away, where it comes from.

import { $, make, number, percent } from "./dom.js";

const STEPS = [
  ["look", "open", "Open the file"], ["draw", "signals", "Draw the signals"],
  ["stage", "load", "Load the stager"], ["stage", "read", "Read the channels"], ["stage", "stage", "Stage"],
  ["stage", "correct", "Correct"], ["stage", "judge", "Judge"], ["stage", "write", "Write the report"],
];
const HEADLINES = { // as in the report
  tst_min: "Total sleep time", se_percent: "Sleep efficiency", sol_min: "Sleep onset latency",
  waso_min: "Wake after sleep onset", rem_latency_min: "REM latency", awakenings_per_h: "Awakenings",
};
const VERDICTS = { // as in the report
  "": "No alarm. Nothing in this night or its signals broke a limit.",
  note: "No warning. The notes say what to keep in mind.",
  warning: "Look before use: something broke a limit.",
  distrust: "Do not trust this result before a person has looked at the signals.",
};
const SAVED_AS = { csv: "CSV", edf: "EDF+", txt: "TXT", xlsx: "XLSX", json: "JSON" };

export const working = (job) => job && ["waiting", "working"].includes(job.state);

/** Show how far the jobs of a night are. */
export function showProgress(night) {
  const rows = [make("li", { className: "done" }, make("span", {}, "Upload"), seconds(night.upload_s))];
  for (const [name, step, words] of STEPS) {
    const job = night.jobs[name];
    if (!job) continue;
    const now = job.step.split(" ")[0] === step || (job.state === "waiting" && ["open", "load"].includes(step));
    const done = step in job.seconds;
    const detail = job.state === "waiting" ? "in the queue" : now ? job.step.split(" ").slice(1).join(" ") || "…" : "";
    const told = done && !now ? seconds(job.seconds[step]) : make("span", {}, detail);
    rows.push(make("li", { className: now ? "now" : done ? "done" : "" }, make("span", {}, words), told));
  }
  $("steps").replaceChildren(...rows);
  $("progress-card").hidden = !Object.values(night.jobs).some(working);
}

const seconds = (s) => make("span", {}, `${s.toFixed(1)} s`);

export function showAlarms(result) {
  const worst = result.alarms[0]?.severity ?? "";
  $("verdict").textContent = VERDICTS[worst];
  $("alarms").replaceChildren(...result.alarms.map((alarm) => make("li", { className: alarm.severity },
    make("b", {}, `${alarm.severity}: ${alarm.name.replaceAll("_", " ")}`), alarm.message,
    make("div", { className: "small" }, `${number(alarm.value)} ${alarm.unit}`.trim() + `, limit ${number(alarm.limit)} ${alarm.unit}`.trimEnd() + ` (${alarm.source})`))));
  $("alarms-card").hidden = false;
}

export function showStatistics(result, about) {
  const by = new Map(result.statistics.map((row) => [row.name, row]));
  const heads = Object.entries(HEADLINES).filter(([name]) => by.has(name)).map(([name, words]) => {
    const { value, unit, range } = by.get(name);
    const out = range && value !== null && (value < range[0] || value > range[1]);
    const text = `${number(value)} ${unit}${out ? " *" : ""}`;
    return make("div", {}, make("dt", {}, words), make("dd", { className: out ? "out" : "", title: out ? `usual ${number(range[0])} to ${number(range[1])}` : "" }, text));
  });
  $("headlines").replaceChildren(...heads);
  showShares(result, about);
  const rows = result.statistics.map(({ name, value, unit, text, range }) => make("tr", {},
    make("th", { scope: "row", title: text }, text.split(":")[0]),
    make("td", { className: "number" }, `${number(value)} ${unit}`),
    make("td", { className: "number small" }, range ? `${number(range[0])}–${number(range[1])}` : "")));
  const head = make("tr", {}, make("th", { scope: "col" }, "Statistic"), make("th", { scope: "col", className: "number" }, "Value"), make("th", { scope: "col", className: "number" }, "Usual"));
  $("statistics").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  $("ranges-source").textContent = `Usual: ${result.ranges_source} * outside of it.`;
  $("statistics-card").hidden = false;
}

function showShares({ stages, classes }, about) {
  const scored = stages.filter((code) => code >= 0).length || 1;
  const names = about.top_to_bottom.filter((name) => classes.includes(name));
  const bar = make("div", { className: "sharebar", ariaHidden: "true" }), text = make("div", { className: "sharetext" });
  for (const name of names) {
    const share = stages.filter((code) => classes[code] === name).length / scored;
    const part = make("span");
    Object.assign(part.style, { width: `${100 * share}%`, background: about.colours[name] });
    bar.append(part);
    text.append(make("span", {}, `${name} ${percent(share)}`));
  }
  $("shares").replaceChildren(bar, text);
}

export function showLegend(classes, about) {
  const names = about.top_to_bottom.filter((name) => classes.includes(name));
  $("legend").replaceChildren(...names.map((name) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = about.colours[name];
    return make("li", {}, swatch, name);
  }));
}

export function showTake(night, about) {
  const at = `/api/nights/${night.id}`;
  const report = make("a", { className: "button", href: `${at}/report.html`, target: "_blank", rel: "noopener" }, "Report");
  const links = about.exports.map((kind) => make("a", { className: "button", href: `${at}/hypnogram.${kind}`, download: "" }, SAVED_AS[kind] ?? kind));
  $("take").replaceChildren(report, make("a", { className: "button", href: `${at}/report.html?save=true`, download: "" }, "Save report"), ...links);
  $("show-file-name").checked = night.show_file_name;
  $("called").textContent = night.show_file_name
    ? `The report and the files are called “${night.title}”.`
    : `The report says “${night.title}”: the name of a file may name a person.`;
  $("take-card").hidden = false;
}

export function showOrigin({ facts }) {
  const licences = ["licence", "language_model_licence", "denoiser_licence"];
  const rows = { Stager: facts.stager.stager, Reference: facts.stager.reference, Licence: facts.stager.licence };
  rows.Correction = facts.correction.decoder && `${facts.correction.decoder}, ${facts.correction.language_model ?? facts.correction.denoiser}`;
  rows["Licence of the correction"] = licences.slice(1).map((key) => facts.correction[key]).find(Boolean);
  rows.Channels = facts.channels.map((channel) => `${channel.target} from ${channel.taken}`).join("; ");
  rows.View = facts.view && `${facts.view.name} (${facts.view.hash.slice(0, 12)})`;
  rows.Versions = Object.entries(facts.versions).map((pair) => pair.join(" ")).join(", ");
  if (facts.notes.length) rows.Notes = facts.notes.join("; ");
  if (facts.agreement) rows["Agreement with the scoring in the file"] = `accuracy ${number(facts.agreement.result.accuracy)}, kappa ${number(facts.agreement.result.kappa)}`;
  $("origin").replaceChildren(...Object.entries(rows).filter(([, text]) => text).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
  $("origin-card").hidden = false;
}

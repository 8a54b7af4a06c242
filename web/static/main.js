// The page: which night is shown, what is known of it, and what a person does with it.

import { ask, upload } from "./api.js";
import { lanesOf, showChannels } from "./channels.js";
import { $, clock, make, percent, tell } from "./dom.js";
import { listen } from "./keys.js";
import { Overview } from "./overview.js";
import * as panels from "./panels.js";
import { Review } from "./review.js";
import { Signals } from "./signals.js";

const SPANS = [[10, "10 s"], [30, "30 s"], [60, "1 min"], [120, "2 min"], [300, "5 min"], [900, "15 min"], [3600, "1 h"], [14400, "4 h"], [86400, "whole night"]];
const POLL_MS = 400;

let about, overview, signals, review, night = null, result = null, showing = 0, spokenAt = 0;
const hidden = new Map(); // night id -> keys of lanes shown, as a person chose them

async function start() {
  about = await ask("GET", "/about");
  overview = new Overview($("overview"), about, (seconds) => signals.move(seconds - signals.view.span / 2, signals.view.span, Math.floor((seconds - (result?.onset_s ?? 0)) / signals.epochS)));
  signals = new Signals($("signals"), about, moved);
  review = new Review(about, (epoch) => signals.goTo(epoch), rescored, (error) => tell($("night-error"), error.message));
  listen(signals, review, () => result);
  listenToButtons();
  fillChoices();
  window.addEventListener("hashchange", route);
  await route();
}

function fillChoices() {
  $("limits").textContent = `EDF, BDF or FIF, up to ${Math.round(about.max_upload_bytes / 1e6)} MB`;
  $("purpose").textContent = about.purpose;
  for (const { name, there, licence } of about.stagers) {
    $("stager").append(make("option", { value: name, disabled: !there, selected: name === about.stager }, there ? `${name}  (${licence})` : `${name}  (not on this machine)`));
  }
  const words = { greedy: "greedy, as published", denoiser: "denoiser, without language model", none: "none: the stager alone" };
  for (const name of about.decoders) $("decoder").append(make("option", { value: name, selected: name === about.decoder }, words[name] ?? name));
  for (const [seconds, text] of SPANS) $("span").append(make("option", { value: seconds, selected: seconds === 30 }, text));
}

function listenToButtons() {
  const drop = $("drop");
  $("file").addEventListener("change", () => take($("file").files[0]));
  for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]); });
  $("add").addEventListener("click", () => { location.hash = ""; });
  $("remove").addEventListener("click", remove);
  $("order").addEventListener("submit", stage);
  $("automatic").addEventListener("click", () => name(null));
  $("show-file-name").addEventListener("change", title);
  $("back").addEventListener("click", () => signals.move(signals.view.from - signals.view.span / 2));
  $("on").addEventListener("click", () => signals.move(signals.view.from + signals.view.span / 2));
  $("lower").addEventListener("click", () => signals.grow(0.8));
  $("higher").addEventListener("click", () => signals.grow(1.25));
  $("span").addEventListener("change", () => {
    const span = Math.min(Number($("span").value), signals.duration), { epoch } = signals.view;
    signals.move((result?.onset_s ?? 0) + (epoch + 0.5) * signals.epochS - span / 2, span, epoch);
  });
  document.addEventListener("click", (event) => { if (!$("lanes").contains(event.target)) $("lanes").open = false; });
  $("lanes").addEventListener("keydown", (event) => { if (event.key === "Escape") { $("lanes").open = false; $("lanes").firstElementChild.focus(); } });
}

/** Show what the address names: a night, or the place to drop one. */
async function route() {
  const nights = await ask("GET", "/nights");
  const chosen = nights.find(({ id }) => id === location.hash.slice(1));
  $("nights").replaceChildren(...nights.map(({ id, name }) => {
    const link = make("a", { href: `#${id}` }, name);
    if (id === chosen?.id) link.setAttribute("aria-current", "page");
    return link;
  }));
  $("add").hidden = !chosen;
  $("start").hidden = Boolean(chosen);
  $("night").hidden = !chosen;
  showing++;
  document.title = chosen ? `${chosen.name} – Nightstack` : "Nightstack";
  if (chosen) await open(chosen);
}

async function take(file) {
  if (!file) return;
  if (location.hash) location.hash = "";
  tell($("start-error"), file.size > about.max_upload_bytes ? `${file.name} is larger than ${Math.round(about.max_upload_bytes / 1e6)} MB, the limit here.` : "");
  if (!$("start-error").hidden) return;
  $("upload").hidden = false;
  const sent = (bytes) => {
    $("upload-bar").value = bytes / file.size;
    $("upload-text").textContent = `${file.name}: ${Math.round(bytes / 1e6)} of ${Math.round(file.size / 1e6)} MB`;
  };
  sent(0);
  const { done, stop } = upload(file, sent);
  $("upload-stop").onclick = stop;
  try {
    location.hash = (await done).id;
  } catch (error) { tell($("start-error"), error.message); }
  $("upload").hidden = true;
  $("file").value = "";
}

/** Show a night, and follow its jobs until they are done. */
async function open(chosen) {
  const turn = ++showing;
  night = result = null;
  for (const card of ["alarms", "review", "statistics", "take", "origin"]) $(`${card}-card`).hidden = true;
  $("scoring").hidden = true;
  for (const box of ["night-error", "stage-error", "channels-error"]) tell($(box), "");
  $("name").textContent = chosen.name;
  let known = {};
  for (let found = chosen; ; found = (await again(chosen.id, turn)) ?? found) {
    if (turn !== showing) return;
    await update(found, known);
    if (!Object.values(found.jobs).some(panels.working)) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (turn !== showing) return;
  }
}

/** Ask for a night again; null when the server cannot be reached just now. */
async function again(id, turn) {
  try {
    return await ask("GET", `/nights/${id}`);
  } catch (error) {
    if (turn !== showing) return null;
    if (error.status === 404) {
      location.hash = "";
      tell($("start-error"), "This night is not here any more: it was not looked at for too long.");
    } else {
      tell($("night-error"), error.message);
    }
    return null;
  }
}

/** Take in what the server says of the night; `known` remembers what is on the screen already. */
async function update(found, known) {
  const first = !night;
  night = found;
  panels.showProgress(night);
  const { look, draw, stage: staging } = night.jobs;
  if (look.error || draw.error) tell($("night-error"), look.error || draw.error);
  $("stage").disabled = !night.recording || Boolean(look.error) || panels.working(staging);
  $("stage").textContent = panels.working(staging) ? "Staging …" : night.staged ? "Stage again" : "Stage this night";
  if (staging?.error) tell($("stage-error"), staging.error);
  if (!night.recording) { if (first) { $("facts").textContent = "Looking into the file …"; $("channels").replaceChildren(); } return; }
  if (!known.recording) { known.recording = true; showRecording(); }
  if (known.signals !== night.signals.length) { known.signals = night.signals.length; showLanes(); }
  if (night.staged && !known.staged) { known.staged = true; await showResult(); }
}

function showRecording() {
  const { duration_s: s, starts, channels, notes, gaps } = night.recording;
  const long = `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")} min`;
  const parts = [starts ? `from ${starts}` : "start unknown", long, `${channels.length} channels`, `${Math.round(night.bytes / 1e6)} MB`];
  if (gaps.length) parts.push(`${gaps.length} pauses`);
  if (notes.length) parts.push(`${notes.length} repairs noted`);
  $("facts").textContent = parts.join("  ·  ");
  $("facts").title = notes.join("\n");
  tell($("banner"), night.recording.simulated ? "The recording is simulated: no person slept this night." : "");
  showChannels(night, name);
  signals.gain = 1;
  signals.view = { from: 0, span: Math.min(30, s), epoch: 0 };
  signals.show(night, null);
  overview.show(s, starts, null);
  $("legend").replaceChildren();
  signals.move(0);
}

function showLanes() {
  const lanes = lanesOf(night), chosen = hidden.get(night.id);
  const shown = (lane) => (chosen ? chosen.has(lane.key) : lane.usual);
  signals.night = night;
  signals.choose(lanes.filter(shown));
  $("lane-list").replaceChildren(...lanes.map((lane) => {
    const box = make("input", { type: "checkbox", checked: shown(lane) });
    box.addEventListener("change", () => {
      const keys = hidden.get(night.id) ?? new Set(lanes.filter((one) => one.usual).map((one) => one.key));
      if (box.checked) keys.add(lane.key); else keys.delete(lane.key);
      hidden.set(night.id, keys);
      signals.choose(lanes.filter((one) => keys.has(one.key)));
    });
    return make("label", {}, box, make("span", {}, lane.name), make("span", {}, lane.filter));
  }));
}

async function showResult() {
  result = await ask("GET", `/nights/${night.id}/result`);
  const simulated = result.facts.simulated;
  tell($("banner"), simulated.join(" "));
  panels.showLegend(result.classes, about);
  panels.showTake(night, about);
  panels.showOrigin(result);
  overview.show(night.recording.duration_s, night.recording.starts, result);
  signals.show(night, result);
  review.epoch = signals.view.epoch;
  review.show(night, result);
  rescored(result, []);
  moved(signals.view);
}

/** Show what follows from a change of stages. */
function rescored(changedResult, changes) {
  result = changedResult;
  panels.showAlarms(result);
  panels.showStatistics(result, about);
  overview.draw();
  signals.draw();
  moved(signals.view);
  if (changes.length) say(`Epoch ${changes[0].epoch + 1} is now ${changes[0].after}.`);
}

/** Name a channel by hand: the server says what is found then. `target` null: as found. */
async function name(target, text) {
  const channels = target === null ? {} : { ...night.channels, [target]: text };
  tell($("channels-error"), "");
  try {
    await ask("PUT", `/nights/${night.id}/channels`, { channels });
    night = await ask("GET", `/nights/${night.id}`);
    showLanes();
    if (result) tell($("stage-error"), "Channels were changed: stage again to use them.");
  } catch (error) { tell($("channels-error"), error.message); }
  showChannels(night, name);
  if (target) $("channels").querySelector(`[aria-label="Channel of ${target}"]`)?.focus();
}

async function stage(event) {
  event.preventDefault();
  if (result?.rescored.length && !confirm("Staging again gives up what was scored by hand. Go on?")) return;
  tell($("stage-error"), "");
  $("stage").disabled = true;
  try {
    const order = { stager: $("stager").value, decoder: $("decoder").value, vote: $("vote").checked, channels: night.channels };
    await open(await ask("POST", `/nights/${night.id}/staging`, order));
    if (result) $("overview").focus({ preventScroll: true });
  } catch (error) {
    tell($("stage-error"), error.message);
    $("stage").disabled = false;
  }
}

/** Call what is taken away by the file's name, or not. */
async function title() {
  try {
    night = await ask("PUT", `/nights/${night.id}/naming`, { show_file_name: $("show-file-name").checked });
  } catch (error) { tell($("night-error"), error.message); }
  panels.showTake(night, about);
}

async function remove() {
  if (!confirm(`Remove ${night.name} and everything made of it?`)) return;
  showing++; // nobody asks for it any more
  signals.choose([]);
  await ask("DELETE", `/nights/${night.id}`);
  location.hash = "";
}

/** The window moved: tell the overview, the slider, the line of text, and who listens. */
function moved(view) {
  overview.look(view);
  review.look(view.epoch);
  const { epoch } = view, seconds = (result?.onset_s ?? 0) + epoch * signals.epochS;
  const code = result?.stages[epoch] ?? -1, row = result?.proba?.[epoch];
  const stage = code >= 0 ? `, ${result.classes[code]}${row && row[code] !== null ? ` ${percent(row[code])}` : ""}` : "";
  const text = `${clock(seconds, night?.recording?.starts)}  ·  epoch ${epoch + 1} of ${signals.nEpochs}${stage}`;
  $("here").textContent = text;
  const slider = $("overview");
  slider.setAttribute("aria-valuemax", signals.nEpochs);
  slider.setAttribute("aria-valuenow", epoch + 1);
  slider.setAttribute("aria-valuetext", text);
  $("signals").setAttribute("aria-label", `Signals, ${Math.round(view.span)} seconds around: ${text}`);
  const fitting = SPANS.find(([s]) => Math.abs(Math.min(s, signals.duration) - view.span) < 0.01);
  $("span").value = fitting ? fitting[0] : "";
}

/** Say something to those who listen, not more often than they can. */
function say(text) {
  clearTimeout(spokenAt);
  spokenAt = setTimeout(() => { $("live").textContent = text; }, 150);
}

start().catch((error) => { $("start").hidden = false; tell($("start-error"), error.message); });

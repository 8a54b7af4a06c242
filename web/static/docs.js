// The description of the JSON interface, for people: FastAPI's own page would load from elsewhere.

import { $, make } from "./dom.js";

const EXAMPLE = `at=${location.origin}/api/nights
curl -c jar -b jar -H "X-Nightstack: 1" -T night.edf -X POST "$at?name=night"
curl -c jar -b jar -H "X-Nightstack: 1" --json '{"stager": "yasa"}' $at/ID/staging
curl -c jar -b jar $at/ID                      # until jobs.stage.state is "done"
curl -c jar -b jar -OJ $at/ID/hypnogram.csv`;

const description = await (await fetch("/openapi.json")).json();
$("description").textContent = description.info.description;
$("example").textContent = EXAMPLE;
const groups = new Map();
for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const group = operation.tags?.[0] ?? "";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(entry(method, path, operation));
  }
}
$("operations").replaceChildren(...[...groups].flatMap(([name, entries]) => [make("h2", {}, name), ...entries]));

function entry(method, path, operation) {
  const title = make("h3", {}, make("span", { className: "method" }, method.toUpperCase()), make("code", {}, path));
  const taken = (operation.parameters ?? []).filter((one) => one.in === "query").map((one) => `${one.name}${one.required ? "" : "?"}`);
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const shape = body && fieldsOf(body);
  const told = [operation.summary, taken.length ? `query: ${taken.join(", ")}` : "", shape ? `body: ${shape}` : ""].filter(Boolean);
  return make("section", { className: "card operation" }, title, ...told.map((text) => make("p", { className: "small" }, text)));
}

function fieldsOf(schema) {
  if (schema.items) return `[${fieldsOf(schema.items)}]`;
  const named = schema.$ref ? description.components.schemas[schema.$ref.split("/").pop()] : schema;
  const fields = Object.entries(named.properties ?? {}).map(([name, field]) => `${name}: ${field.type ?? "any"}`);
  return `{${fields.join(", ")}}`;
}

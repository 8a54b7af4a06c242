// Small helpers for elements. Text always goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** Make an element: make("td", {className: "number"}, "12", child). */
export function make(tag, fields = {}, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

/** Show a text in an element, or hide the element when there is none. */
export function tell(element, text) {
  element.textContent = text || "";
  element.hidden = !text;
}

/** Size a canvas for the screen and return its context in CSS pixels. */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

export const INK = "#23272e";
export const SOFT = "#565d68";
export const LINE = "#dfe3e8";
export const LETTERS = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';

/** Seconds since the first sample as the time of day, or as time since then. */
export function clock(seconds, starts, withSeconds = true) {
  const [h, m, s] = starts ? starts.split(":").map(Number) : [0, 0, 0];
  const total = Math.floor(seconds + 1e-6) + h * 3600 + m * 60 + s;
  const two = (n) => String(n).padStart(2, "0");
  const hours = starts ? Math.floor(total / 3600) % 24 : Math.floor(total / 3600);
  const text = `${two(hours)}:${two(Math.floor(total / 60) % 60)}`;
  return withSeconds ? `${text}:${two(total % 60)}` : text;
}

export function number(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1 ? value.toFixed(1) : value.toPrecision(2);
}

export const counted = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;

export const percent = (p) => `${Math.round(100 * p)} %`;

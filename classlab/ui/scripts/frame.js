// What every view has: elements made without markup, questions to the server, and sentences for who cannot see the page.

export const byId = (id) => document.getElementById(id);

/** Return a new element. Texts become text and never markup, whatever somebody's folder holds. */
export function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "polyline", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

async function answered(response) {
  const text = await response.text();
  let document = null;
  try { document = JSON.parse(text); } catch { /* a refusal is plain text */ }
  if (response.ok && document !== null) return document;
  throw new Error(document?.sentence ?? (text.replace(/^classlab: /, "").trim() || "the server did not answer"));
}

export async function get(path) {
  return answered(await fetched(path, {}));
}

export async function post(path, body, signal) {
  return answered(await fetched(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body), signal}));
}

async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the page's server does not answer; it may have ended");
  }
}

const problems = new Map();
/** Put a sentence where what went wrong is read; an empty one takes it away. about: each thing has its own sentence. */
export function problem(sentence, about = "asked") {
  problems.set(about, sentence);
  const place = byId("problem"), text = [...problems.values()].filter(Boolean).join(" ");
  if (!place || place.textContent === text) return;
  place.textContent = text;
  place.hidden = !text;
}

/** Run some work, and say in a sentence why it failed where it does. */
export async function tried(work) {
  try {
    const result = await work();
    problem("");
    return result;
  } catch (error) {
    if (error.name !== "AbortError") problem(capital(error.message));
    return null;
  }
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

let spoken = 0;
/** Say a sentence to a screen reader. Of many that come fast only some are said; what matters is always. */
export function say(sentence, matters = false) {
  const now = performance.now();
  if (!matters && now - spoken < 4000) return;
  spoken = now;
  byId("said").textContent = sentence;
}

export const percent = (fraction, digits = 2) => `${(100 * fraction).toFixed(digits)} %`;

export function duration(seconds) {
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const whole = Math.floor(seconds);
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Return a function that calls `work` once for many calls, at most every so many milliseconds. */
export function gathered(work, milliseconds) {
  let timer = null, last = 0;
  return () => {
    timer ??= setTimeout(() => { timer = null; last = performance.now(); work(); }, Math.max(0, last + milliseconds - performance.now()));
  };
}

/** Return the words of a metric, "validation accuracy". */
export const words = (column) => column.replace("val_", "validation_").replaceAll("_", " ");

/** Write a value of a column as a reader has it: accuracies in per cent. */
export function valueText(column, value) {
  if (value === null || value === undefined) return "–";
  if (column === "epoch") return String(value);
  if (column.endsWith("accuracy")) return percent(value);
  if (column.endsWith("loss")) return Math.abs(value) < 1e5 ? value.toFixed(4) : value.toExponential(2);
  return column === "seconds" ? value.toFixed(2) : String(Number(value.toPrecision(3)));
}

// Data: a dataset's samples, and its augmentations with their strengths as sliders.
import {byId, gathered, get, make, post, tried} from "/static/frame.js";

const REACH = {degrees: 45, pixels: 6, percent: 40, factor: 2, probability: 1}; // how far a slider goes where no limit is stated
const START = {rotate: {degrees: 10}, shift: {pixels: 1}};
const choices = new Map();
let known = {}, seed = 0;

async function samples() {
  const found = await tried(() => get(`/api/dataset/${byId("dataset").value}`));
  if (found) byId("samples").innerHTML = found.html; // made by our own templates, which escape every text
  else byId("samples").replaceChildren(make("p", {class: "hint"}, `In a terminal: classlab data fetch ${byId("dataset").value}`));
}

const types = (option) => [option, ...(option.anyOf ?? [])];
const kindOf = (option) => types(option).map((part) => part.enum ? "enum" : part.type).find((type) => type && type !== "null");

function limits(name, option) {
  const read = (key) => types(option).map((part) => part[key]).find((value) => value !== undefined);
  const least = read("minimum") ?? read("exclusiveMinimum") ?? 0;
  const stated = read("maximum") ?? read("exclusiveMaximum");
  const usual = Object.entries(REACH).find(([word]) => name.includes(word))?.[1];
  const most = Math.min(stated ?? Infinity, usual ?? stated ?? 10, stated ?? usual ?? 10);
  const whole = kindOf(option) === "integer";
  return {min: least, max: Math.max(most, least + 1 * whole), step: whole ? 1 : (most - least) / 100};
}

function startOf(name, key, option) {
  const preset = START[name]?.[key];
  if (preset !== undefined) return preset;
  if (option.default !== undefined && option.default !== null) return option.default;
  const {min, max, step} = limits(key, option), kind = kindOf(option);
  if (kind === "enum") return types(option).find((part) => part.enum).enum[0];
  return kind === "integer" ? Math.max(min, Math.round((min + max) / 4)) : kind === "number" ? Number((min + (max - min) / 4).toFixed(2)) : null;
}

function row(name) {
  const about = known[name], fields = make("div", {class: "options"});
  const box = make("input", {type: "checkbox", onchange: () => { box.checked ? begin() : choices.delete(name); fields.hidden = !box.checked; draw(); }});
  const begin = () => choices.set(name, Object.fromEntries(Object.entries(about.options).filter(([key, option]) => about.required.includes(key) || START[name]?.[key] !== undefined || ["number", "integer"].includes(kindOf(option))).map(([key, option]) => [key, startOf(name, key, option)]).filter(([, value]) => value !== null)));
  for (const [key, option] of Object.entries(about.options)) {
    const made = field(name, key, option);
    if (made) fields.append(made);
  }
  box.checked = name in START;
  if (box.checked) begin();
  fields.hidden = !box.checked;
  return make("fieldset", {}, make("legend", {}, make("label", {}, box, ` ${name.replaceAll("_", " ")}`)), make("p", {class: "hint"}, about.words), fields);
}

function field(name, key, option) {
  const kind = kindOf(option), start = startOf(name, key, option), set = (value) => { if (choices.has(name)) { choices.get(name)[key] = value; draw(); } };
  if (kind === "enum") {
    const select = make("select", {onchange: () => set(select.value)}, types(option).find((part) => part.enum).enum.map((value) => make("option", {value}, String(value))));
    select.value = start;
    return make("label", {}, `${key} `, select);
  }
  if (kind === "boolean") {
    const box = make("input", {type: "checkbox", onchange: () => set(box.checked)});
    box.checked = Boolean(start);
    return make("label", {}, box, ` ${key}`);
  }
  if (kind !== "number" && kind !== "integer") return null;
  const output = make("output", {}, String(start));
  const slider = make("input", {type: "range", ...limits(key, option), value: start, oninput: () => { output.textContent = slider.value; set(Number(slider.value)); }});
  return make("label", {}, `${key.replaceAll("_", " ")} `, slider, output);
}

const draw = gathered(async () => {
  const stated = [...choices].map(([name, options]) => ({name, ...options}));
  const found = await tried(() => post("/api/augmented", {dataset: byId("dataset").value, choices: stated, seed}));
  if (!found) return;
  byId("augmented").innerHTML = found.html; // made by our own templates, which escape every text
  byId("stated").textContent = `augmentations: [${stated.map((choice) => `{${Object.entries(choice).map(([key, value]) => `${key}: ${value}`).join(", ")}}`).join(", ")}]`;
}, 150);

byId("dataset").addEventListener("change", () => { samples(); draw(); });
byId("again").addEventListener("click", () => { seed += 1; draw(); });
byId("sliders").addEventListener("submit", (event) => event.preventDefault());
samples();
known = await tried(() => get("/api/augmentations")) ?? {};
byId("sliders").replaceChildren(...Object.keys(known).sort((a, b) => (b in START) - (a in START)).map(row));
draw();

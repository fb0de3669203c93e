"use strict";
// The page computes from the same formulas as the workbook: expressions as nested lists, see expression.as_data.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const RATE = "η", TOTAL = "E_tot";
const TONES = ["--train", "--val", "--good", "--test", "--bad", "--muted"];
const KINDS = {forward: "forward", error: "error", path: "back", gradient: "back", update: "update"};
const state = {given: {...data.given}, rate: data.rates[0], epoch: 1, step: 0, log: false, curves: []};

// Numbers

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const FUNCTIONS = {
  sigmoid, tanh: Math.tanh, relu: (x) => Math.max(0, x), step: (x) => (x > 0 ? 1 : 0), exp: Math.exp, ln: Math.log,
};

function compile(expression) {
  const [sign, ...rest] = expression;
  if (sign === "number") return () => rest[0];
  if (sign === "name") return (row) => row[rest[0]];
  if (sign === "apply") {
    const inner = compile(rest[1]), call = FUNCTIONS[rest[0]];
    return (row) => call(inner(row));
  }
  const parts = rest.map(compile);
  if (sign === "+") return (row) => parts.reduce((sum, part) => sum + part(row), 0);
  if (sign === "*") return (row) => parts.reduce((product, part) => product * part(row), 1);
  if (sign === "/") return (row) => parts[0](row) / parts[1](row);
  if (sign === "^2") return (row) => parts[0](row) ** 2;
  return (row) => -parts[0](row);
}

const quantities = data.quantities.map((one) => ({...one, compute: compile(one.expression)}));
const steps = data.steps.map((one) => ({
  ...one,
  compute: compile(one.expression),
  factors: one.factors.map((factor) => ({...factor, compute: compile(factor.expression)})),
}));

function train(given, rate) {
  const rows = [];
  let now = {...given, [RATE]: rate};
  for (let epoch = 0; epoch < data.epochs; epoch++) {
    for (const one of quantities) now[one.name] = one.compute(now);
    for (const step of steps) if (step.kind === "path") now[step.result] = step.compute(now);
    rows.push(now);
    const next = {...given, [RATE]: rate};
    for (const name of Object.keys(data.parameters)) next[name] = now[name] - rate * now["∂E/∂" + name];
    now = next;
  }
  return rows;
}

const allRates = () => [...new Set([...data.rates, state.rate])];
function recompute() {
  state.curves = allRates().map((rate) => ({rate, rows: train(state.given, rate)}));
  state.rows = state.curves.find((curve) => curve.rate === state.rate).rows;
  const bad = state.rows.findIndex((row) => !Number.isFinite(row[TOTAL]));
  tell(bad < 0 ? "" : `With these numbers the error is not finite from epoch ${bad + 1} on; try a smaller learning rate.`);
}

function rounded(value, digits) {
  // [digits, power of ten or ""]; small numbers are written with a power.
  const plain = Math.abs(value) >= 1e-4 || value === 0 ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 2);
  const [base, power] = plain.replaceAll("-", "−").split("e");
  return [base, (power || "").replace("+", "")];
}

const raised = (power) => [...power].map((digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["−0123456789".indexOf(digit)]).join("");
function shown(value, digits = 6) {
  if (!Number.isFinite(value)) return "not finite";
  const [base, power] = rounded(value, digits);
  return power ? `${base}·10${raised(power)}` : base;
}

// Mathematics (MathML)

const tag = (name, inner) => `<${name}>${inner}</${name}>`;
const row = (inner) => tag("mrow", inner);
const sign = (text) => tag("mo", text);

function symbol(name) {
  const [plain, path] = name.split(" by path ");
  if (path) return tag("msub", symbol(plain) + tag("mtext", `path ${path}`));
  const parts = /^∂(.+)\/∂(.+)$/.exec(plain);
  if (parts) return tag("mfrac", row(sign("∂") + symbol(parts[1] === "E" ? "E" : parts[1])) + row(sign("∂") + symbol(parts[2])));
  const [base, example] = plain.replace("]", "").split("[");
  let inner;
  if (base.startsWith("a_")) inner = tag("msub", tag("mi", "a") + row(symbol(base.slice(2))));
  else if (base === TOTAL) inner = tag("msub", tag("mi", "E") + tag("mtext", "tot"));
  else {
    const [, letter, index] = /^(\D+?)(\d.*)?$/.exec(base);
    inner = index ? tag("msub", tag("mi", letter) + tag("mn", index.replace("_", ","))) : tag("mi", letter);
  }
  return example ? tag("msup", inner + row(sign("(") + tag("mn", example) + sign(")"))) : inner;
}

function number(value) {
  if (!Number.isFinite(value)) return tag("mtext", "not finite");
  const [base, power] = rounded(value, 6);
  const plain = base.startsWith("−") ? sign("−") + tag("mn", base.slice(1)) : tag("mn", base);
  return power ? row(plain + sign("·") + tag("msup", tag("mn", "10") + tag("mn", power))) : row(plain);
}

const braced = (inner) => row(sign("(") + inner + sign(")"));
const bracedNumber = (value) => (value < 0 ? braced(number(value)) : number(value));

function math(expression, values) {
  const [kind, ...rest] = expression;
  const inside = (part, kinds) => (kinds.includes(part[0]) ? braced(math(part, values)) : math(part, values));
  if (kind === "number") return rest[0] === 0.5 ? tag("mfrac", tag("mn", 1) + tag("mn", 2)) : number(rest[0]);
  if (kind === "name") return values ? bracedNumber(values[rest[0]]) : symbol(rest[0]);
  if (kind === "+") {
    return row(rest.map((part, index) => {
      if (part[0] === "-") return sign("−") + inside(part[1], ["+"]);
      return (index ? sign("+") : "") + math(part, values);
    }).join(""));
  }
  if (kind === "*") return row(rest.map((part) => inside(part, ["+", "-"])).join(sign("·")));
  if (kind === "/") return tag("mfrac", row(math(rest[0], values)) + row(math(rest[1], values)));
  if (kind === "^2") return tag("msup", row(inside(rest[0], ["+", "*", "-", "/", "^2"])) + tag("mn", 2));
  if (kind === "-") return row(sign("−") + inside(rest[0], ["+", "-"]));
  if (rest[0] === "exp") return tag("msup", tag("mi", "e") + row(math(rest[1], values)));
  const names = {sigmoid: "σ", step: "relu′"};
  return row(tag("mi", names[rest[0]] || rest[0]) + braced(math(rest[1], values)));
}

function writtenOut(expression, values) {
  // σ(x) says little; 1 / (1 + e^−x) can be worked out.
  if (expression[0] !== "apply") return "";
  const inner = math(expression[2], values);
  if (expression[1] === "sigmoid") {
    const power = tag("msup", tag("mi", "e") + row(sign("−") + inner));
    return tag("mfrac", tag("mn", 1) + row(tag("mn", 1) + sign("+") + power));
  }
  return expression[1] === "relu" ? row(tag("mi", "max") + braced(tag("mn", 0) + sign(",") + inner)) : "";
}

const equation = (...sides) => `<div><math displaystyle="true">${row(sides.filter(Boolean).join(sign("=")))}</math></div>`;
const isPlain = (expression) => expression[0] === "name" || expression[0] === "number";

// The step

const current = () => steps[state.step];
const values = () => state.rows[state.epoch - 1];
const knownSteps = () => new Set(steps.slice(0, state.step + 1).map((step) => step.result));

function showStep() {
  const step = current(), now = values(), value = step.compute(now);
  const arrow = step.kind === "update" ? ", new" : "";
  byId("step").className = `panel ${KINDS[step.kind]}`;
  byId("epoch").value = state.epoch;
  byId("count").textContent = `of ${data.epochs} · step ${state.step + 1} of ${steps.length}`;
  byId("progress").style.width = `${(100 * (state.step + 1)) / steps.length}%`;
  byId("title").textContent = step.title;
  byId("sentence").textContent = step.sentence;
  byId("links").innerHTML = step.factors
    .map((factor) => equation(
      symbol(factor.label), math(factor.expression), isPlain(factor.expression) ? "" : math(factor.expression, now), number(factor.compute(now)),
    )).join("");
  const left = step.kind === "update" ? tag("msup", symbol(step.result) + tag("mtext", "new")) : symbol(step.result);
  const chain = step.factors.length > 1 ? row(step.factors.map((factor) => symbol(factor.label)).join(sign("·"))) : "";
  const product = chain && row(step.factors.map((factor) => bracedNumber(factor.compute(now))).join(sign("·")));
  byId("formula").innerHTML = (chain ? equation(left, chain) : "")
    + equation(left, math(step.expression), writtenOut(step.expression))
    + equation(left, product || writtenOut(step.expression, now) || math(step.expression, now));
  byId("name").textContent = step.result + arrow;
  byId("result").textContent = shown(value);
  byId("result").dataset.value = String(value);
  byId("live").textContent = `Epoch ${state.epoch}, step ${state.step + 1}: ${step.title}. ${step.result}${arrow} is ${shown(value)}.`;
  byId("first").disabled = state.step === 0;
  byId("back").disabled = state.step === 0 && state.epoch === 1;
  byId("last").disabled = state.step === steps.length - 1;
  byId("next").disabled = state.step === steps.length - 1 && state.epoch === data.epochs;
}

function showOutline() {
  byId("outline").querySelectorAll("button").forEach((button, index) => {
    const value = steps[index].compute(values());
    button.querySelector("span").textContent = shown(value, 5);
    button.dataset.value = String(value);
    if (index === state.step) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
}

function go(epoch, step) {
  if (step < 0) [epoch, step] = [epoch - 1, steps.length - 1];
  if (step >= steps.length) [epoch, step] = [epoch + 1, 0];
  if (epoch < 1 || epoch > data.epochs) return;
  [state.epoch, state.step] = [epoch, step];
  showStep();
  showOutline();
  draw();
  showCursor();
}

// The drawing

function place(width) {
  const layers = data.units.length, columns = layers + 2, most = Math.max(...data.sizes), upright = width < 500;
  const radius = Math.max(15, Math.min(29, (upright ? width : 300) / most / 2.6));
  const along = upright ? 148 : (width - 2 * radius - 24) / (columns - 1.25), across = upright ? width : Math.max(300, most * (2 * radius + 60));
  const point = (column, index, size) => {
    const a = radius + 12 + along * (column < layers ? column : column === layers ? layers - 0.15 : layers + 0.75);
    const b = (across / size) * (index + 0.5);
    return upright ? {x: b, y: a} : {x: a, y: b};
  };
  const length = 2 * radius + 24 + along * (upright ? layers + 0.75 : columns - 1.25);
  return {radius, upright, point, width: upright ? width : width, height: upright ? length + 6 : across};
}

const ofExample = (name) => (data.examples > 1 && !/^[wb]\d/.test(name) ? `${name}[${(/\[(\d+)\]/.exec(current().result) || [0, 1])[1]}]` : name);

function draw() {
  const holder = byId("drawing"), at = place(Math.max(300, Math.min(holder.clientWidth, 820)));
  const step = current(), now = values(), known = knownSteps();
  const lit = new Set(step.lit), isLit = (...names) => (names.some((name) => lit.has(name)) ? " lit" : "");
  const knows = (name) => known.has(name) || name in data.given;
  const spots = {}, parts = [];
  data.units.forEach((units, layer) => units.forEach((unit, index) => {
    spots[unit] = at.point(layer, index, units.length);
  }));
  const weights = Object.entries(data.parameters).filter(([, [, , below]]) => below !== null);
  const labels = [];
  for (const [name, [layer, index, below]] of weights) {
    const a = spots[data.units[layer - 1][below]], b = spots[data.units[layer][index]];
    parts.push(line(a, b, `edge${isLit(name)}`));
    if (weights.length <= 24 || lit.has(name)) labels.push(weightLabel(name, a, b, a.x === b.x || a.y === b.y ? 0.5 : at.upright ? 0.28 : 0.36, now, known, isLit(name)));
  }
  const outputs = data.units[data.units.length - 1];
  const total = at.point(data.units.length + 1, 0, 1);
  outputs.forEach((unit, index) => {
    const box = at.point(data.units.length, index, outputs.length), name = ofExample(`E${index + 1}`);
    parts.push(line(spots[unit], box, `edge${isLit(name)}`), line(box, total, `edge${isLit(TOTAL)}`));
    labels.push(square(box, at, `E${index + 1}`, knows(name) ? now[name] : null, isLit(name), `t ${shown(now[ofExample(`t${index + 1}`)], 4)}`));
  });
  labels.push(square(total, at, "E", knows(TOTAL) ? now[TOTAL] : null, isLit(TOTAL), "total"));
  data.units.forEach((units, layer) => units.forEach((unit) => {
    labels.push(circle(spots[unit], at, unit, layer, now, knows, isLit(ofExample(unit), ofExample(`a_${unit}`))));
  }));
  const label = `The network ${data.sizes.join("-")}. Lit: ${step.lit.join(", ")}.`;
  holder.innerHTML = `<svg class="${KINDS[step.kind]}" viewBox="0 0 ${at.width} ${at.height}" role="img" aria-label="${label}">${parts.join("")}${labels.join("")}</svg>`;
}

const line = (a, b, look) => `<line class="${look}" x1="${a.x}" y1="${a.y}" x2="${b.x}" y2="${b.y}"/>`;
const words = (x, y, look, text) => `<text class="${look}" x="${x}" y="${y}">${text}</text>`;

function weightLabel(name, a, b, share, now, known, look) {
  const x = a.x + (b.x - a.x) * share, y = a.y + (b.y - a.y) * share;
  const slope = now["∂E/∂" + name], isNew = known.has(name) && current().kind === "update";
  const value = isNew ? now[name] - state.rate * slope : now[name];
  const lower = known.has("∂E/∂" + name) ? words(x, y + 10, `weight small${look}`, `∂ ${shown(slope, 3)}`) : "";
  return words(x, y - 4, `weight${look}`, isNew ? `${name}→${shown(value, 3)}` : `${name} ${shown(value, 4)}`) + lower;
}

function circle(spot, at, unit, layer, now, knows, look) {
  const sum = ofExample(unit), out = layer ? ofExample(`a_${unit}`) : sum, many = at.radius < 22;
  const value = knows(out) ? shown(now[out], 4) : "";
  const beside = layer && knows(sum) && !many ? `Σ ${shown(now[sum], 4)}` : "";
  const side = at.upright ? {x: spot.x + at.radius + 5, y: spot.y + 4, anchor: ' style="text-anchor:start"'} : {x: spot.x, y: spot.y - at.radius - 7, anchor: ""};
  return `<circle class="node${look}" cx="${spot.x}" cy="${spot.y}" r="${at.radius}"/>`
    + words(spot.x, spot.y + (value && !many ? -2 : 5), `name${look}`, unit.replace("_", "."))
    + (value && !many ? words(spot.x, spot.y + 14, "small", value) : "")
    + (beside ? `<text class="weight small" x="${side.x}" y="${side.y}"${side.anchor}>${beside}</text>` : "");
}

function square(spot, at, name, value, look, note) {
  const half = Math.max(24, at.radius);
  return `<rect class="node${look}" x="${spot.x - half - 3}" y="${spot.y - half + 4}" width="${2 * half + 6}" height="${2 * half - 8}" rx="6"/>`
    + words(spot.x, spot.y + (value === null ? 5 : -2), `name${look}`, name)
    + (value === null ? "" : words(spot.x, spot.y + 14, "small", shown(value, 4)))
    + (at.upright ? `<text class="small weight" x="${spot.x + half + 9}" y="${spot.y + 4}" style="text-anchor:start">${note}</text>` : words(spot.x, spot.y + half + 12, "small weight", note));
}

// The curves

function tone(rate) {
  const index = allRates().indexOf(rate);
  return {colour: `var(${TONES[index % TONES.length]})`, dash: index < TONES.length ? "" : "6 4"};
}

function axis(curves, height) {
  const errors = curves.flatMap((curve) => curve.rows.map((one) => one[TOTAL])).filter((one) => Number.isFinite(one) && (!state.log || one > 0));
  let top = Math.max(...errors), low = state.log ? Math.min(...errors) : 0;
  if (!Number.isFinite(top) || top <= 0) [top, low] = [1, state.log ? 0.1 : 0];
  if (state.log) {
    const [from, to] = [Math.floor(Math.log10(low)), Math.max(Math.ceil(Math.log10(top)), Math.floor(Math.log10(low)) + 1)];
    const every = Math.ceil((to - from) / 6);
    const ticks = Array.from({length: Math.floor((to - from) / every) + 1}, (_, index) => 10 ** (from + every * index));
    return {ticks, y: (one) => height - (height * (Math.log10(Math.max(one, 10 ** from)) - from)) / (to - from)};
  }
  const step = [1, 2, 2.5, 5, 10].map((one) => one * 10 ** Math.floor(Math.log10(top / 4))).find((one) => top / one <= 6);
  const ticks = Array.from({length: Math.floor(top / step + 1e-9) + 1}, (_, index) => index * step);
  return {ticks, y: (one) => height - (height * one) / top};
}

function showCurves() {
  const holder = byId("chart"), width = Math.max(280, holder.clientWidth), left = 62, right = 14, top = 12, height = 230;
  const {ticks, y} = axis(state.curves, height), x = (epoch) => left + ((width - left - right) * (epoch - 1)) / Math.max(1, data.epochs - 1);
  const parts = ticks.map((one) => `<line class="grid" x1="${left}" x2="${width - right}" y1="${top + y(one)}" y2="${top + y(one)}"/>`
    + `<text x="${left - 7}" y="${top + y(one) + 4}" style="text-anchor:end">${shown(one, 3)}</text>`);
  const marks = Math.max(1, Math.min(6, Math.floor((width - left) / 70), data.epochs - 1));
  for (let index = 0; index <= marks; index++) {
    const epoch = Math.round(1 + ((data.epochs - 1) * index) / marks);
    parts.push(`<text x="${x(epoch)}" y="${top + height + 20}">${epoch}</text>`);
  }
  parts.push(`<text x="${(left + width) / 2}" y="${top + height + 40}">epoch</text>`);
  for (const {rate, rows} of state.curves) {
    const points = rows.map((one, index) => [one[TOTAL], index + 1]).filter(([error]) => Number.isFinite(error) && (!state.log || error > 0));
    const {colour, dash} = tone(rate), now = rate === state.rate ? " now" : "";
    parts.push(`<polyline class="curve${now}" style="stroke:${colour};stroke-dasharray:${dash}" points="${points.map(([error, epoch]) => `${x(epoch).toFixed(1)},${(top + y(error)).toFixed(1)}`).join(" ")}"/>`);
  }
  parts.push(`<line class="cursor" id="cursor" y1="${top}" y2="${top + height}"/>`);
  holder.innerHTML = `<svg viewBox="0 0 ${width} ${top + height + 46}" role="img" aria-label="Total error over ${data.epochs} epochs for learning rates ${allRates().join(", ")}; the table below has the numbers">${parts.join("")}</svg>`;
  holder.dataset.x = JSON.stringify([x(1), x(data.epochs)]);
  showCursor();
}

function showCursor() {
  const [from, to] = JSON.parse(byId("chart").dataset.x || "[0,0]"), cursor = byId("cursor");
  const at = from + ((to - from) * (state.epoch - 1)) / Math.max(1, data.epochs - 1);
  if (cursor) for (const side of ["x1", "x2"]) cursor.setAttribute(side, at);
}

function showRates() {
  byId("rates").innerHTML = allRates().map((rate) => {
    const {colour, dash} = tone(rate);
    return `<li><button type="button" data-rate="${rate}" aria-pressed="${rate === state.rate}" style="--tone:${colour};--dash:${dash ? "dashed" : "solid"}">η = ${shown(rate)}</button></li>`;
  }).join("");
  const heads = state.curves.map(({rate}) => `<th scope="col">η = ${shown(rate)}</th>`).join("");
  const lines = Array.from({length: data.epochs}, (_, index) => `<tr><th scope="row">${index + 1}</th>${state.curves.map(({rows}) => `<td data-value="${rows[index][TOTAL]}">${shown(rows[index][TOTAL])}</td>`).join("")}</tr>`);
  byId("table").innerHTML = `<thead><tr><th scope="col">epoch</th>${heads}</tr></thead><tbody>${lines.join("")}</tbody>`;
}

// The numbers to change

function tell(problem) {
  byId("problem").textContent = problem;
}

function buildForm() {
  const names = Object.keys(data.given), group = (title, wanted) => {
    if (!wanted.length) return "";
    return `<fieldset><legend>${title}</legend>${wanted.map((name) => `<label><span>${name}</span><input type="number" step="any" inputmode="decimal" name="${name}"></label>`).join("")}</fieldset>`;
  };
  byId("form").innerHTML = group("Learning rate", [RATE])
    + group("Inputs and targets", names.filter((name) => /^[it]/.test(name)))
    + group("Weights of the first epoch", names.filter((name) => name[0] === "w"))
    + group("Biases of the first epoch", names.filter((name) => name[0] === "b"))
    + '<button type="button" id="reset">Reset all numbers</button>';
  fillForm();
}

function fillForm() {
  for (const input of byId("form").querySelectorAll("input")) {
    input.value = input.name === RATE ? state.rate : state.given[input.name];
    input.removeAttribute("aria-invalid");
  }
}

function changed(input) {
  const value = input.value.trim() === "" ? NaN : Number(input.value);
  const wrong = !Number.isFinite(value) || (input.name === RATE && value <= 0);
  input.setAttribute("aria-invalid", wrong);
  if (wrong) return tell(`${input.name} must be a number${input.name === RATE ? " above 0" : ""}.`);
  if (input.name === RATE) state.rate = value;
  else state.given[input.name] = value;
  return refresh();
}

function refresh() {
  recompute();
  showRates();
  showCurves();
  go(state.epoch, state.step);
}

// All together

byId("outline").innerHTML = steps.map((step, index) => `<li class="${KINDS[step.kind]}"><button type="button" data-step="${index}">${step.result}${step.kind === "update" ? ", new" : ""} = <span></span></button></li>`).join("");
byId("epoch").max = data.epochs;
buildForm();
refresh();

byId("next").onclick = () => go(state.epoch, state.step + 1);
byId("back").onclick = () => go(state.epoch, state.step - 1);
byId("first").onclick = () => go(state.epoch, 0);
byId("last").onclick = () => go(state.epoch, steps.length - 1);
byId("epoch").onchange = (event) => go(Math.min(data.epochs, Math.max(1, Math.round(Number(event.target.value)) || 1)), state.step);
byId("log").onchange = (event) => { state.log = event.target.checked; showCurves(); };
byId("form").oninput = (event) => changed(event.target);
byId("form").onsubmit = (event) => event.preventDefault();
byId("reset").onclick = () => { state.given = {...data.given}; state.rate = data.rates[0]; fillForm(); refresh(); };
byId("rates").onclick = (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  state.rate = Number(button.dataset.rate);
  fillForm();
  refresh();
  byId("rates").querySelector('[aria-pressed="true"]').focus();
};
byId("outline").onclick = (event) => {
  const button = event.target.closest("button");
  if (button) go(state.epoch, Number(button.dataset.step));
};
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, summary, .scroll") || event.altKey || event.ctrlKey || event.metaKey) return;
  const jump = {ArrowRight: [0, 1], ArrowLeft: [0, -1]}[event.key];
  if (jump) go(state.epoch, state.step + jump[1]);
  else if (event.key === "Home") go(state.epoch, 0);
  else if (event.key === "End") go(state.epoch, steps.length - 1);
  else return;
  event.preventDefault();
});
new ResizeObserver(() => { draw(); showCurves(); }).observe(byId("drawing"));

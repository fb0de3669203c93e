// Runs: grouped by experiment and by everything but the seed, and kept up to date by the stream.
import {byId, capital, duration, gathered, get, make, percent, problem, say, tried, valueText, words} from "/static/frame.js";
import {spark} from "/static/spark.js";
import {follow} from "/static/stream.js";

const states = new Map(), chosen = new Set(), unfolded = new Set(), drawn = new Map();
let settings = {}, known = "";
const STATUS = {finished: "finished", diverged: "diverged", did_not_learn: "did not learn", running: "running", waiting: "waiting", silent: "silent", broken: "cannot be read"};
const BAD = ["diverged", "did_not_learn", "broken", "silent"];

// What is shown.

function groups() {
  const found = new Map();
  for (const state of states.values()) {
    if (!found.has(state.group)) found.set(state.group, []);
    found.get(state.group).push(state);
  }
  const list = [...found].map(([key, runs]) => ({key, runs: runs.sort((a, b) => (a.seed ?? 0) - (b.seed ?? 0)), name: runs[0].experiment, ...outcome(runs)}));
  return list.filter(wanted).sort(order());
}

function outcome(runs) {
  const accuracies = runs.map((run) => run.test_accuracy).filter((value) => value !== null && value !== undefined);
  const losses = runs.map((run) => run.test_loss).filter((value) => value !== null && value !== undefined);
  const values = accuracies.length ? accuracies : losses;
  return {values, column: accuracies.length ? "test_accuracy" : "test_loss", mean: values.length ? values.reduce((a, b) => a + b, 0) / values.length : null};
}

function wanted(group) {
  const text = [group.name, ...Object.entries(settings[group.key] ?? {}).map(([key, value]) => `${key}=${value}`), ...group.runs.map((run) => `${run.name} ${STATUS[run.status]} ${run.contract}`)].join(" ").toLowerCase();
  return byId("filter").value.toLowerCase().split(/\s+/).every((part) => text.includes(part));
}

function order() {
  const by = byId("sort").value;
  const name = (a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}) || label(a).localeCompare(label(b), undefined, {numeric: true});
  const open = (group) => group.runs.some((run) => ["running", "waiting", "silent"].includes(run.status)) ? 0 : 1;
  if (by === "value") return (a, b) => (b.mean ?? -1) - (a.mean ?? -1) || name(a, b);
  if (by === "runs") return (a, b) => b.runs.length - a.runs.length || name(a, b);
  if (by === "changed") return (a, b) => open(a) - open(b) || name(a, b);
  return name;
}

const label = (group) => Object.entries(settings[group.key] ?? {}).map(([key, value]) => `${key} ${value}`).join(", ");

const draw = gathered(() => {
  const list = groups(), seen = new Set();
  const table = byId("list").querySelector("table") ?? newTable();
  const body = table.tBodies[0];
  let before = null;
  for (const group of list) {
    seen.add(group.key);
    const text = JSON.stringify([group.runs, label(group), chosen.has(group.key), unfolded.has(group.key)]);
    let rows = drawn.get(group.key);
    if (!rows || rows.text !== text) {
      const fresh = rowsOf(group);
      const focused = rows?.elements.some((element) => element.contains(document.activeElement)) ? document.activeElement.dataset.role : null;
      rows?.elements.forEach((element) => element.remove());
      rows = {text, elements: fresh};
      drawn.set(group.key, rows);
      for (const element of fresh) place(body, element, before), before = element;
      if (focused) fresh[0].querySelector(`[data-role="${focused}"]`)?.focus();
    } else {
      for (const element of rows.elements) place(body, element, before), before = element;
    }
  }
  for (const [key, rows] of drawn) {
    if (seen.has(key)) continue;
    rows.elements.forEach((element) => element.remove());
    drawn.delete(key);
  }
  table.hidden = !list.length;
  summary(list);
}, 200);

function place(body, element, before) {
  const next = before ? before.nextSibling : body.firstChild;
  if (element !== next) body.insertBefore(element, next);
}

function newTable() {
  const headings = ["choose", "experiment", "curve", "seeds", "test", "contract", "state"];
  const table = make("table", {class: "many runs", role: "table"}, make("caption", {class: "unseen"}, "Runs, grouped by everything but the seed"),
    make("thead", {role: "rowgroup"}, make("tr", {role: "row"}, headings.map((text) => make("th", {scope: "col", role: "columnheader"}, text)))), make("tbody", {role: "rowgroup"}));
  byId("list").replaceChildren(table);
  return table;
}

const cell = (name, ...children) => make("td", {role: "cell", "data-label": name}, make("span", {}, ...children));

function rowsOf(group) {
  const {runs, key} = group, alone = runs.length === 1;
  const title = [group.name, label(group)].filter(Boolean).join(": ");
  const name = alone
    ? make("a", {href: `/run/${runs[0].key}`, "data-role": "open"}, group.name)
    : make("button", {type: "button", class: "link", "aria-expanded": String(unfolded.has(key)), "data-role": "open", onclick: () => unfold(key)}, group.name);
  const box = make("input", {type: "checkbox", "aria-label": `Choose ${title}`, "data-role": "choose", onchange: () => choose(key)});
  box.checked = chosen.has(key);
  const differing = Object.entries(settings[key] ?? {}).map(([setting, value]) => make("span", {class: "setting"}, make("code", {}, setting), ` ${value}`));
  const lines = runs.filter((run) => run.spark_of === runs[0].spark_of).map((run) => run.spark);
  const head = make("tr", {role: "row", class: `group${alone ? "" : " several"}`, "data-group": key},
    make("td", {role: "cell", class: "choose"}, box),
    make("th", {scope: "row", role: "rowheader"}, name, ...differing, make("small", {}, alone ? runs[0].name : folder(runs[0]))),
    cell("curve", lines.some((line) => line.length) ? spark(lines, runs[0].spark_of, points(runs[0])) : runs[0].imported ? "imported, not trained here" : "no epoch yet"),
    cell("seeds", seeds(runs)), cell("test", result(group)), contract(runs), cell("state", ...state(runs)));
  return unfolded.has(key) && !alone ? [head, ...runs.map(seedRow)] : [head];
}

/** The folder that a group lies in: a study's, or the one that was listed. */
const folder = (run) => run.name.split("/").slice(0, -2).join("/").replace(/\/runs$/, "");

/** How many points the drawing of the whole training will have. */
function points(run) {
  const every = Math.max(1, Math.ceil(run.done / 40));
  return Math.ceil(run.epochs / every);
}

function seedRow(run) {
  return make("tr", {role: "row", class: "seed"}, make("td", {role: "cell"}),
    make("th", {scope: "row", role: "rowheader"}, make("a", {href: `/run/${run.key}`}, `seed ${run.seed ?? "?"}`), make("small", {}, run.name)),
    cell("curve", run.spark.length ? spark([run.spark], run.spark_of, points(run)) : run.imported ? "imported, not trained here" : "no epoch yet"),
    cell("seeds", ""), cell("test", run.test_accuracy !== null ? percent(run.test_accuracy) : run.test_loss !== null ? `loss ${valueText("test_loss", run.test_loss)}` : latest(run)),
    contract([run]), cell("state", ...state([run])));
}

const seeds = (runs) => runs.length === 1 ? `seed ${runs[0].seed ?? "?"}` : `${runs.length} seeds`;

function latest(run) {
  const value = run.last?.[run.spark_of];
  return value === undefined ? "" : make("span", {class: "so-far"}, `${words(run.spark_of)} ${valueText(run.spark_of, value)}`);
}

function result(group) {
  if (!group.values.length) return latest(group.runs[0]);
  const text = (value) => group.column === "test_accuracy" ? percent(value) : `loss ${valueText("test_loss", value)}`;
  if (group.values.length === 1) return text(group.values[0]);
  const bare = (value) => text(value).replace(" %", "").replace("loss ", "");
  return make("span", {}, text(group.mean), make("small", {}, `${bare(Math.min(...group.values))} to ${bare(Math.max(...group.values))}`));
}

function contract(runs) {
  const judged = runs.filter((run) => run.contract);
  const kept = judged.filter((run) => run.contract !== "not kept").length;
  const text = !judged.length ? "" : runs.length === 1 ? judged[0].contract : `kept by ${kept} of ${judged.length}`;
  return make("td", {role: "cell", "data-label": "contract", class: judged.length ? (kept === judged.length ? "good" : "bad") : ""}, make("span", {}, text));
}

function state(runs) {
  const counts = new Map();
  for (const run of runs) counts.set(run.status, (counts.get(run.status) ?? 0) + 1);
  const parts = [...counts].map(([status, count]) => make("span", {class: BAD.includes(status) ? "word bad" : "word"}, runs.length === 1 ? STATUS[status] : `${count} ${STATUS[status]}`));
  const open = runs.filter((run) => ["running", "waiting", "silent"].includes(run.status) && run.epochs);
  if (open.length) {
    const done = open.reduce((sum, run) => sum + run.done, 0), all = open.reduce((sum, run) => sum + run.epochs, 0);
    parts.push(make("progress", {max: all, value: done, "aria-label": `${done} of ${all} epochs`}));
    const left = Math.max(...open.map((run) => run.seconds_left ?? 0));
    parts.push(make("small", {}, `epoch ${open.length === 1 ? open[0].done : done} of ${all}${left ? `, about ${duration(left)} left` : ""}`));
  }
  if (runs.length === 1 && runs[0].problem) parts.push(make("small", {class: "bad"}, runs[0].problem));
  else if (runs.length === 1 && ["silent", "diverged"].includes(runs[0].status)) parts.push(make("small", {}, runs[0].sentence));
  return parts;
}

function summary(list) {
  const all = [...states.values()], open = all.filter((run) => ["running", "waiting"].includes(run.status)).length;
  const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
  byId("summary").textContent = all.length
    ? `${count(all.length, "run")} in ${count(new Set(all.map((run) => run.group)).size, "group")}${open ? `, ${open} in progress` : ""}${list.length && byId("filter").value ? `; the filter keeps ${count(list.length, "group")}` : ""}`
    : "There is no run here yet. In a terminal: classlab run digits-quick";
}

// What is done.

function unfold(key) {
  unfolded.has(key) ? unfolded.delete(key) : unfolded.add(key);
  draw();
}

function choose(key) {
  chosen.has(key) ? chosen.delete(key) : chosen.add(key);
  byId("compare").disabled = !chosen.size;
  draw();
}

function compare() {
  const keys = [...states.values()].filter((run) => chosen.has(run.group)).map((run) => run.key);
  if (keys.length) location.href = `/compare?${keys.map((key) => `run=${key}`).join("&")}`;
}

const readSettings = gathered(async () => {
  const groups = [...new Set([...states.values()].map((state) => state.group))].sort().join();
  if (groups === known) return;
  known = groups;
  settings = await tried(() => get("/api/settings")) ?? settings;
  draw();
}, 1500);

function take(changed) {
  for (const state of changed) {
    const before = states.get(state.key);
    states.set(state.key, state);
    if (!before) continue;
    const which = `${state.experiment}, seed ${state.seed}`;
    if (before.status !== state.status) say(`${which}: ${state.problem || state.sentence}`, true);
    else if (state.done > before.done) say(`${which}: epoch ${state.done} of ${state.epochs}, ${words(state.spark_of)} ${valueText(state.spark_of, state.last[state.spark_of])}`);
  }
  readSettings();
  draw();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const rows = [...document.querySelectorAll("tr.group")];
  const at = rows.indexOf(document.activeElement.closest?.("tr.group"));
  const go = (to) => rows[Math.max(0, Math.min(rows.length - 1, to))]?.querySelector("[data-role=open]").focus();
  const key = rows[at]?.dataset.group;
  const actions = {"/": () => byId("filter").focus(), j: () => go(at + 1), k: () => go(at < 0 ? 0 : at - 1), x: () => key && choose(key), o: () => key && unfold(key), c: compare};
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

byId("filter").addEventListener("input", draw);
byId("sort").addEventListener("change", draw);
byId("compare").addEventListener("click", compare);
byId("sieve").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", keys);
follow("/events/runs", {
  all: (list) => { const here = new Set(list.map((state) => state.key)); for (const key of [...states.keys()]) if (!here.has(key)) states.delete(key); take(list); },
  changed: take,
  gone: (list) => { for (const key of list) { say(`${capital(states.get(key)?.name ?? "a run")} is gone.`, true); states.delete(key); } problem(""); draw(); },
});

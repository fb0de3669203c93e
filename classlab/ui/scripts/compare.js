// Compare: what may be believed on top, what differs on the left, the curves beside it, and the runs to choose from.
import {byId, get, make, say, tried, words} from "/static/frame.js";
import {drawAll} from "/static/chart.js";
import {Variants} from "/static/variants.js";

const keys = new URLSearchParams(location.search).getAll("run");
let variants = null;

async function compare() {
  const found = await tried(() => get(`/api/comparison?${keys.map((key) => `run=${key}`).join("&")}`));
  if (!found) return;
  byId("answer").innerHTML = found.html; // made by our own templates, which escape every text
  byId("differs").innerHTML = found.differences;
  byId("subtitle").textContent = `${keys.length} run${keys.length === 1 ? "" : "s"}, ${Object.keys(found.variants).length} variant${Object.keys(found.variants).length === 1 ? "" : "s"}. Runs that differ in their seed alone are one variant; the first is the baseline.`;
  say(found.sentence, true);
  await drawAll(byId("answer"));
  if (!variants) {
    variants = new Variants(found.variants, told);
    byId("metric").addEventListener("change", () => { variants.metric = byId("metric").value; variants.draw(); });
    metrics();
  }
}

const ended = new Map();
function told(state) {
  metrics();
  const over = ["finished", "diverged", "did_not_learn"].includes(state.status);
  if (ended.get(state.key) === false && over) compare(); // what may be believed has changed
  ended.set(state.key, over);
}

function metrics() {
  const columns = variants?.columns ?? [], select = byId("metric");
  if (select.dataset.columns === columns.join()) return;
  select.dataset.columns = columns.join();
  const now = select.value;
  select.replaceChildren(...columns.map((name) => make("option", {value: name}, words(name))));
  if (columns.includes(now)) select.value = now;
}

async function choices() {
  const runs = await tried(() => get("/api/runs"));
  if (!runs) return;
  runs.sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}));
  const boxes = runs.map((run) => {
    const box = make("input", {type: "checkbox", value: run.key, name: "run"});
    box.checked = keys.includes(run.key);
    return make("label", {class: "choice"}, box, ` ${run.experiment}, seed ${run.seed ?? "?"} `, make("small", {}, run.name));
  });
  byId("choose").replaceChildren(make("div", {class: "columns"}, ...boxes), make("p", {class: "tools"}, make("button", {type: "submit"}, "Compare these")));
}

if (keys.length) compare();
choices();

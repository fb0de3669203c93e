// A study: variants by seeds as a board that fills, the answer so far, the mean curves, and what is left.
import {byId, capital, duration, gathered, get, make, say, tried, valueText} from "/static/frame.js";
import {drawAll} from "/static/chart.js";
import {Variants} from "/static/variants.js";

const key = byId("main").dataset.key, SECONDS_BETWEEN_PLANS = 4;
let board = null, variants = null, sentence = "", asked = false;
const cells = new Map();

const byVariant = () => {
  const found = {};
  for (const run of board.runs) (found[run.variant] ??= []).push(run.key);
  return found;
};

function drawBoard() {
  const seeds = [...new Set(board.runs.map((run) => run.seed))].sort((a, b) => a - b);
  const names = Object.keys(byVariant());
  cells.clear();
  byId("board").tHead.replaceChildren(make("tr", {}, make("th", {scope: "col"}, "variant"), seeds.map((seed) => make("th", {scope: "col", class: "num"}, `seed ${seed}`))));
  byId("board").tBodies[0].replaceChildren(...names.map((name) => make("tr", {}, make("th", {scope: "row"}, name), seeds.map((seed) => {
    const run = board.runs.find((planned) => planned.variant === name && planned.seed === seed);
    const place = make("td", {class: "num"}, run ? "" : "–");
    if (run) { cells.set(run.key, {place, run}); drawCell(run.key); }
    return place;
  }))));
}

function drawCell(run) {
  const found = cells.get(run);
  if (!found) return;
  const state = variants?.states.get(run), {place} = found;
  const text = found.run.failure && !state?.test_accuracy ? "failed" : !state ? "not begun" : cellText(state);
  place.className = `num ${["diverged", "did_not_learn", "silent", "broken"].includes(state?.status) || text === "failed" ? "bad" : ""}`;
  const content = state ? make("a", {href: `/run/${run}`}, text) : text;
  place.replaceChildren(content, ...(state && ["running", "silent"].includes(state.status) ? [make("progress", {max: Math.max(1, state.epochs), value: state.done, "aria-label": `${state.done} of ${state.epochs} epochs`})] : []));
  place.title = found.run.failure || state?.problem || state?.sentence || "";
}

function cellText(state) {
  if (state.status === "finished") return state.test_accuracy !== null ? valueText("test_accuracy", state.test_accuracy) : valueText("test_loss", state.test_loss);
  if (["running", "silent"].includes(state.status)) return `${state.done}/${state.epochs}${state.status === "silent" ? " silent" : ""}`;
  return {did_not_learn: "did not learn", broken: "cannot be read"}[state.status] ?? state.status;
}

function left() {
  const states = board.runs.map((run) => variants?.states.get(run.key));
  const over = (state, run) => run.failure || ["finished", "diverged", "did_not_learn"].includes(state?.status);
  const done = board.runs.filter((run, place) => over(states[place], run)).length;
  const open = states.filter((state) => state && ["running", "waiting"].includes(state.status));
  const times = states.filter((state) => state?.status === "finished").map((state) => state.seconds);
  const usual = times.length ? times.sort((a, b) => a - b)[Math.floor(times.length / 2)] : Math.max(0, ...open.map((state) => state.seconds + (state.seconds_left ?? 0)));
  const waiting = board.runs.length - done - open.length;
  const seconds = (waiting * usual + open.reduce((sum, state) => sum + (state.seconds_left ?? usual), 0)) / Math.max(1, open.length);
  byId("progress").max = Math.max(1, board.runs.length);
  byId("progress").value = done;
  byId("progress").hidden = done === board.runs.length;
  byId("left").textContent = done === board.runs.length ? `All ${done} runs have ended.` : `${done} of ${board.runs.length} runs have ended, ${open.length} train now, ${waiting} wait${seconds && open.length ? `; about ${duration(seconds)} left` : ""}.`;
}

const answer = gathered(async () => {
  if (asked) return;
  asked = true;
  const found = await tried(() => get(`/api/study/${key}/answer`));
  asked = false;
  if (!found) return;
  byId("subtitle").textContent = found.question || byId("subtitle").dataset.name || "";
  if (found.sentence !== sentence) {
    byId("answer").innerHTML = found.html; // made by our own templates, which escape every text
    say(capital(found.sentence), Boolean(sentence));
    await drawAll(byId("answer"));
  }
  sentence = found.sentence;
  if (variants && !variants.metric) { variants.metric = found.metric; variants.grow(); }
}, 1500);

const ended = new Set();
function told(state) {
  drawCell(state.key);
  left();
  const over = ["finished", "diverged", "did_not_learn"].includes(state.status);
  if (over && !ended.has(state.key)) { ended.add(state.key); answer(); }
}

async function readPlan() {
  const found = await tried(() => get(`/api/study/${key}`));
  if (!found) return;
  const before = board && JSON.stringify(board.runs), now = JSON.stringify(found.runs);
  if (before === now) return;
  board = found;
  byId("subtitle").dataset.name = found.name;
  const keys = JSON.stringify(byVariant());
  if (!variants || JSON.stringify(variants.variants) !== keys) {
    variants?.end?.();
    variants?.chart.figure.remove();
    variants = new Variants(byVariant(), told);
  }
  drawBoard();
  left();
  answer();
}

readPlan();
setInterval(() => { if (!document.hidden) readPlan(); }, 1000 * SECONDS_BETWEEN_PLANS);

// A run: its curves grow while it trains, every epoch is a row, and the sections of its report stand below.
import {byId, capital, duration, gathered, get, make, percent, problem, say, tried, valueText, words} from "/static/frame.js";
import {LiveChart, drawAll} from "/static/chart.js";
import {follow} from "/static/stream.js";

const key = byId("main").dataset.key, MOST_ROWS = 400; // of the table, so that a page left open for days stays small
let rows = [], state = null, born = null, ended = null;
const charts = new Map(["loss", "accuracy"].map((metric) => [metric, {chart: new LiveChart(byId("charts"), () => rows), columns: ""}]));

// The state in words.

function draw() {
  byId("title").textContent = state.seed === null ? state.name : `${state.experiment}, seed ${state.seed}`;
  const facts = [state.name, state.parameters ? `${state.parameters.toLocaleString("en")} parameters` : "", state.seconds ? `${duration(state.seconds)} of training` : ""];
  byId("subtitle").textContent = facts.filter(Boolean).join(" · ");
  const bad = ["diverged", "did_not_learn", "broken", "silent"].includes(state.status) || state.contract === "not kept";
  const word = state.imported ? "Imported" : {finished: state.contract ? `Contract ${state.contract}` : "Finished", did_not_learn: "Did not learn", broken: "Cannot be read", silent: "Silent"}[state.status] ?? capital(state.status);
  byId("word").textContent = word;
  byId("verdict").className = `verdict ${bad ? "bad" : state.status === "finished" && !state.imported ? "good" : "plain"}`;
  const tested = state.test_accuracy !== null ? `, ${percent(state.test_accuracy)} of the test images right` : state.test_loss !== null ? `, test loss ${valueText("test_loss", state.test_loss)}` : "";
  byId("sentence").textContent = `${capital(state.problem || state.sentence)}${state.problem ? "" : tested}.`;
  const progress = byId("progress");
  progress.max = Math.max(1, state.epochs);
  progress.value = state.done;
  progress.hidden = !["running", "waiting", "silent"].includes(state.status);
  for (const heading of ["h-curves", "h-epochs"]) byId(heading).parentElement.hidden = state.imported;
  problem(state.problem ? `${capital(state.problem)}.` : "", "folder");
  document.title = `${state.status === "running" ? `${state.done}/${state.epochs} ` : ""}${state.experiment}, seed ${state.seed} · classlab`;
}

// Epochs.

function columns() {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

function table(from) {
  const names = columns(), [head, body] = [byId("epochs").tHead, byId("epochs").tBodies[0]];
  if (head.dataset.names !== names.join()) {
    head.dataset.names = names.join();
    head.replaceChildren(make("tr", {}, names.map((name) => make("th", {scope: "col", class: "num"}, words(name)))));
    from = 0;
  }
  if (!from) body.replaceChildren();
  for (const row of rows.slice(Math.max(from, rows.length - MOST_ROWS))) {
    const cells = names.map((name) => make(name === "epoch" ? "th" : "td", {class: "num whole", ...(name === "epoch" ? {scope: "row"} : {})}, row[name] === null ? "not finite" : valueText(name, row[name])));
    body.prepend(make("tr", {}, cells)); // the newest first
  }
  while (body.rows.length > MOST_ROWS) body.lastChild.remove();
  byId("older").hidden = rows.length <= MOST_ROWS;
}

// Curves. The chart of each metric is made once its columns are known, and again when the run ends, for its marks.

async function curves(again) {
  const known = columns().join();
  for (const [metric, drawn] of charts) {
    const measured = known.includes(`_${metric}`);
    drawn.chart.figure.hidden = !measured;
    if (!measured) continue;
    if (!again && drawn.columns === known) {
      drawn.chart.update();
      continue;
    }
    drawn.columns = known;
    const epochs = Math.max(1, state?.epochs ?? 0, rows.length);
    const found = await tried(() => get(`/api/run/${key}/curves?metric=${metric}&epochs=${epochs}`));
    if (found) await tried(() => drawn.chart.show(found));
    else drawn.columns = "";
  }
}

const grow = gathered(() => curves(false), 60);

// The report's sections, once the run has ended; before that those which are known.

async function sections() {
  const found = await tried(() => get(`/api/sections/run/${key}`));
  if (!found) { byId("waiting").textContent = "The report's sections cannot be made."; return; }
  const made = found.map((section, place) => {
    const heading = make("h2", {id: `h-part-${place}`}, section.title), body = make("div");
    body.innerHTML = section.html; // made by our own templates, which escape every text
    return make("section", {"aria-labelledby": `h-part-${place}`}, heading, ...body.childNodes);
  });
  byId("sections").replaceChildren(...made);
  await tried(() => drawAll(byId("sections")));
}

function told(news) {
  if (born !== null && news.born !== born) { say("The run was replaced by another; its rows come again.", true); rows = []; }
  born = news.born;
  if (news.anew) rows = [];
  rows.length = Math.min(rows.length, news.from);
  const from = rows.length;
  rows.push(...news.rows);
  table(from);
  grow();
  const last = rows[rows.length - 1];
  if (!last) return;
  const column = ["val_accuracy", "train_accuracy", "val_loss", "train_loss"].find((name) => last[name] !== undefined && last[name] !== null);
  if (column) say(`Epoch ${last.epoch}${state ? ` of ${state.epochs}` : ""}: ${words(column)} ${valueText(column, last[column])}.`);
}

function changed(now) {
  const before = state;
  state = now;
  draw();
  if (before && before.status !== now.status) say(`${capital(now.problem || now.sentence)}.`, true);
  const over = ["finished", "diverged", "did_not_learn"].includes(now.status);
  if (ended !== over) {
    ended = over;
    if (over && before) curves(true);
    sections();
  }
}

follow(`/events/rows?run=${key}`, {
  rows: told,
  state: changed,
  gone: () => {
    problem("The run's folder is gone. What stands here is what was read before.", "folder");
    say("The run's folder is gone.", true);
    byId("word").textContent = "Gone";
    byId("verdict").className = "verdict bad";
    byId("sentence").textContent = "The run's folder was deleted or moved.";
  },
});

// Studies: how far each is.
import {byId, capital, get, make, tried} from "/static/frame.js";

const SECONDS = 3;

async function draw() {
  const found = await tried(() => get("/api/studies"));
  if (!found) return;
  byId("summary").textContent = found.length ? `${found.length} stud${found.length === 1 ? "y" : "ies"}` : "There is no study here yet. In a terminal: classlab study cifar-depth --dry-run";
  const rows = found.map((study) => make("tr", {},
    make("th", {scope: "row"}, make("a", {href: `/study/${study.key}`}, study.name.split("/").pop()), make("small", {}, study.name)),
    make("td", {class: "num"}, study.problem ? "" : String(study.variants)),
    make("td", {}, study.problem ? make("span", {class: "bad word"}, capital(study.problem)) : [make("progress", {max: Math.max(1, study.runs), value: study.ended, "aria-label": `${study.ended} of ${study.runs} runs`}), make("small", {}, `${study.ended} of ${study.runs} runs have ended${study.failed ? `, ${study.failed} failed` : ""}`)])));
  const table = make("table", {}, make("caption", {class: "unseen"}, "Studies"), make("thead", {}, make("tr", {}, ["study", "variants", "runs"].map((text) => make("th", {scope: "col", class: text === "variants" ? "num" : ""}, text)))), make("tbody", {}, rows));
  byId("list").replaceChildren(...(found.length ? [table] : []));
}

draw();
setInterval(() => { if (!document.hidden && !byId("list").contains(document.activeElement)) draw(); }, 1000 * SECONDS);

// An answer of a network: the class, its probability and whether it is unsure, the likeliest classes, what it saw.
import {byId, make, percent} from "/static/frame.js";

export function showAnswer(answer) {
  byId("word").textContent = answer.class ?? "–";
  byId("word").className = `answer-word ${answer.unsure ? "unsure" : ""}`;
  byId("sentence").textContent = `${answer.unsure ? "unsure: " : ""}${answer.class} ${percent(answer.probability, 1)}${answer.note ? ` (${answer.note})` : ""}`;
  byId("bars").replaceChildren(...answer.top.map((part) => make("li", {}, make("span", {}, part.class), make("meter", {min: 0, max: 1, value: part.probability, "aria-label": part.class}), make("span", {class: "num"}, percent(part.probability, 1)))));
  const seen = byId("seen");
  seen.hidden = false;
  seen.querySelector("img").src = answer.seen;
  seen.querySelector("img").alt = `What the network really saw, ${answer.size} pixels`;
  seen.querySelector("figcaption").textContent = `What the network really saw: ${answer.size} pixels, prepared: ${answer.prepared}.`;
}

/** Fill a list of networks to ask, those that have ended first; the address may choose one. */
export function networks(select, runs) {
  const usable = runs.filter((run) => ["finished", "did_not_learn"].includes(run.status) && run.test_accuracy !== null);
  usable.sort((a, b) => b.test_accuracy - a.test_accuracy);
  select.replaceChildren(...usable.map((run) => make("option", {value: run.key}, `${run.experiment}, seed ${run.seed}: ${percent(run.test_accuracy)}`)));
  const wanted = new URLSearchParams(location.search).get("run");
  if (usable.some((run) => run.key === wanted)) select.value = wanted;
  return usable.length > 0;
}

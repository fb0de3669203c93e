// Draw: mouse, finger, pen and keyboard on one paper; the network answers while the stroke grows.
import {byId, get, post, problem, say, tried} from "/static/frame.js";
import {networks, showAnswer} from "/static/answer.js";
import {strokesOn} from "/static/strokes.js";

let busy = false, again = false, changes = 0;
const paper = strokesOn(byId("paper"), {width: 22, changed: () => { changes += 1; ask(); }, say: (sentence) => say(sentence, true)});

// The answer. One question at a time; while it is answered the paper may change, and the newest is asked next.

function picture() {
  const url = paper.plainly((canvas) => canvas.toDataURL("image/png"));
  return url.slice(url.indexOf(",") + 1);
}

async function ask() {
  if (paper.empty()) { byId("word").textContent = "–"; byId("sentence").textContent = "Draw something."; byId("bars").replaceChildren(); byId("seen").hidden = true; return; }
  if (!byId("run").value) return;
  if (busy) { again = true; return; }
  busy = true;
  byId("word").parentElement.setAttribute("aria-busy", "true");
  do {
    again = false;
    const asked = changes;
    const answer = await tried(() => post("/api/predict", {run: byId("run").value, picture: picture()}));
    if (answer && !paper.empty()) {
      showAnswer(answer);
      if (asked === changes) say(answer.unsure ? `Unsure: ${answer.sentence}` : answer.sentence);
    }
  } while (again && !paper.empty());
  busy = false;
  byId("word").parentElement.setAttribute("aria-busy", "false");
}

byId("wipe").addEventListener("click", paper.wipe);
byId("undo").addEventListener("click", paper.undo);
byId("run").addEventListener("change", ask);
byId("look").addEventListener("click", () => {
  if (paper.empty()) return problem("Draw something first.");
  sessionStorage.setItem("drawing", picture());
  location.href = `/inside?run=${byId("run").value}&drawing=1`;
});
const runs = await tried(() => get("/api/runs"));
if (runs && !networks(byId("run"), runs)) problem("No run here has ended that names classes. In a terminal: classlab run digits-quick");

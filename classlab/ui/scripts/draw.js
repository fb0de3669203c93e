// Draw: mouse, finger, pen and keyboard on one paper; the network answers while the stroke grows.
import {byId, get, post, problem, say, tried} from "/static/frame.js";
import {networks, showAnswer} from "/static/answer.js";

const paper = byId("paper"), ink = paper.getContext("2d"), SIDE = paper.width, WIDTH = 22, STEP = 8;
let strokes = [], current = null, pen = {x: SIDE / 2, y: SIDE / 2}, down = false;
let busy = false, again = false, changes = 0, keyboard = false;

// The paper. Dark ink on white in both schemes, as a pen has it.

function redraw() {
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, SIDE, SIDE);
  ink.strokeStyle = ink.fillStyle = "#000";
  ink.lineWidth = WIDTH;
  ink.lineCap = ink.lineJoin = "round";
  for (const stroke of strokes) {
    ink.beginPath();
    ink.moveTo(stroke[0].x, stroke[0].y);
    for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) ink.lineTo(point.x + 0.01, point.y);
    ink.stroke();
  }
}

function marked() {
  redraw();
  if (document.activeElement !== paper || !keyboard) return;
  ink.strokeStyle = down ? "#b0372b" : "#3567a8"; // where the pen of the keyboard is
  ink.lineWidth = 3;
  ink.beginPath();
  ink.arc(pen.x, pen.y, 14, 0, 7);
  ink.stroke();
}

function at(event) {
  const box = paper.getBoundingClientRect();
  return {x: ((event.clientX - box.left) * SIDE) / box.width, y: ((event.clientY - box.top) * SIDE) / box.height};
}

function begin(point) { current = [point]; strokes.push(current); changed(); }
function go(point) { current?.push(point); changed(); }

function changed() { changes += 1; marked(); ask(); }

paper.addEventListener("pointerdown", (event) => { event.preventDefault(); keyboard = false; paper.focus({preventScroll: true}); paper.setPointerCapture(event.pointerId); begin(at(event)); });
paper.addEventListener("pointermove", (event) => { if (current && !down && event.buttons) for (const part of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) go(at(part)); });
for (const name of ["pointerup", "pointercancel"]) paper.addEventListener(name, () => { if (!down) current = null; });
paper.addEventListener("focus", marked);
paper.addEventListener("blur", marked);
paper.addEventListener("keydown", (event) => {
  keyboard = true;
  const far = event.shiftKey ? 4 * STEP : STEP;
  const moves = {ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far]};
  if (moves[event.key]) {
    pen = {x: Math.min(SIDE, Math.max(0, pen.x + moves[event.key][0])), y: Math.min(SIDE, Math.max(0, pen.y + moves[event.key][1]))};
    if (down) go({...pen}); else marked();
  } else if (event.key === " ") {
    down = !down;
    if (down) begin({...pen}); else current = null;
    marked();
    say(down ? "The pen is down." : "The pen is up.", true);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    wipe();
  } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
    undo();
  } else return;
  event.preventDefault();
});

function wipe() { strokes = []; current = null; down = false; changed(); }
function undo() { strokes.pop(); current = null; down = false; changed(); }

// The answer. One question at a time; while it is answered the paper may change, and the newest is asked next.

function picture() { redraw(); const url = paper.toDataURL("image/png"); marked(); return url.slice(url.indexOf(",") + 1); }

async function ask() {
  if (!strokes.length) { byId("word").textContent = "–"; byId("sentence").textContent = "Draw something."; byId("bars").replaceChildren(); byId("seen").hidden = true; return; }
  if (!byId("run").value) return;
  if (busy) { again = true; return; }
  busy = true;
  byId("word").parentElement.setAttribute("aria-busy", "true");
  do {
    again = false;
    const asked = changes;
    const answer = await tried(() => post("/api/predict", {run: byId("run").value, picture: picture()}));
    if (answer && strokes.length) {
      showAnswer(answer);
      if (asked === changes) say(answer.unsure ? `Unsure: ${answer.sentence}` : answer.sentence);
    }
  } while (again && strokes.length);
  busy = false;
  byId("word").parentElement.setAttribute("aria-busy", "false");
}

byId("wipe").addEventListener("click", wipe);
byId("undo").addEventListener("click", undo);
byId("run").addEventListener("change", ask);
byId("look").addEventListener("click", () => {
  if (!strokes.length) return problem("Draw something first.");
  sessionStorage.setItem("drawing", picture());
  location.href = `/inside?run=${byId("run").value}&drawing=1`;
});
redraw();
const runs = await tried(() => get("/api/runs"));
if (runs && !networks(byId("run"), runs)) problem("No run here has ended that names classes. In a terminal: classlab run digits-quick");

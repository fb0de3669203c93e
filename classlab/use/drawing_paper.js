// A paper to draw on in a notebook; the kernel answers. Mouse, finger and pen.
const SIDE = 252, WIDTH = 17;

function render({model, el}) {
  const paper = Object.assign(document.createElement("canvas"), {width: SIDE, height: SIDE});
  paper.style.cssText = "border:1px solid #888;background:#fff;touch-action:none;cursor:crosshair";
  const ink = paper.getContext("2d"), wipe = document.createElement("button"), words = document.createElement("p"), seen = document.createElement("img");
  wipe.textContent = "Wipe";
  words.setAttribute("role", "status");
  words.textContent = "Draw something.";
  seen.style.cssText = `width:${SIDE / 3}px;image-rendering:pixelated`;
  seen.alt = "What the network saw";
  let drawing = false, timer = null;
  const clear = () => { ink.fillStyle = "#fff"; ink.fillRect(0, 0, SIDE, SIDE); };
  const send = (picture) => { model.set("picture", picture); model.save_changes(); };
  const later = () => { timer ??= setTimeout(() => { timer = null; send(paper.toDataURL("image/png").split(",")[1]); }, 150); };
  const at = (event) => { const box = paper.getBoundingClientRect(); return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height]; };
  paper.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    paper.setPointerCapture(event.pointerId);
    drawing = true;
    Object.assign(ink, {lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: "#000"});
    ink.beginPath();
    ink.moveTo(...at(event));
  });
  paper.addEventListener("pointermove", (event) => { if (!drawing) return; ink.lineTo(...at(event)); ink.stroke(); later(); });
  paper.addEventListener("pointerup", () => { drawing = false; later(); });
  wipe.addEventListener("click", () => { clear(); send(""); });
  model.on("change:answer", () => {
    const answer = model.get("answer");
    words.textContent = answer.error ?? answer.sentence ?? "Draw something.";
    seen.hidden = !answer.seen;
    if (answer.seen) seen.src = answer.seen;
  });
  clear();
  seen.hidden = true;
  el.append(paper, document.createElement("br"), wipe, words, seen);
}

export default {render};

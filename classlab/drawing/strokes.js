// A paper for strokes: mouse, finger, pen and keyboard on one canvas. Dark ink on white in both schemes, as a pen has it.

/**
 * Let a canvas be drawn on. width: of the pen, in the canvas's pixels. changed: called after each change of the strokes.
 * say: called with a sentence for who cannot see the paper. Returns what a page asks of its paper.
 */
export function strokesOn(paper, {width, changed, say}) {
  const ink = paper.getContext("2d", {willReadFrequently: true}), side = paper.width, STEP = side / 42;
  let strokes = [], current = null, pen = {x: side / 2, y: side / 2}, down = false, keyboard = false;

  function redraw() {
    ink.fillStyle = "#fff";
    ink.fillRect(0, 0, side, side);
    ink.strokeStyle = ink.fillStyle = "#000";
    ink.lineWidth = width;
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
    return {x: ((event.clientX - box.left) * side) / box.width, y: ((event.clientY - box.top) * side) / box.height};
  }

  function after() { marked(); changed(); }
  function begin(point) { current = [point]; strokes.push(current); after(); }
  function go(point) { current?.push(point); after(); }
  function wipe() { strokes = []; current = null; down = false; after(); }
  function undo() { strokes.pop(); current = null; down = false; after(); }

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
      pen = {x: Math.min(side, Math.max(0, pen.x + moves[event.key][0])), y: Math.min(side, Math.max(0, pen.y + moves[event.key][1]))};
      if (down) go({...pen}); else marked();
    } else if (event.key === " ") {
      down = !down;
      if (down) begin({...pen}); else current = null;
      marked();
      say(down ? "The pen is down." : "The pen is up.");
    } else if (event.key === "Delete" || event.key === "Backspace") {
      wipe();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      undo();
    } else return;
    event.preventDefault();
  });
  redraw();

  return {
    wipe,
    undo,
    empty: () => strokes.length === 0,
    /** Call a function while the canvas shows the strokes alone, without the mark of the keyboard's pen. */
    plainly(read) { redraw(); const result = read(paper, ink); marked(); return result; },
  };
}

// A curve as a rising or falling tone: the pitch follows the values, two seconds from the first epoch to the last.
import {make} from "/static/frame.js";

const SECONDS = 2, LOW = 220, HIGH = 880; // hertz: two octaves
let context = null;

/** Play some values, the smallest as the lowest tone; a missing one is silent. */
export function play(values) {
  const known = values.filter((value) => Number.isFinite(value));
  if (!known.length) return;
  context ??= new AudioContext();
  context.resume();
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const tone = new OscillatorNode(context, {type: "triangle"}), loud = new GainNode(context, {gain: 0});
  const start = context.currentTime + 0.05;
  values.forEach((value, place) => {
    const when = start + (SECONDS * place) / Math.max(1, values.length - 1);
    const heard = Number.isFinite(value);
    loud.gain.setTargetAtTime(heard ? 0.15 : 0, when, 0.01);
    if (heard) tone.frequency.setTargetAtTime(LOW * (HIGH / LOW) ** ((value - least) / (most - least || 1)), when, 0.02);
  });
  loud.gain.setTargetAtTime(0, start + SECONDS + 0.1, 0.03);
  tone.connect(loud).connect(context.destination);
  tone.start(start);
  tone.stop(start + SECONDS + 0.5);
}

/** Put a button for each curve into a place. rows: gives what the chart draws now. */
export function tones(place, curves, rows, metric) {
  place.replaceChildren(...curves.slice(0, 8).map((curve) => make("button", {
    type: "button", class: "quiet", "aria-label": `Hear ${curve.name}, ${metric.replaceAll("_", " ")}, as a tone`,
    onclick: () => play(rows().filter((row) => row.curve === curve.key).map((row) => row.mean ?? NaN)),
  }, `♪ ${curve.name}`)));
}

// A small drawing of a group's curve: the mean of its seeds and the band between the lowest and the highest.
import {make, valueText, words} from "/static/frame.js";

const WIDTH = 120, HEIGHT = 30, MARGIN = 3;

/** Return the drawing. lines: a list of values for each seed, null where there is none. whole: points at the whole length. */
export function spark(lines, column, whole) {
  const known = lines.flat().filter((value) => value !== null);
  if (!known.length) return make("span", {class: "none"}, "no epoch yet");
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const length = Math.max(2, whole, ...lines.map((line) => line.length));
  const x = (place) => MARGIN + ((WIDTH - 2 * MARGIN) * place) / (length - 1);
  const y = (value) => HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * (value - least)) / (most - least || 1);
  const points = [];
  for (let place = 0; place < Math.max(...lines.map((line) => line.length)); place += 1) {
    const values = lines.map((line) => line[place]).filter((value) => value !== null && value !== undefined);
    if (values.length) points.push({place, mean: values.reduce((a, b) => a + b, 0) / values.length, low: Math.min(...values), high: Math.max(...values)});
  }
  const at = (key) => points.map((point) => `${x(point.place).toFixed(1)},${y(point[key]).toFixed(1)}`);
  const drawn = make("svg", {class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": described(points, column, lines.length)});
  if (lines.length > 1 && points.length > 1) drawn.append(make("path", {class: "band", d: `M${at("low").join("L")}L${at("high").reverse().join("L")}Z`}));
  drawn.append(points.length > 1 ? make("polyline", {points: at("mean").join(" ")}) : make("path", {class: "dot", d: `M${at("mean")[0]}h0`}));
  return drawn;
}

function described(points, column, seeds) {
  const [first, last] = [points[0], points[points.length - 1]].map((point) => valueText(column, point.mean));
  return `${words(column)} from ${first} to ${last}${seeds > 1 ? `, the mean of ${seeds} seeds` : ""}`;
}

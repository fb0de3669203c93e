// The page: what is drawn or chosen goes through the network, and everything that the network made of it is drawn.

const byId = (id) => document.getElementById(id);
const about = JSON.parse(byId("about").textContent), gallery = JSON.parse(byId("images").textContent);
const network = ready(JSON.parse(byId("network").textContent)), last = network.steps.length;
const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;
const short = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");
let values = null, filling = null; // what every step gave for what is looked at now; the layers about to be filled

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Asking the network.

/** The answer to images of one thing, all of which vote. cut: cut out of a drawing by rules, so that more is asked of it. */
function answerOf(images, cut) {
  const found = images.map((image) => forward(network, image)), logits = found.map((steps) => steps[last].values);
  const each = logits.map((row) => probabilities(row, about.temperature));
  const mean = each[0].map((_, index) => each.reduce((sum, row) => sum + row[index], 0) / each.length);
  const leads = logits.map((row) => Math.max(...row) - row.reduce((sum, value) => sum + value, 0) / row.length);
  const order = mean.map((_, index) => index).sort((a, b) => mean[b] - mean[a] || a - b), doubts = [];
  const weak = leads.filter((lead) => lead < about.least_lead).length;
  if (weak > leads.length / 2 || (cut && leads.reduce((sum, lead) => sum + lead, 0) / leads.length < about.more * about.least_lead)) doubts.push("no class leads the others by as much as is usual");
  if (cut && mean[order[0]] < about.likely) doubts.push(`it may be ${about.classes[order[0]]} or ${about.classes[order[1]]}`);
  return {index: order[0], name: about.classes[order[0]], probability: mean[order[0]], probabilities: mean, order, doubts, steps: found[0]};
}

/** Show the network images 0…1 of one thing and draw all that comes of it. truth: what is known of the thing, in words. */
function look(images, cut, truth = "") {
  draw(byId("seen"), network.shape, images[0], 0, 1);
  byId("seen").setAttribute("aria-label", "What the network sees");
  if (about.reconstructs) {
    values = forward(network, images[0]);
    reconstructed(images[0]);
  } else {
    const answer = answerOf(images, cut);
    values = answer.steps;
    showAnswer(answer, truth);
  }
  clearTimeout(filling); // hundreds of maps are drawn once a stroke rests, so that the answer keeps up with the hand
  filling = setTimeout(() => { for (const layer of layers) layer(); workOut(); }, cut ? 150 : 0);
}

function showAnswer(answer, truth) {
  const unsure = answer.doubts.length > 0;
  byId("word").textContent = answer.name;
  byId("word").className = unsure ? "word unsure" : "word";
  byId("sentence").textContent = `${unsure ? "Unsure: " : ""}${answer.name}, ${percent(answer.probability)}${unsure ? ` (${answer.doubts.join("; ")})` : ""}.${truth}`;
  byId("bars").replaceChildren(...answer.order.slice(0, 3).map((index) => make("li", {}, make("span", {}, about.classes[index]), make("meter", {min: 0, max: 1, value: answer.probabilities[index], "aria-label": `Probability of ${about.classes[index]}`}), make("span", {}, percent(answer.probabilities[index])))));
  sayLater(byId("sentence").textContent);
}

function reconstructed(image) {
  const size = image.length / network.mean.length, code = values[about.code];
  const output = values[last].values.map((value, place) => value * network.std[Math.floor(place / size)] + network.mean[Math.floor(place / size)]);
  const error = output.reduce((sum, value, place) => sum + (value - image[place]) ** 2, 0) / output.length;
  draw(byId("again"), network.shape, output, 0, 1);
  drawNumbers(byId("code"), code.values);
  byId("code-words").textContent = `The code: ${code.values.length} numbers, from ${short(Math.min(...code.values))} to ${short(Math.max(...code.values))}`;
  byId("sentence").textContent = `${image.length} numbers, squeezed to ${code.values.length} and reconstructed with a mean squared error of ${short(error)}.`;
  sayLater(byId("sentence").textContent);
}

let waiting = null;
/** Say a sentence to a screen reader once the drawing rests: of many that come fast only the last. */
function sayLater(sentence) {
  clearTimeout(waiting);
  waiting = setTimeout(() => { byId("said").textContent = sentence; }, 800);
}

// Drawing numbers.

/** Draw maps as one picture: three as red, green and blue, one in grey; `low` is black and `high` white. */
function draw(canvas, [maps, rows, columns], numbers, low, high) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), picture = context.createImageData(columns, rows), size = rows * columns;
  for (let place = 0; place < size; place++) {
    for (let colour = 0; colour < 3; colour++) picture.data[4 * place + colour] = (255 * (numbers[(maps === 3 ? colour : 0) * size + place] - low)) / (high - low || 1);
    picture.data[4 * place + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

function drawRange(canvas, shape, numbers) { draw(canvas, [1, ...shape], numbers, Math.min(...numbers), Math.max(...numbers)); }
function drawNumbers(canvas, numbers) { drawRange(canvas, [1, numbers.length], numbers); }

const MOST_MAPS = 256, KINDS = {
  convolution: "convolution", linear: "linear layer", norm: "norm", groupNorm: "group norm", maxPool: "max pool", averagePool: "average pool", adaptiveMax: "max pool", adaptiveAverage: "average pool",
  mean: "mean of each map", reshape: "the same numbers in another shape", slice: "some of the maps", cat: "maps side by side", arithmetic: "number by number", softmax: "softmax", logSoftmax: "logarithm of the softmax",
};
/** Make a layer's place in the page; returns a function that fills it with what the layer gives now. */
function layerOf(step, number) {
  const [maps, rows, columns] = step.shape, pictures = rows * columns > 1; // one number a map is no picture
  const name = step.names.join(" and ");
  const count = pictures ? Math.min(maps, MOST_MAPS) : 1, size = pictures ? rows * columns : sizeOf(step.shape);
  const canvases = Array.from({length: count}, () => make("canvas", {width: 1, height: 1}));
  const kind = step.function ? `${step.function.replace("_", " ")}, ${KINDS[step.kind] ?? "applied to every number"}` : KINDS[step.kind];
  const words = make("p", {class: "caption"}), worked = step.kind === "convolution";
  const tiles = make("div", {class: `maps${pictures ? "" : " numbers"}${worked ? " worked" : ""}`, role: "img", "aria-label": pictures ? `${maps} feature maps of ${name}` : `The ${size} numbers of ${name}`}, ...canvases);
  if (worked) tiles.addEventListener("click", (event) => choosePixel(event, number, canvases.indexOf(event.target), rows, columns));
  byId("layers").append(make("section", {class: "layer", "aria-label": `Layer ${number}: ${name}`}, make("h3", {}, name), words, tiles));
  return () => {
    const numbers = values[number].values, zeros = numbers.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / numbers.length;
    const [low, high] = numbers.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
    words.textContent = `${kind} · ${step.shape.join(" × ")} · from ${short(low)} to ${short(high)}${zeros > 0.005 ? ` · ${percent(zeros)} of it zero` : ""}${pictures && maps > MOST_MAPS ? ` · the first ${MOST_MAPS} maps` : ""}`;
    canvases.forEach((canvas, map) => (pictures ? drawRange(canvas, [rows, columns], numbers.subarray(map * size, (map + 1) * size)) : drawNumbers(canvas, numbers.subarray(0, 1024))));
  };
}
const layers = network.steps.map((step, place) => [step, place + 1]).filter(([step]) => step.kind !== "constant").map(([step, number]) => layerOf(step, number));

// One number, worked out: what the loops of `convolution` add up for it.

const convolutions = network.steps.map((step, place) => [step, place + 1]).filter(([step]) => step.kind === "convolution");
byId("layer")?.append(...convolutions.map(([step, number]) => make("option", {value: number}, step.names.join(" and "))));
for (const id of ["layer", "map", "row", "column"]) byId(id)?.addEventListener("input", () => workOut());

function choosePixel(event, number, map, rows, columns) {
  if (map < 0 || !values) return;
  const box = event.target.getBoundingClientRect(), scale = Math.min(box.width / columns, box.height / rows); // the picture stands in the middle
  const place = (from, length, side, count) => 1 + Math.max(0, Math.min(count - 1, Math.floor((from - (length - side * scale) / 2) / scale)));
  byId("layer").value = number;
  byId("map").value = map + 1;
  byId("row").value = place(event.clientY - box.top, box.height, rows, rows);
  byId("column").value = place(event.clientX - box.left, box.width, columns, columns);
  workOut();
  byId("h-number").scrollIntoView({block: "nearest"});
}

function workOut() {
  if (!values || !byId("layer")) return;
  const number = Number(byId("layer").value), step = network.steps[number - 1], input = values[step.inputs[0]];
  const [o, y, x] = ["map", "row", "column"].map((id, axis) => Math.min(step.shape[axis], Math.max(1, Math.round(Number(byId(id).value)) || 1)) - 1);
  ["map", "row", "column"].forEach((id, axis) => byId(id).setAttribute("max", step.shape[axis]));
  const [high, wide] = step.kernel, framed = withFrame(input, step.padding), [maps, height, width] = framed.shape;
  const reads = maps / step.groups, group = Math.floor(o / (step.shape[0] / step.groups)) * reads, sums = [];
  const factors = (i, v, u) => [
    framed.values[((group + i) * height + y * step.stride[0] + v * step.dilation[0]) * width + x * step.stride[1] + u * step.dilation[1]],
    step.weight[((o * reads + i) * high + v) * wide + u],
  ];
  for (let i = 0; i < reads; i++) {
    sums.push(0);
    for (let v = 0; v < high; v++) for (let u = 0; u < wide; u++) { const [pixel, weight] = factors(i, v, u); sums[i] += pixel * weight; }
  }
  const most = sums.reduce((best, sum, i) => (Math.abs(sum) > Math.abs(sums[best]) ? i : best), 0), bias = step.bias?.[o] ?? 0;
  const others = sums.reduce((total, sum, i) => total + (i === most ? 0 : sum), 0);
  const before = step.inputs[0] ? network.steps[step.inputs[0] - 1].names.at(-1) : "the image";
  byId("number").textContent = `Map ${o + 1} of ${step.names.join(" and ")}, row ${y + 1}, column ${x + 1}, reads a window of ${high} × ${wide} numbers in ${reads === 1 ? "one map" : `each of ${reads} maps`} of ${before}. ${reads === 1 ? "Each is" : `Here is map ${group + most + 1}, which counts most: each number is`} multiplied by the weight at its place.`;
  byId("window").replaceChildren(make("caption", {}, "Number × weight, and their product below"), make("tbody", {}, ...Array.from({length: high}, (_, v) => make("tr", {}, ...Array.from({length: wide}, (_, u) => {
    const [pixel, weight] = factors(most, v, u);
    return make("td", {}, `${short(pixel)} × ${short(weight)}`, make("small", {}, short(pixel * weight)));
  })))));
  byId("sum").textContent = `The products add up to ${short(sums[most])}.${reads > 1 ? ` The other ${reads - 1} maps give ${short(others)},` : ""} ${step.bias ? `${reads > 1 ? "and " : ""}the bias ${step.names.length > 1 ? "with what the norm adds " : ""}is ${short(bias)}` : "There is no bias"}; together ${short(sums.reduce((total, sum) => total + sum, bias))}.`;
}

// The gallery. An image's bytes stand in the file with zeros counted: a zero, then how many of them.

function unpacked(packed, size) {
  const all = [], source = bytes(packed);
  for (let place = 0; place < source.length; place++) {
    if (source[place]) all.push(source[place] / 255);
    else for (let count = source[++place]; count > 0; count--) all.push(0);
  }
  return Array.from({length: all.length / size}, (_, index) => Float32Array.from(all.slice(index * size, (index + 1) * size)));
}

unpacked(gallery.pixels, sizeOf(network.shape)).forEach((image, place) => {
  const {index, label, predicted} = gallery.images[place], wrong = predicted !== undefined && predicted !== label;
  const picture = make("canvas", {"aria-hidden": "true"});
  draw(picture, network.shape, image, 0, 1);
  const words = wrong ? `${about.classes[label]}, not ${about.classes[predicted]}` : about.classes[label] ?? `${index}`;
  const button = make("button", {type: "button", class: predicted === undefined ? "plain" : wrong ? "bad" : "good", "aria-pressed": "false", "aria-label": `Test image ${index}${label === undefined ? "" : `: ${about.classes[label]}`}${wrong ? `, which the network takes for ${about.classes[predicted]}` : ""}`}, picture, words);
  button.addEventListener("click", () => {
    pressed(button);
    look([image], false, label === undefined ? "" : ` Test image ${index}; in truth ${about.classes[label]}.`);
    byId("answer").scrollIntoView({block: "nearest"});
  });
  byId("choices").append(button);
});

function pressed(button) {
  for (const other of byId("choices").querySelectorAll("[aria-pressed=true]")) other.setAttribute("aria-pressed", "false");
  button?.setAttribute("aria-pressed", "true");
}

// The paper. While a stroke grows the network is asked again and again, but never faster than it answers.

if (about.draws) {
  let asked = null;
  const paper = strokesOn(byId("paper"), {width: 22, changed: () => { asked ??= setTimeout(askDrawing, 60); }, say: (sentence) => { byId("said").textContent = sentence; }});
  byId("wipe").addEventListener("click", paper.wipe);
  byId("undo").addEventListener("click", paper.undo);

  function askDrawing() {
    asked = null;
    pressed(null);
    const side = byId("paper").width, points = paper.plainly((_, ink) => ink.getImageData(0, 0, side, side).data);
    const images = paper.empty() ? [] : preparedDrawing(mapped(grid(side, side), (_, place) => points[4 * place]), network.shape[1], about.by_mass);
    if (images.length) return look(images, true);
    byId("word").textContent = "–";
    byId("sentence").textContent = "Nothing is drawn yet.";
    byId("bars").replaceChildren();
  }
}
if (byId("choices").firstChild && !about.draws) byId("choices").firstChild.click();

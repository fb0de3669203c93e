// The network, computed by hand: every number that it makes of an image is made here, in plain loops.
//
// In the lesson a unit multiplies each of its inputs by a weight, adds the products up and bends the sum. A convolution
// does nothing else: its inputs are the few pixels under a small window, the window slides over the image, and at every
// place the same weights are used again. What one set of weights gives at all places is a feature map.
//
// A value is {shape, values}. shape: [maps, rows, columns], or [numbers] behind the last picture. values: all numbers in
// one row, map after map, line after line: the pixel of map m, row y, column x is values[(m * rows + y) * columns + x].

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

// A layer of the network. Each takes its step (settings, weights) and its inputs, and returns its values.
const LAYERS = {
  // out[o][y][x] = bias[o] + the sum over maps i and window places (v, u) of weight[o][i][v][u] · in[i][y + v][x + u].
  // One weight after the other is laid over the whole map: the sums are the same, only their order is not.
  convolution(step, [input]) {
    const [maps] = input.shape, [outputs, rows, columns] = step.shape, [high, wide] = step.kernel;
    const [down, along] = step.stride, [downApart, alongApart] = step.dilation;
    const {shape: [, height, width], values: pixels} = withFrame(input, step.padding);
    const reads = maps / step.groups, makes = outputs / step.groups; // with groups a map reads only some of the maps
    const result = new Float32Array(outputs * rows * columns), sums = new Float64Array(rows * columns);
    let place = 0; // in the weights, which stand in the order of these loops
    for (let o = 0; o < outputs; o++) {
      sums.fill(step.bias ? step.bias[o] : 0);
      const group = Math.floor(o / makes) * reads;
      for (let i = group; i < group + reads; i++) {
        for (let v = 0; v < high; v++) {
          for (let u = 0; u < wide; u++) {
            const weight = step.weight[place++];
            for (let y = 0; y < rows; y++) {
              let from = (i * height + y * down + v * downApart) * width + u * alongApart;
              for (let to = y * columns, end = to + columns; to < end; to++, from += along) sums[to] += weight * pixels[from];
            }
          }
        }
      }
      result.set(sums, o * rows * columns);
    }
    return result;
  },

  // Each unit looks at every number: out[o] = bias[o] + the sum over i of weight[o][i] · in[i].
  linear(step, [input]) {
    const [outputs] = step.shape, inputs = input.values, result = new Float32Array(outputs);
    for (let o = 0; o < outputs; o++) {
      let sum = step.bias ? step.bias[o] : 0;
      for (let i = 0, place = o * inputs.length; i < inputs.length; i++, place++) sum += step.weight[place] * inputs[i];
      result[o] = sum;
    }
    return result;
  },

  // A batch norm in use subtracts the mean of training and divides by its deviation: for each map one factor, one
  // summand. Behind a convolution they went into its weights; here stand those that could not.
  norm(step, [input]) {
    const size = input.values.length / step.scale.length;
    return input.values.map((value, place) => step.scale[Math.floor(place / size)] * value + step.shift[Math.floor(place / size)]);
  },

  // A group norm takes mean and deviation of the image itself, over some maps at a time.
  groupNorm(step, [input]) {
    const {values, shape} = input, size = values.length / step.groups, map = values.length / shape[0];
    const result = new Float32Array(values.length);
    for (let group = 0; group < step.groups; group++) {
      const part = values.subarray(group * size, (group + 1) * size);
      let mean = 0, variance = 0;
      for (const value of part) mean += value / size;
      for (const value of part) variance += (value - mean) ** 2 / size;
      for (let place = 0; place < size; place++) {
        const m = Math.floor((group * size + place) / map);
        result[group * size + place] = ((part[place] - mean) / Math.sqrt(variance + step.eps)) * (step.weight?.[m] ?? 1) + (step.bias?.[m] ?? 0);
      }
    }
    return result;
  },

  // Without a bend in between, two layers would be one: a sum of sums is a sum.
  activation(step, [input]) {
    const bend = BENDS[step.function];
    return input.values.map((value) => bend(value, step));
  },

  // A pool keeps of each window its largest number: where something was found counts less than that it was found.
  maxPool: (step, [input]) => largest(step, input, windows(step, input)),
  averagePool: (step, [input]) => means(step, input, windows(step, input), (place) => step.divisor || (step.count_padding ? place.framed : place.count)),
  // An adaptive pool divides the map into as many windows as it is to give, which may overlap by a pixel.
  adaptiveMax: (step, [input]) => largest(step, input, shares(step, input)),
  adaptiveAverage: (step, [input]) => means(step, input, shares(step, input), (place) => place.count),

  // The mean of each map: what is left of where something is, is nothing; how much of it there is, stays.
  mean(step, [input]) {
    const size = input.values.length / input.shape[0];
    return Float32Array.from({length: input.shape[0]}, (_, map) => input.values.subarray(map * size, (map + 1) * size).reduce((sum, value) => sum + value, 0) / size);
  },

  reshape: (step, [input]) => input.values, // the same numbers in the same order: flatten, unflatten
  constant: (step) => step.values,
  slice: (step, [input]) => input.values.slice((step.first * input.values.length) / input.shape[0]).slice(0, sizeOf(step.shape)),

  // Branches meet: side by side, map after map …
  cat(step, inputs) {
    const result = new Float32Array(sizeOf(step.shape));
    let place = 0;
    for (const input of inputs) { result.set(input.values, place); place += input.values.length; }
    return result;
  },

  // … or number by number. An input with fewer numbers, such as one for each map, is used again for all its places.
  arithmetic(step, [first, second]) {
    const join = JOINS[step.function], a = spread(first, step.shape), b = spread(second, step.shape);
    return a.map((value, place) => join(value, b[place]));
  },

  softmax: (step, [input]) => Float32Array.from(probabilities(input.values, 1)),
  logSoftmax(step, [input]) {
    const most = Math.max(...input.values), sum = input.values.reduce((total, value) => total + Math.exp(value - most), 0);
    return input.values.map((value) => value - most - Math.log(sum));
  },
};

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const BENDS = {
  relu: (x) => (x > 0 ? x : 0), // what is below zero is gone: a unit fires or it does not
  leaky_relu: (x, step) => (x > 0 ? x : step.negative_slope * x),
  elu: (x, step) => step.scale * (x > 0 ? x : step.alpha * Math.expm1(x)),
  gelu: (x, step) => 0.5 * x * (1 + (step.approximate === "tanh" ? Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)) : errorFunction(x / Math.SQRT2))),
  silu: (x) => x * sigmoid(x),
  tanh: Math.tanh,
  sigmoid,
  hardtanh: (x, step) => Math.min(step.max_val, Math.max(step.min_val, x)),
  hardsigmoid: (x) => Math.min(6, Math.max(0, x + 3)) / 6,
  hardswish: (x) => (x * Math.min(6, Math.max(0, x + 3))) / 6,
  softplus: (x, step) => (step.beta * x > step.threshold ? x : Math.log1p(Math.exp(step.beta * x)) / step.beta),
  mish: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
};
const JOINS = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  prelu: (x, slope) => (x > 0 ? x : slope * x),
};

/** Probabilities of the classes: how large each logit is beside the others. A temperature above 1 makes them humbler. */
function probabilities(logits, temperature) {
  const most = Math.max(...logits), shares = Array.from(logits, (logit) => Math.exp((logit - most) / temperature));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}

/** The maps with a frame of zeros around each, so that a window can stand over the edge. */
function withFrame({shape: [maps, rows, columns], values}, [above, left]) {
  if (!above && !left) return {shape: [maps, rows, columns], values};
  const height = rows + 2 * above, width = columns + 2 * left, framed = new Float32Array(maps * height * width);
  for (let m = 0; m < maps; m++) {
    for (let y = 0; y < rows; y++) {
      const from = (m * rows + y) * columns;
      framed.set(values.subarray(from, from + columns), (m * height + y + above) * width + left);
    }
  }
  return {shape: [maps, height, width], values: framed};
}

/** The largest number in each window of every map. */
function largest(step, {shape: [maps, rows, columns], values}, places) {
  const result = new Float32Array(sizeOf(step.shape));
  for (let m = 0, to = 0; m < maps; m++) {
    for (const {top, left, bottom, right} of places) {
      let most = -Infinity;
      for (let y = top; y < bottom; y++) {
        for (let x = left, from = (m * rows + y) * columns + left; x < right; x++, from++) if (values[from] > most) most = values[from];
      }
      result[to++] = most;
    }
  }
  return result;
}

/** The sum of each window of every map, divided by what `count` says of the window. */
function means(step, {shape: [maps, rows, columns], values}, places, count) {
  const result = new Float32Array(sizeOf(step.shape));
  for (let m = 0, to = 0; m < maps; m++) {
    for (const place of places) {
      let sum = 0;
      for (let y = place.top; y < place.bottom; y++) for (let x = place.left; x < place.right; x++) sum += values[(m * rows + y) * columns + x];
      result[to++] = sum / count(place);
    }
  }
  return result;
}

/** The windows of a pool that slides; framed: how many pixels each covers, those of the frame of padding included. */
function windows(step, {shape: [, height, width]}) {
  const [, rows, columns] = step.shape, [high, wide] = step.kernel, places = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const top = y * step.stride[0] - step.padding[0], left = x * step.stride[1] - step.padding[1];
      const bottom = Math.min(top + high, height + step.padding[0]), right = Math.min(left + wide, width + step.padding[1]);
      const place = {top: Math.max(0, top), left: Math.max(0, left), bottom: Math.min(bottom, height), right: Math.min(right, width)};
      places.push({...place, framed: (bottom - top) * (right - left), count: (place.bottom - place.top) * (place.right - place.left)});
    }
  }
  return places;
}

function shares(step, {shape: [, height, width]}) {
  const [, rows, columns] = step.shape, places = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const top = Math.floor((y * height) / rows), bottom = Math.ceil(((y + 1) * height) / rows);
      const left = Math.floor((x * width) / columns), right = Math.ceil(((x + 1) * width) / columns);
      places.push({top, left, bottom, right, count: (bottom - top) * (right - left)});
    }
  }
  return places;
}

/** The numbers of an input for every place of a larger shape; where it has one, that one serves all. */
function spread({shape, values}, wanted) {
  const size = sizeOf(wanted), result = new Float32Array(size);
  const sides = [...Array(wanted.length - shape.length).fill(1), ...shape];
  for (let place = 0; place < size; place++) {
    let rest = place, from = 0, step = 1;
    for (let axis = wanted.length - 1; axis >= 0; axis--) {
      if (sides[axis] > 1) from += (rest % wanted[axis]) * step;
      rest = Math.floor(rest / wanted[axis]);
      step *= sides[axis];
    }
    result[place] = values[from];
  }
  return result;
}

/** The error function, by the fraction of W. H. Press and others, Numerical Recipes: right to seven digits. */
function errorFunction(x) {
  const t = 1 / (1 + Math.abs(x) / 2);
  const factors = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223];
  const rest = t * Math.exp(-x * x + factors.reduce((sum, factor) => sum * t + factor));
  return x < 0 ? rest - 1 : 1 - rest;
}

/** The values of every step of the network for one image of the 0…1 scale; first the image as the network takes it. */
function forward(network, pixels) {
  const size = pixels.length / network.mean.length;
  const normalised = Float32Array.from(pixels, (pixel, place) => (pixel - network.mean[Math.floor(place / size)]) / network.std[Math.floor(place / size)]);
  const found = [{shape: network.shape, values: normalised}];
  for (const step of network.steps) {
    const inputs = step.inputs.map((number) => found[number]);
    found.push({shape: step.shape, values: LAYERS[step.kind](step, inputs)});
  }
  return found;
}

/** The network ready to compute: its weights, which stand in the file as text, as numbers, each layer with its own. */
function ready(network) {
  const weights = floats(network.weights);
  for (const step of network.steps) for (const [name, [first, count]] of Object.entries(step.weights)) step[name] = weights.subarray(first, first + count);
  return network;
}

/** Bytes written as letters: four letters of 6 bits for three bytes (base 64). */
function bytes(text) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", values = new Uint8Array(128);
  for (let place = 0; place < 64; place++) values[letters.charCodeAt(place)] = place;
  const count = Math.floor((text.replace(/=+$/, "").length * 3) / 4), result = new Uint8Array(count);
  for (let from = 0, to = 0; to < count; from += 4) {
    const four = [0, 1, 2, 3].reduce((bits, place) => (bits << 6) | values[text.charCodeAt(from + place)], 0);
    for (const shift of [16, 8, 0]) if (to < count) result[to++] = (four >> shift) & 255;
  }
  return result;
}

const floats = (text) => new Float32Array(bytes(text).buffer);

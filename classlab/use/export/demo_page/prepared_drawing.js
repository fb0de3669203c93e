// A drawing made ready as `classlab predict` makes it: found, cut out, and laid down as the network's images were.
//
// MNIST's digits stand in a box of 20 × 20 pixels with their centre of mass in the middle of 28 × 28. A network that has
// only seen those is lost with a digit in a corner. All rules and numbers here are those of classlab's ink.py, pieces.py
// and centring.py, for the one case of dark strokes on a white paper.
//
// A grid is {height, width, values}: numbers line after line.

const WORKING = 112; // pixels of the longer side while a drawing is worked on
const WAYS = [ // to shrink a drawing: what counts as ink, how thin a stroke may be, the box; their answers are averaged
  {threshold: 0.5, thin: 2.1, box: 20}, {threshold: 0.38, thin: 2.1, box: 20}, {threshold: 0.62, thin: 2.1, box: 20},
  {threshold: 0.38, thin: 3.2, box: 20}, {threshold: 0.5, thin: 2.1, box: 19},
];
const THICK = 3.6;

const grid = (height, width, values = new Float64Array(height * width)) => ({height, width, values});

/** A new grid, each number of which `change` makes of the number at the same place. */
function mapped({height, width, values}, change) {
  const result = grid(height, width);
  for (let place = 0; place < values.length; place++) result.values[place] = change(values[place], place);
  return result;
}

/** What the network is to see of a paper: an image for each way, side × side numbers 0…1; none of an empty paper. */
function preparedDrawing(paper, side, byMass) {
  const strength = blurred(mapped(paper, (grey) => 1 - grey / 255), Math.min(0.7, Math.max(paper.height, paper.width) / 500));
  const mask = drawnPieces(strength);
  if (!mask) return [];
  const drawing = cutOut(strength, mask);
  // How strong ink is around here: pressure changes along a stroke.
  const near = mapped(blurred(largestNear(drawing, 11, 10), WORKING / 8), (value) => Math.min(1.3, Math.max(0.55, value)));
  return WAYS.map((way) => shrunk(drawing, near, side, byMass, way)).filter(Boolean);
}

/** A blur by Gauss's bell, first along the lines, then down the columns. At its edge the paper goes on as in a mirror. */
function blurred(image, sigma) {
  const reach = Math.floor(4 * sigma + 0.5);
  const bell = Array.from({length: 2 * reach + 1}, (_, place) => Math.exp(-0.5 * ((place - reach) / sigma) ** 2));
  const sum = bell.reduce((total, share) => total + share, 0);
  const pass = ({height, width, values}) => { // the result lies on its side, so that two passes do both directions
    const result = grid(width, height), line = new Float64Array(width + 2 * reach);
    for (let y = 0; y < height; y++) {
      for (let x = -reach; x < width + reach; x++) {
        const turned = ((x % (2 * width)) + 2 * width) % (2 * width);
        line[x + reach] = values[y * width + Math.min(turned, 2 * width - 1 - turned)];
      }
      for (let x = 0; x < width; x++) {
        let mean = 0;
        for (let k = 0; k < bell.length; k++) mean += bell[k] * line[x + k];
        result.values[x * height + y] = mean / sum;
      }
    }
    return result;
  };
  return pass(pass(image));
}

/** Number the pieces of a mask that hang together, corners included: labels from 1, and of each piece its pixels. */
function pieces({height, width, values}) {
  const labels = new Int32Array(height * width), found = [];
  for (let start = 0; start < values.length; start++) {
    if (!values[start] || labels[start]) continue;
    const piece = [start];
    labels[start] = found.push(piece);
    for (let next = 0; next < piece.length; next++) {
      const y = Math.floor(piece[next] / width), x = piece[next] % width;
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const place = v * width + u;
          if (values[place] && !labels[place]) { labels[place] = found.length; piece.push(place); }
        }
      }
    }
  }
  return {labels, found};
}

function boxOf({height, width, values}) {
  let top = height, left = width, bottom = -1, right = -1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!values[y * width + x]) continue;
      top = Math.min(top, y); bottom = y;
      left = Math.min(left, x); right = Math.max(right, x);
    }
  }
  return {top, left, bottom, right, size: Math.max(bottom - top, right - left) + 1};
}

/** The pixels of the drawing: its main piece, and pieces near and large enough to belong to it. */
function drawnPieces(strength) {
  const {height, width, values} = strength, {labels, found} = pieces(mapped(strength, (value) => value > 0.38));
  const kept = found.map((piece) => piece.some((place) => values[place] > 0.62));
  const ink = found.map((piece, index) => (kept[index] ? piece.reduce((sum, place) => sum + Math.min(values[place], 1.2), 0) : 0));
  const most = Math.max(0, ...ink);
  const score = found.map((piece, index) => {
    if (!kept[index] || ink[index] < 0.02 * most) return 0;
    const down = piece.reduce((sum, place) => sum + Math.floor(place / width), 0) / piece.length;
    const along = piece.reduce((sum, place) => sum + (place % width), 0) / piece.length;
    const off = 2 * Math.max(Math.abs(down / height - 0.5), Math.abs(along / width - 0.5));
    return ink[index] * (1 - 0.5 * off ** 2) * edgeFactor(piece, strength);
  });
  const main = score.indexOf(Math.max(...score));
  if (!(score[main] > 0)) return null;
  const mask = mapped({height, width, values: labels}, (label) => Number(label === main + 1));
  const open = new Set(found.map((_, index) => index).filter((index) => index !== main && kept[index] && ink[index] >= 0.025 * ink[main] && edgeFactor(found[index], strength) > 0.1));
  for (let round = 0; round < 6 && open.size; round++) { // each piece that is added may bring the next one near
    const {size} = boxOf(mask), away = distances(mapped(mask, (value) => Number(!value)));
    const near = [...open].filter((index) => found[index].reduce((least, place) => Math.min(least, away.values[place]), Infinity) <= Math.max(2, 0.22 * size));
    if (!near.length) break;
    for (const index of near) { open.delete(index); for (const place of found[index]) mask.values[place] = 1; }
  }
  return mask;
}

/** Little for a piece that lies along the paper's edge or spans the paper: it is not a stroke. */
function edgeFactor(piece, {height, width}) {
  let top = 0, bottom = 0, left = 0, right = 0, first = height, last = 0, leftmost = width, rightmost = 0;
  for (const place of piece) {
    const y = Math.floor(place / width), x = place % width;
    top += Number(y === 0); bottom += Number(y === height - 1); left += Number(x === 0); right += Number(x === width - 1);
    first = Math.min(first, y); last = Math.max(last, y); leftmost = Math.min(leftmost, x); rightmost = Math.max(rightmost, x);
  }
  if ((top && bottom) || (left && right)) return 0.03;
  const share = (top + bottom + left + right) / (Math.max(last - first, rightmost - leftmost) + 1);
  return share === 0 ? 1 : share < 0.3 ? 0.5 : 0.03;
}

/** Each true pixel's distance to the nearest false one (P. Felzenszwalb and D. Huttenlocher, 2012). */
function distances({height, width, values}) {
  const far = 1e9;
  const pass = (image) => { // lower envelopes of parabolas along every line; the result lies on its side
    const result = grid(image.width, image.height), n = image.width;
    const at = new Int32Array(n), ends = new Float64Array(n + 1); // of each parabola its place, and where it begins to be lowest
    for (let y = 0; y < image.height; y++) {
      const line = image.values.subarray(y * n, (y + 1) * n);
      let last = 0;
      at[0] = 0; ends[0] = -Infinity; ends[1] = Infinity;
      for (let q = 1; q < n; q++) {
        let cross;
        for (;;) { // the new parabola crosses the last before that begins: that is nowhere lowest
          cross = (line[q] + q * q - line[at[last]] - at[last] * at[last]) / (2 * q - 2 * at[last]);
          if (cross > ends[last]) break;
          last--;
        }
        at[++last] = q; ends[last] = cross; ends[last + 1] = Infinity;
      }
      for (let q = 0, k = 0; q < n; q++) {
        while (ends[k + 1] < q) k++;
        result.values[q * image.height + y] = (q - at[k]) * (q - at[k]) + line[at[k]];
      }
    }
    return result;
  };
  return mapped(pass(pass(mapped({height, width, values}, (value) => (value ? far : 0)))), Math.sqrt);
}

/** A grid with some zeros, or some other number, around it. */
function widened({height, width, values}, margin, filling = 0) {
  const result = grid(height + 2 * margin, width + 2 * margin);
  result.values.fill(filling);
  for (let y = 0; y < height; y++) result.values.set(values.subarray(y * width, (y + 1) * width), (y + margin) * result.width + margin);
  return result;
}

function part({width, values}, top, left, height, wide) {
  const result = grid(height, wide);
  for (let y = 0; y < height; y++) result.values.set(values.subarray((top + y) * width + left, (top + y) * width + left + wide), y * wide);
  return result;
}

/** The largest number of each pixel's surroundings, from `before` pixels before it to `after` behind it. */
function largestNear(image, before, after) {
  const pass = ({height, width, values}) => {
    const result = grid(width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let most = -Infinity;
        for (let u = Math.max(0, x - before); u <= Math.min(width - 1, x + after); u++) most = Math.max(most, values[y * width + u]);
        result.values[x * height + y] = most;
      }
    }
    return result;
  };
  return pass(pass(image));
}

/** The drawing alone with some paper around it, its longer side about WORKING pixels. */
function cutOut(strength, mask) {
  const {top, left, bottom, right, size} = boxOf(mask), margin = Math.max(2, Math.round(0.12 * size));
  const high = bottom - top + 1 + 2 * margin, wide = right - left + 1 + 2 * margin;
  const ink = part(widened(strength, margin), top, left, high, wide), inside = part(widened(mask, margin), top, left, high, wide);
  const grown = growing(inside, Math.max(1, Math.round(0.02 * size)));
  const alone = mapped(ink, (value, place) => (grown.values[place] && !(value > 0.3 && !inside.values[place]) ? value : 0));
  const zoom = WORKING / size;
  if (zoom > 1) return zoomed(alone, zoom);
  return zoom < 0.8 ? zoomed(blurred(alone, 0.4 / zoom), zoom) : alone;
}

/** The mask with its neighbours left, right, above and below, so many times. */
function growing(mask, times) {
  let now = mask;
  for (let time = 0; time < times; time++) {
    const {width, values} = now;
    now = mapped(now, (value, place) => {
      const x = place % width;
      return Number(value || values[place - width] || values[place + width] || (x > 0 && values[place - 1]) || (x < width - 1 && values[place + 1]) || 0);
    });
  }
  return now;
}

/** The image larger or smaller, each pixel read between the four, enlarged between the sixteen, around its place. */
function zoomed(image, zoom) {
  const weights = zoom > 1 // of the pixels around a place: Catmull and Rom's curve, or a straight line
    ? (t) => [-0.5 * t + t * t - 0.5 * t ** 3, 1 - 2.5 * t * t + 1.5 * t ** 3, 0.5 * t + 2 * t * t - 1.5 * t ** 3, -0.5 * t * t + 0.5 * t ** 3]
    : (t) => [0, 1 - t, t, 0];
  const pass = ({height, width, values}) => {
    const count = Math.round(width * zoom), result = grid(count, height);
    for (let x = 0; x < count; x++) {
      const from = (x + 0.5) * (width / count) - 0.5, first = Math.floor(from), shares = weights(from - first);
      for (let y = 0; y < height; y++) {
        let sum = 0;
        for (let k = 0; k < 4; k++) if (first + k - 1 >= 0 && first + k - 1 < width) sum += shares[k] * values[y * width + first + k - 1];
        result.values[x * height + y] = sum;
      }
    }
    return result;
  };
  return pass(pass(image));
}

/** The drawing as the network wants it: side × side, 0 for paper to 1 for ink; null where none is left. */
function shrunk(drawing, near, side, byMass, way) {
  const mask = withoutSpecks(mapped(drawing, (value, place) => Number(value > way.threshold * near.values[place])));
  const count = mask.values.reduce((sum, value) => sum + value, 0);
  if (count < 12) return null;
  const {size} = boxOf(mask), cover = withWidth(mask, (way.thin * size) / 20, (THICK * size) / 20);
  const box = boxOf(mapped(cover, (value) => Number(value > 0.5)));
  if (box.bottom < 0) return null;
  const scale = ((byMass ? 20 / 28 : 1) * side * way.box) / 20 / box.size;
  let [middle, target] = [[(box.top + box.bottom + 1) / 2, (box.left + box.right + 1) / 2], side / 2];
  if (byMass) {
    let [mass, down, along] = [0, 0, 0];
    cover.values.forEach((value, place) => { mass += value; down += value * (Math.floor(place / cover.width) + 0.5); along += value * ((place % cover.width) + 0.5); });
    [middle, target] = [[down / mass, along / mass], side / 2 + side / 56]; // MNIST's middle lies half a pixel low
  }
  return laidDown(cover, side, scale, target - scale * middle[0], target - scale * middle[1]);
}

function withoutSpecks(mask) {
  const {labels, found} = pieces(mask), most = Math.max(0, ...found.map((piece) => piece.length));
  return mapped({...mask, values: labels}, (label) => Number(label > 0 && found[label - 1].length >= 0.02 * most));
}

/** The mask with strokes as wide as `thin` or as narrow as `thick` where they are not, 0…1. */
function withWidth(mask, thin, thick) {
  let inside = distances(mask);
  const count = mask.values.reduce((sum, value) => sum + value, 0);
  const width = 4 * (inside.values.reduce((sum, value) => sum + value, 0) / count - 0.25); // of a band the mean distance to its edge is a quarter
  const wanted = Math.min(Math.max(width, thin), thick), grow = (wanted - width) / 2;
  if (Math.abs(wanted - width) < 1) return blurred(mask, 0.6);
  const room = widened(mask, Math.floor(Math.max(0, grow)) + 2);
  inside = distances(room);
  const outside = distances(mapped(room, (value) => Number(!value)));
  const clipped = (value) => Math.min(1, Math.max(0, value));
  const edge = mapped(inside, (value, place) => clipped(value - outside.values[place] + grow + 0.5));
  if (grow > 0) return edge;
  const near = largestNear(inside, 1, 1); // narrow parts keep their middle line: nothing is worn away by more than it has
  const away = distances(mapped(room, (value, place) => Number(!(value && inside.values[place] === near.values[place]))));
  return mapped(edge, (value, place) => Math.max(value, room.values[place] * clipped(Math.max(1, thick / 4) - away.values[place] + 0.5)));
}

/** The grid laid onto side × side pixels, scaled and shifted: each pixel takes of every other what it covers of it. */
function laidDown(cover, side, scale, down, along) {
  const pass = ({height, width, values}, offset) => {
    const result = grid(side, height);
    for (let x = 0; x < width; x++) {
      const low = x * scale + offset, high = (x + 1) * scale + offset;
      for (let pixel = Math.max(0, Math.floor(low)); pixel < Math.min(side, high); pixel++) {
        const share = Math.max(0, Math.min(high, pixel + 1) - Math.max(low, pixel));
        for (let y = 0; y < height; y++) result.values[pixel * height + y] += share * values[y * width + x];
      }
    }
    return result;
  };
  return Float32Array.from(pass(pass(cover, along), down).values, (value) => Math.min(1, Math.max(0, value)));
}

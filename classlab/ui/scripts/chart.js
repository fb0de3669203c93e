// Charts: the definitions of the reports, drawn by Vega's interpreter, which needs no code made of text. A live one gets
// its rows as they come; its axes, colours, dashes and tooltips stay those of the definition.
import {capital, make, words} from "/static/frame.js";
import {tones} from "/static/tone.js";

// A live chart has no rows at first, of whose axes Vega would warn: errors alone are said.
const OPTIONS = {renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip: {theme: "page", disableDefaultStyle: true}, logLevel: 1};
let loading = null;

/** Return vegaEmbed, loaded when the first chart needs it. */
function vega() {
  loading ??= new Promise((resolve, reject) => {
    const script = make("script", {src: "/vega.js"});
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = () => { loading = null; script.remove(); reject(new Error("the script that draws charts did not come")); };
    document.head.append(script);
  });
  return loading;
}

export async function embed(holder, definition) {
  const draw = await vega();
  const made = await draw(holder, definition, OPTIONS);
  hideNameless(holder);
  return made;
}

/** Marks of which there are none have a role and no name; a screen reader is not told of them. */
function hideNameless(holder) {
  for (const mark of holder.querySelectorAll("[role=graphics-symbol]:not([aria-label])")) mark.setAttribute("aria-hidden", "true");
}

/** Draw the charts of a part of a report that was put into the page. */
export async function drawAll(part) {
  for (const holder of part.querySelectorAll("[data-chart]")) {
    const definition = part.querySelector(`#chart-${CSS.escape(holder.dataset.chart)}`);
    if (definition) await embed(holder, JSON.parse(definition.textContent));
  }
}

const MOST_POINTS = 250; // of a curve: more are closer than pixels

/** Return the rows that a chart draws: each curve's mean at each epoch, and its lowest and highest seed.
 *
 * Of a long training every second epoch, or every fourth and so on, and the last: rows that were drawn stay, and new ones
 * are added. */
export function bandRows(curves, rowsOf, factor) {
  const drawn = [];
  for (const curve of curves) {
    const runs = curve.runs.map((run) => rowsOf(run) ?? []);
    const last = Math.max(0, ...runs.map((rows) => rows.length));
    let every = 1;
    while (last > every * MOST_POINTS) every *= 2;
    for (let place = 0; place < last; place += every) drawn.push(bandRow(curve, runs, place, factor));
    if (last && (last - 1) % every) drawn.push(bandRow(curve, runs, last - 1, factor));
  }
  return drawn;
}

function bandRow(curve, runs, place, factor) {
  const values = runs.map((rows) => rows[place]?.[curve.column]).filter((value) => Number.isFinite(value));
  const mean = values.length ? (factor * values.reduce((sum, value) => sum + value, 0)) / values.length : null;
  const row = {curve: curve.key, epoch: runs.find((rows) => rows[place])[place].epoch, mean};
  if (values.length > 1) Object.assign(row, {low: factor * Math.min(...values), high: factor * Math.max(...values)});
  return row;
}

const named = (row) => `${row.curve} ${row.epoch}`;
const same = (row, other) => other && ["mean", "low", "high"].every((key) => row[key] === other[key]);

/** A chart that grows. found: what the server says of it. rowsOf: a run's rows by its key. */
export class LiveChart {
  constructor(place, rowsOf) {
    this.rowsOf = rowsOf;
    this.holder = make("div", {class: "chart", role: "img", "aria-label": "The chart is being drawn"});
    this.caption = make("figcaption");
    this.buttons = make("p", {class: "tools"});
    this.figure = make("figure", {}, this.holder, this.caption, this.buttons);
    place.append(this.figure);
    this.view = null;
    this.drawn = new Map();
    this.busy = false;
    this.again = false;
  }

  async show(found) {
    this.found = found;
    this.finish();
    const made = await embed(this.holder, found.definition);
    this.result = made;
    this.view = made.view;
    this.caption.textContent = `${capital(found.title)}.`;
    tones(this.buttons, found.curves, () => bandRows(this.found.curves, this.rowsOf, this.found.factor), found.metric);
    await this.update();
  }

  /** Put the rows there are into the chart; while one drawing is at work, the next waits and takes all that came. */
  async update() {
    if (!this.view) return;
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    try {
      do {
        this.again = false;
        const rows = bandRows(this.found.curves, this.rowsOf, this.found.factor);
        this.holder.setAttribute("aria-label", this.described());
        await this.draw(rows);
        hideNameless(this.holder);
      } while (this.again);
    } finally {
      this.busy = false;
    }
  }

  /** Change the rows of the view that are others than before. Vega keeps something of every row that it was ever given:
   * all of them anew at each epoch took a page of some thousand epochs half a gigabyte. */
  async draw(rows) {
    const wanted = new Map(rows.map((row) => [named(row), row]));
    const gone = [...this.drawn].filter(([name, row]) => !same(row, wanted.get(name))).map(([, row]) => row);
    const fresh = rows.filter((row) => !same(row, this.drawn.get(named(row))));
    if (gone.length) await this.view.remove(this.found.rows, gone).runAsync();
    if (fresh.length) await this.view.insert(this.found.rows, fresh).runAsync();
    for (const row of gone) this.drawn.delete(named(row));
    for (const row of fresh) this.drawn.set(named(row), row);
  }

  described() {
    const {curves, factor, unit, metric} = this.found;
    const ends = curves.map((curve) => {
      const runs = curve.runs.map((run) => this.rowsOf(run) ?? []);
      const last = Math.max(0, ...runs.map((rows) => rows.length));
      const values = Array.from({length: last}, (_, place) => bandRow(curve, runs, place, factor)).filter((row) => row.mean !== null);
      if (!values.length) return `${curve.name}: no value yet`;
      const [start, end] = [values[0], values[values.length - 1]].map((row) => `${row.mean.toPrecision(4)}${unit}`);
      return `${curve.name} from ${start} to ${end} at epoch ${values[values.length - 1].epoch}`;
    });
    return `${words(metric)}: ${ends.join("; ")}`;
  }

  finish() {
    this.result?.finalize();
    this.view = null;
    this.drawn = new Map();
  }
}

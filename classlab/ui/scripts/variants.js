// Variants side by side: one live chart of each variant's mean and band, for Compare and for a study.
import {byId, gathered, post, tried} from "/static/frame.js";
import {LiveChart} from "/static/chart.js";
import {follow} from "/static/stream.js";

const MOST_FOLLOWED = 256;

/** Follow the runs of some variants. variants: name -> keys. onState(state), onRows(): called when something came. */
export class Variants {
  constructor(variants, onState) {
    this.variants = variants;
    this.rows = new Map();
    this.states = new Map();
    this.chart = new LiveChart(byId("charts"), (run) => this.rows.get(run));
    this.metric = null;
    this.drawn = "";
    this.grow = gathered(() => this.draw(), 120);
    const keys = Object.values(variants).flat().slice(0, MOST_FOLLOWED);
    const query = keys.map((key) => `run=${key}`).join("&");
    if (keys.length) {
      this.end = follow(`/events/rows?${query}`, {
        rows: (news) => { this.take(news); this.grow(); },
        state: (state) => { this.states.set(state.key, state); onState(state); this.grow(); },
        gone: ({run}) => { this.rows.delete(run); this.states.delete(run); onState({key: run, status: "gone"}); this.grow(); },
      });
    }
  }

  take(news) {
    const had = news.anew ? [] : (this.rows.get(news.run) ?? []).slice(0, news.from);
    this.rows.set(news.run, [...had, ...news.rows]);
  }

  /** Return the columns that any run has measured. */
  get columns() {
    const found = new Set();
    for (const rows of this.rows.values()) for (const name of Object.keys(rows[rows.length - 1] ?? {})) found.add(name);
    return ["val_accuracy", "val_loss", "test_accuracy", "test_loss", "train_accuracy", "train_loss"].filter((name) => found.has(name));
  }

  async draw() {
    const metric = this.metric ?? this.columns[0];
    if (!metric) return;
    const epochs = Math.max(1, ...[...this.states.values()].map((state) => state.epochs), ...[...this.rows.values()].map((rows) => rows.length));
    const diverged = [...this.states.values()].filter((state) => state.status === "diverged").length;
    const text = JSON.stringify([metric, epochs, diverged, this.variants]);
    if (text === this.drawn) return this.chart.update();
    this.drawn = text;
    const found = await tried(() => post("/api/curves", {variants: this.variants, metric, epochs}));
    if (found) await tried(() => this.chart.show(found));
    else this.drawn = "";
  }
}

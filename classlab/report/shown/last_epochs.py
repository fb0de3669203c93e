"""Last epochs: how steady the accuracy is once training is done, and how far each network is after its first epoch."""

from functools import partial
from typing import Any

from classlab.drawing import dot_plot
from classlab.drawing.blocks import Block, Column, Figure, Figures, Table, Words
from classlab.report import watched, words
from classlab.report.of_parts import Runs, missing, without
from classlab.report.published import Part
from classlab.report.shown.comparisons import compared
from classlab.study import results
from classlab.study.answer import Answer

NAMES = {"val": "validation", "test": "test"}
WHEN = {"spread": f"spread of the last {results.LAST_EPOCHS} epochs", "first": "first epoch"}


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the last epochs of every run, their spread, and the networks compared by spread and by first epoch."""
    present = {name: of for name, of in runs.items() if of}
    rows = {name: [{"seed": run.seed, **results.row(run.path)} for run in of] for name, of in present.items()}
    every = [row for of in rows.values() for row in of]
    split = next((one for one in NAMES if any(row.get(f"spread_{one}_accuracy") is not None for row in every)), None)
    if split is None:
        return [Words("No run measured its accuracy after every epoch."), *missing(without(runs))]
    seen = watched.of_runs(present) if split == "test" else ""
    shown: list[Block] = [_table(present, split, seen)]
    for when in ("spread", "first"):
        found = compared(present, rows, f"{when}_{split}_accuracy")
        shown.append(Figures((_dots(found, rows, when, split, seen),)))
        about = f"{WHEN[when]}, {NAMES[split]} accuracy"
        if found.comparisons:
            base = found.baseline
            shown += [Words(f"{one.variant} and {base}, {about}: {one.sentence}.") for one in found.comparisons]
        else:
            shown += [Words(f"{words.capital(about)}: {one.sentence}.") for one in found.variants]
    return [*shown, *missing(without(runs))]


def _table(runs: Runs, split: str, seen: str) -> Table:
    """Return the accuracies of the last epochs, a row a run."""
    curves = {
        (name, run.seed): [float(value) for value in run.history[f"{split}_accuracy"]]
        for name, of in runs.items()
        for run in of
        if f"{split}_accuracy" in run.history
    }
    shown = min(results.LAST_EPOCHS, max(len(curve) for curve in curves.values()))
    longest = max(len(curve) for curve in curves.values())
    columns = [Column("network"), Column("seed", "count")]
    columns += [Column(f"epoch {longest - shown + place + 1}", "percent") for place in range(shown)]
    columns += [Column("lowest", "percent"), Column("highest less lowest, points", "number", 2)]
    rows: list[tuple[Any, ...]] = []
    for (name, seed), curve in curves.items():
        last: list[float | None] = [*curve[-shown:]]
        known = [value for value in last if value is not None]
        last = [None] * (shown - len(last)) + last
        rows.append((name, seed, *last, min(known), 100 * (max(known) - min(known))))
    caption = f"The last {shown} epochs of every run, {NAMES[split]} accuracy{watched.clause(seen)}"
    return Table("last-epochs", caption, tuple(columns), tuple(rows))


def _dots(found: Answer, rows: dict[str, list[results.Row]], when: str, split: str, seen: str) -> Figure:
    metric = found.metric
    values = [
        {"variant": name, "seed": row["seed"], "status": row["status"], "value": row.get(metric)}
        for name, of in rows.items()
        for row in of
    ]
    told = [(one.name, one.estimate) for one in found.variants]
    spans = [{"variant": name, "mean": e.mean, "low": e.low, "high": e.high} for name, e in told if e]
    what = {
        "spread": f"Highest less lowest {NAMES[split]} accuracy of the last {results.LAST_EPOCHS} epochs",
        "first": f"{words.capital(NAMES[split])} accuracy after the first epoch",
    }[when]
    many = any(len(of) > 1 for of in rows.values())
    caption = f"{what}: a dot a run{', a tick at the mean, a line for its 95 % interval' if many else ''}."
    caption += watched.sentence(seen)
    described = f"{caption} {' '.join(f'{one.sentence}.' for one in found.variants)}"
    return Figure(f"{when}-epoch" if when == "first" else "spread", caption, described,
                  partial(dot_plot.dots, values, spans, metric))  # fmt: skip

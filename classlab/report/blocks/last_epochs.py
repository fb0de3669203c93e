"""Last epochs: how steady the accuracy is once training is done, and how far each network is after its first epoch."""

from functools import partial
from typing import Any

from classlab.drawing import dot_plot
from classlab.drawing.blocks import Block, Column, Figure, Figures, Table, Words
from classlab.report import protocol_notes, words
from classlab.report.blocks.comparisons import Rows, compared, rows_of
from classlab.report.material import Material, Runs
from classlab.study import results
from classlab.study.answer import Answer

NAMES = {"val": "validation", "test": "test"}
WHEN = {"spread": f"spread of the last {results.LAST_EPOCHS} epochs", "first": "first epoch"}


def blocks(material: Material) -> list[Block]:
    """Return the last epochs of every run, their spread, and the networks compared by spread and by first epoch."""
    runs = material.present
    rows = rows_of(runs)
    every = [row for several in rows.values() for row in several]
    split = next((name for name in NAMES if any(row.get(f"spread_{name}_accuracy") is not None for row in every)), None)
    if split is None:
        return [*material.lacking("No run measured its accuracy after every epoch."), *material.missing()]
    seen = protocol_notes.notes_of_runs(runs) if split == "test" else ""
    found: list[Block] = [_table(runs, split, seen)]
    for when in WHEN:
        answer = compared(runs, rows, f"{when}_{split}_accuracy")
        found.append(Figures((_dots(answer, rows, when, split, seen),)))
        about = f"{WHEN[when]}, {NAMES[split]} accuracy"
        pairs = [f"{pair.variant} and {answer.baseline}, {about}: {pair.sentence}." for pair in answer.comparisons]
        alone = [f"{words.capital(about)}: {variant.sentence}." for variant in answer.variants]
        found += map(Words, pairs or alone)
    return [*found, *material.missing()]


def _table(runs: Runs, split: str, seen: str) -> Table:
    """Return the accuracies of the last epochs, a row a run."""
    curves = {
        (name, run.seed): [float(value) for value in run.history[f"{split}_accuracy"]]
        for name, seeds_of_name in runs.items()
        for run in seeds_of_name
        if f"{split}_accuracy" in run.history
    }
    count = min(results.LAST_EPOCHS, max(len(curve) for curve in curves.values()))
    longest = max(len(curve) for curve in curves.values())
    columns = [Column("network"), Column("seed", "count")]
    columns += [Column(f"epoch {longest - count + place + 1}", "percent") for place in range(count)]
    columns += [Column("lowest", "percent"), Column("highest less lowest, points", "number", 2)]
    rows: list[tuple[Any, ...]] = []
    for (name, seed), curve in curves.items():
        last: list[float | None] = [*curve[-count:]]
        known = [value for value in last if value is not None]
        last = [None] * (count - len(last)) + last
        rows.append((name, seed, *last, min(known), 100 * (max(known) - min(known))))
    caption = f"The last {count} epochs of every run, {NAMES[split]} accuracy{protocol_notes.clause(seen)}"
    return Table("last-epochs", caption, tuple(columns), tuple(rows))


def _dots(found: Answer, rows: Rows, when: str, split: str, seen: str) -> Figure:
    metric = found.metric
    values = [
        {"variant": name, "seed": row["seed"], "status": row["status"], "value": row.get(metric)}
        for name, several in rows.items()
        for row in several
    ]
    means = [(variant.name, variant.estimate) for variant in found.variants]
    spans = [{"variant": name, "mean": e.mean, "low": e.low, "high": e.high} for name, e in means if e]
    what = {
        "spread": f"Highest less lowest {NAMES[split]} accuracy of the last {results.LAST_EPOCHS} epochs",
        "first": f"{words.capital(NAMES[split])} accuracy after the first epoch",
    }[when]
    many = any(len(several) > 1 for several in rows.values())
    caption = (
        f"{what}: each dot is a "
        f"run{'; a tick marks the mean, and a line its 95 % confidence interval' if many else ''}."
    )
    caption += protocol_notes.sentence(seen)
    described = f"{caption} {' '.join(f'{variant.sentence}.' for variant in found.variants)}"
    return Figure(f"{when}-epoch" if when == "first" else "spread", caption, described,
                  partial(dot_plot.dots, values, spans, metric))  # fmt: skip

"""Comparisons: each run held against the part's first one, by the tests that the seeds allow."""

from typing import Any

from classlab import statistics
from classlab.drawing.blocks import Block, Words
from classlab.report import watched, words
from classlab.report.of_parts import Runs, missing, without
from classlab.report.published import Part
from classlab.report.study_sections.answer import comparisons, variants
from classlab.study import results
from classlab.study.answer import Answer, answer
from classlab.study.answer import watched as watched_split


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the table of means, that of comparisons, and a sentence for each."""
    present = {name: of for name, of in runs.items() if of}
    if len(present) < 2:
        return [*missing(without(runs)), Words("With fewer than two of the runs there is nothing to compare.")]
    metric = "test_loss" if all(run.reconstructs for of in present.values() for run in of) else "test_accuracy"
    rows = {name: [{"seed": run.seed, **results.row(run.path)} for run in of] for name, of in present.items()}
    found = compared(present, rows, metric)
    split = watched_split([row for of in rows.values() for row in of], metric)
    shown: list[Block] = [variants(found, split, watched.of_runs(present))]
    shown += [comparisons(found)] if found.comparisons else []
    shown += [Words(f"{one.sentence}.") for one in found.comparisons]
    shown += [Words(f"{note}.") for note in found.notes]
    shown += [Words(text) for text in (_single(found, rows),) if text]
    return [*shown, *missing(without(runs))]


def compared(runs: Runs, rows: dict[str, list[results.Row]], metric: str) -> Answer:
    """Return what the runs' rows say by a metric, the first name the baseline."""
    paths = {(name, run.seed): run.path for name, of in runs.items() for run in of}
    chance = next(filter(None, map(results.largest_class_share, paths.values())), None)
    return answer(rows, next(iter(rows)), metric, lambda name, seed: results.right(paths[name, seed]), chance)


def _single(found: Answer, rows: dict[str, list[results.Row]]) -> str:
    """Say what is known of a run that is alone of its name: the interval over its test images, not over seeds."""
    if found.metric != "test_accuracy":
        return ""
    told: list[str] = []
    for one in found.variants:
        row: dict[str, Any] = rows[one.name][0]
        if one.n == 1 and one.runs == 1 and row.get("test_accuracy") is not None and row.get("test_total"):
            low, high = statistics.wilson(round(row["test_accuracy"] * row["test_total"]), row["test_total"])
            told.append(f"{one.name} {100 * low:.2f} to {100 * high:.2f} % of {row['test_total']:,} images")
    if not told:
        return ""
    return (
        f"One seed tells nothing of the spread over seeds; its 95 % Wilson interval is what other images would change: "
        f"{words.listed(told) if len(told) > 1 else told[0]}."
    )

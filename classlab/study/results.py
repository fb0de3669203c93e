"""Results: a row for every run, read from its folder alone, so that the same runs give the same bytes."""

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.errors import UserError
from classlab.plain_text import spreadsheet_safe
from classlab.runs import records, store
from classlab.runs.recount import recount

if TYPE_CHECKING:
    import numpy as np

MOST_DIFFERENCES = 8  # told one by one
LAST_EPOCHS = 5  # of which spread_val_accuracy is the highest less the lowest
SELECTED = ("test_accuracy", "test_loss", "val_accuracy", "val_loss", "train_accuracy", "train_loss")
ENDED = ("finished", "diverged", "did_not_learn")
Row = dict[str, Any]


def row(folder: Path, failure: str | None = None) -> Row:
    """Return what a run gave: status, sentence, the metrics of the selected epoch, and those of the curve.

    Its figures are counted again from the run's files; differences are sentences on what its summary says otherwise.
    folder: of the run, which need not be there yet. failure: the sentence kept for a run that could not be trained.
    """
    if (folder / store.SUMMARY).exists():
        counted = recount(folder, records.read_summary(folder / store.SUMMARY))
        summary = counted.summary
        found = {key: summary.get(key) for key in ("status", "epochs", "selected_epoch", "parameters", *SELECTED)}
        curve = _curve(store.read_metrics(folder / store.METRICS))
        about = {"test_total": summary.get("test_total"), "val_total": summary.get("val_total")}
        return {
            **found,
            **curve,
            **about,
            "sentence": summary.get("status_sentence", ""),
            "seconds": summary["seconds"],
            "differences": counted.differences,
        }
    if failure is not None:
        return {"status": "failed", "sentence": f"failed: {failure}"}
    begun = (folder / store.LAST).is_file()
    return {"status": "incomplete" if begun else "waiting", "sentence": "not yet trained to its end"}


def differences(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each figure of a run's summary that the run's other files contradict, of many the first."""
    found = [f"{row['variant']}, seed {row['seed']}: {text}" for row in rows for text in row.get("differences", ())]
    more = len(found) - MOST_DIFFERENCES
    rest = [f"and {more:,} more figures of summaries are contradicted"] if more > 0 else []
    return [*found[:MOST_DIFFERENCES], *rest]


def _curve(history: Sequence[Mapping[str, float]]) -> Row:
    """Return the first, best and last epoch's metrics, and the spread of the last ones, for what was measured."""
    found: Row = {}
    for split in ("val", "test", "train"):
        for what in ("accuracy", "loss"):
            name = f"{split}_{what}"
            values = [(epoch[name], int(epoch["epoch"])) for epoch in history if name in epoch]
            if not values:
                continue
            finite = [(value, epoch) for value, epoch in values if math.isfinite(value)]
            found[f"first_{name}"], found[f"last_{name}"] = _finite(values[0][0]), _finite(values[-1][0])
            if finite:
                # Of equal epochs the first, as the protocol selects.
                best = max(finite, key=lambda pair: (pair[0] if what == "accuracy" else -pair[0], -pair[1]))
                found[f"best_{name}"], found[f"best_{name}_epoch"] = best
            if what == "accuracy" and split != "train":
                last = [value for value, _ in values[-LAST_EPOCHS:]]
                found[f"spread_{name}"] = max(last) - min(last)
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


OUTCOME = ("seed", "status", "epochs", "selected_epoch", "parameters", *SELECTED)
TAKEN = ("variant", "experiment", *OUTCOME, "run", "sentence", "seconds")  # names that no setting's column may have
CURVE = (
    "first_{}_accuracy", "best_{}_accuracy", "best_{}_accuracy_epoch", "last_{}_accuracy", "spread_{}_accuracy",
    "first_{}_loss", "best_{}_loss", "last_{}_loss",
)  # fmt: skip


def columns(rows: Sequence[Row], changed: Sequence[str]) -> list[str]:
    """Return the columns of results.csv: of the curves those that any run has."""
    curve = [pattern.format(split) for split in ("val", "test") for pattern in CURVE]
    measured = [name for name in curve if any(row.get(name) is not None for row in rows)]
    return ["variant", *changed, *OUTCOME, *measured, "run", "sentence"]


def to_csv(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return rows as CSV text, numbers so that they read back to the same bits; what was not measured is empty.

    A text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(spreadsheet_safe, names))
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return repr(value)
    return spreadsheet_safe(str(value))


def write(study_folder: Path, rows: Sequence[Row], changed: Sequence[str]) -> None:
    """Write results.csv, and times.csv apart from it: seconds differ from one day to the next, results do not."""
    store.write(study_folder / "results.csv", to_csv(rows, columns(rows, changed)))
    store.write(study_folder / "times.csv", to_csv(rows, ["variant", "seed", "seconds", "run"]))


def histories(folders: Mapping[str, Mapping[int, Path]], metric: str) -> dict[str, dict[int, list[float]]]:
    """Return variant -> seed -> the metric (a column of metrics.csv) epoch by epoch, for the runs that measured it."""
    found: dict[str, dict[int, list[float]]] = {}
    for variant, by_seed in folders.items():
        curves = {}
        for seed, folder in by_seed.items():
            curve = [epoch.get(metric, math.nan) for epoch in store.read_metrics(folder / store.METRICS)]
            if any(math.isfinite(value) for value in curve) or (curve and metric == "train_loss"):
                curves[seed] = curve
        if curves:
            found[variant] = curves
    return found


def test_labels(folder: Path) -> "np.ndarray | None":
    """Return the test labels that a run was measured on, int64 (count,); None where it did not finish.

    Only they are read, not the logits beside them: two hundred runs are asked at once.
    """
    try:
        return store.read_labels(folder / store.PREDICTIONS)
    except UserError:
        return None


def largest_class_share(folder: Path) -> float | None:
    """Return the share of the largest class among a run's test images, None where it did not finish."""
    labels = test_labels(folder)
    if labels is None:
        return None
    return max(Counter(labels.tolist()).values()) / len(labels)


def right(folder: Path) -> "np.ndarray | None":
    """Return which test images a run got right, bool (count,); None where it has no such answers."""
    try:
        outputs, labels = store.read_predictions(folder / store.PREDICTIONS)
    except UserError:
        return None
    return outputs.argmax(1) == labels if outputs.ndim == 2 else None

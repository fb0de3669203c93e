"""A run's figures, counted from its answers and its epochs: when it ends, and again when somebody opens its folder.

summary.json is a text that anybody can edit. What the other files of the folder give is taken from them, and where the
summary says something else, that is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import contract as contracts
from classlab import files, statistics
from classlab.errors import UserError
from classlab.experiment import Contract
from classlab.runs import store

if TYPE_CHECKING:
    from classlab.training.evaluate import Evaluation

# Figures of the selected epoch that metrics.csv holds too.
OF_THE_EPOCH = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
WORDS = {
    "status": "the status", "epochs": "the number of epochs", "seconds": "the seconds of training",
    "test_correct": "the number of test images classified correctly", "test_total": "the number of test images",
    **{name: f"the {name.replace('_', ' ').replace('val ', 'validation ')}" for name in OF_THE_EPOCH},
}  # fmt: skip


@dataclass(frozen=True)
class Recount:
    """A summary whose figures are those of the folder's other files. differences: a sentence for each that was not."""

    summary: dict[str, Any]
    differences: tuple[str, ...] = ()


def recount(folder: Path, summary: Mapping[str, Any]) -> Recount:
    """Return a finished run's summary counted again, its contract as the summary has it; see judge_again.

    Raises UserError for files that are damaged; one that is missing leaves its figures as the summary says them.
    """
    rows = store.read_metrics(folder / store.METRICS)
    counted = of_epochs(rows, summary["selected_epoch"], summary.get("val_total") or 0)
    answers = _answers(folder)
    if answers is not None:
        outputs, labels = answers
        correct = int((outputs.argmax(1) == labels).sum()) if outputs.ndim == 2 else None
        finite = bool(np.isfinite(outputs).all())
        counted |= accuracy(correct, len(labels))
        if rows:
            lost = None if finite else np.nan
            loss = summary.get("test_loss") if lost is None else lost
            counted["status"], counted["status_sentence"] = status(rows, _number(loss), correct, labels)
    figures = {key: value for key, value in counted.items() if key in WORDS}
    different = [key for key, value in figures.items() if not _same(summary.get(key), value)]
    return Recount({**summary, **counted}, tuple(_sentence(key, summary.get(key), figures[key]) for key in different))


def judge_again(
    summary: Mapping[str, Any], contract: Contract, fixed: Sequence[contracts.Check],
    rows: Sequence[Mapping[str, float]],
) -> dict[str, Any]:  # fmt: skip
    """Return the contract part of a summary, judged by the summary's own figures.

    fixed: the rules on data and layers, which training does not change, see contract.check_data and check_layers.
    rows: those of metrics.csv.
    """
    # Of weights that were imported nobody knows for how long they were trained.
    known = summary if summary["epochs"] else {**summary, "epochs": None, "seconds": None}
    checks = [*contracts.check_after(contract, known), *contracts.check_last_epochs(contract, rows), *fixed]
    return {
        "passed": contracts.verdict(checks) and summary["status"] == "finished",
        "checks": [vars(check) for check in checks],
        "open": contracts.open_rules(contract),
        "not_judged": contracts.not_judged(contract),
    }


def of_epochs(rows: Sequence[Mapping[str, float]], selected_epoch: int, val_total: int) -> dict[str, Any]:
    """Return the figures that the rows of metrics.csv give; none where there is no row of the selected epoch.

    val_total: the validation images, from which an accuracy is turned into counts, that a contract compares exactly.
    """
    selected = next((row for row in rows if row["epoch"] == selected_epoch), None)
    if selected is None:
        return {}
    found: dict[str, Any] = {"epochs": len(rows), "selected_epoch": selected["epoch"]}
    found |= {name: selected.get(name) for name in OF_THE_EPOCH}
    if selected.get("val_accuracy") is not None:
        found |= {"val_correct": round(selected["val_accuracy"] * val_total), "val_total": val_total}
    return found | {"seconds": round(sum(row["seconds"] for row in rows), 3)}


def of_no_epoch(val: "Evaluation | None", val_total: int) -> dict[str, Any]:
    """Return what stands in the place of an epoch's figures for weights that were imported, see runs.imported."""
    counted: dict[str, Any] = {"epochs": 0, "selected_epoch": 0, "seconds": 0.0, "val_loss": val.loss if val else None}
    if val and val.correct is not None:
        counted |= {"val_accuracy": val.correct / val_total, "val_correct": val.correct, "val_total": val_total}
    return counted


def accuracy(correct: int | None, total: int) -> dict[str, Any]:
    """Return the test accuracy with its Wilson interval; a network that reconstructs images has none."""
    if correct is None:
        return {"test_accuracy": None, "test_correct": None, "test_total": total, "test_interval": None}
    return {
        "test_accuracy": correct / total,
        "test_correct": correct,
        "test_total": total,
        "test_interval": list(statistics.wilson(correct, total)),
    }


def status(
    rows: Sequence[Mapping[str, float]], test_loss: float, correct: int | None, labels: np.ndarray
) -> tuple[str, str]:
    """Return what became of a run: finished, diverged or did_not_learn, and a sentence. labels: int64, (count,)."""
    last, total = rows[-1] if rows else {}, len(labels)
    losses = [value for name, value in last.items() if name.endswith("_loss")]
    if not np.isfinite([*losses, test_loss]).all():
        return "diverged", f"diverged: the loss was not finite in epoch {last.get('epoch', 0)}"
    if correct is not None:
        largest = float(np.bincount(labels).max()) / total
        if statistics.no_better_than_chance(correct, total, largest):
            share = f"{100 * correct / total:.2f} % right where always answering one class gives {100 * largest:.2f} %"
            return "did_not_learn", f"did not learn: {share}"
    if not rows:
        return "finished", "imported, not trained here"
    return "finished", f"finished after {len(rows)} epoch{'' if len(rows) == 1 else 's'}"


def _answers(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        return store.read_predictions(folder / store.PREDICTIONS)
    except files.MissingFile:
        return None
    except UserError as error:
        raise UserError(f"the figures cannot be counted again: {error}") from None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _same(said: Any, counted: Any) -> bool:
    """Say whether two figures are the same; JSON has no NaN and holds null in its place."""
    if isinstance(counted, float) and not np.isfinite(counted):
        return said is None
    if isinstance(counted, float) and isinstance(said, int | float):
        return bool(np.isclose(said, counted, rtol=1e-9, atol=1e-12))
    return said == counted


def _sentence(key: str, said: Any, counted: Any) -> str:
    source = store.PREDICTIONS if key.startswith(("test_", "status")) else store.METRICS
    return f"{store.SUMMARY} gives {_figure_text(said)} for {WORDS[key]}; {source} gives {_figure_text(counted)}"


def _figure_text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value).replace("_", " ")

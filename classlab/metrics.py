"""What a run measures: how each metric is called, its unit, and whether more of it is better.

A metric's name is made of a split and of what is measured, `val_accuracy`. Alone it is the value at the selected epoch,
which is the run's result. `first_`, `best_` and `last_` before it name another epoch; `spread_` is the highest less the
lowest of the last epochs.
"""

import re

from classlab.statistics import ACCURACY, LOSS, Scale

SPLITS = {"train": "train", "val": "validation", "test": "test"}
PATTERN = re.compile(r"((first|best|last)_)?(train|val|test)_(accuracy|loss)|spread_(val|test)_accuracy")
NAMES = (
    "test_accuracy", "test_loss", "val_accuracy", "val_loss", "train_accuracy", "train_loss",
    "best_val_accuracy", "best_test_accuracy", "first_val_accuracy", "first_test_accuracy",
    "last_val_accuracy", "last_test_accuracy", "spread_val_accuracy", "spread_test_accuracy",
    "best_val_loss", "best_test_loss", "first_val_loss", "first_test_loss", "last_val_loss", "last_test_loss",
    "first_train_loss", "last_train_loss",
)  # fmt: skip
SPREAD = Scale("spread", unit=" points", gap_unit=" points", higher_is_better=False, is_share=False, is_gap=True)


def scale(metric: str) -> Scale:
    """Return how a metric is written and compared: as an accuracy, as a difference of accuracies, or as a loss."""
    return SPREAD if metric.startswith("spread_") else ACCURACY if metric.endswith("accuracy") else LOSS


def words(metric: str) -> str:
    """Return what a sentence or an axis calls a metric: "best validation accuracy", "learning rate"."""
    return " ".join(SPLITS.get(part, part) for part in metric.split("_"))


def short(metric: str) -> str:
    """Return what the narrow column of a table calls a metric: "best val accuracy"."""
    return metric.replace("_", " ")


def title(metric: str) -> str:
    """Return what the axis of a chart says, with the unit: "validation accuracy, %", "train loss"."""
    return f"{words(metric)},{scale(metric).unit}" if scale(metric).unit else words(metric)

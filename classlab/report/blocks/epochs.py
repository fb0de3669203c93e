"""Epochs: the figures of every epoch as a table, of several seeds their mean with its standard deviation."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from classlab.drawing.blocks import Block, Column, Table
from classlab.report.curve_figures import labels
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20  # of more epochs some are shown; metrics.csv holds all
EPOCH = Column("epoch", "count")
COLUMNS = {
    "train_loss": Column("train loss", "number", 4),
    "train_accuracy": Column("train accuracy", "percent"),
    "val_loss": Column("validation loss", "number", 4),
    "val_accuracy": Column("validation accuracy", "percent"),
    "test_loss": Column("test loss", "number", 4),
    "test_accuracy": Column("test accuracy", "percent"),
}


def blocks(material: Material) -> list[Block]:
    """Return a table for each name."""
    several = len(material.runs) > 1
    tables = [
        _table(name if several else "", runs) for name, runs in material.present.items() if not runs[0].history.empty
    ]
    return [*tables, *material.missing()]


def _table(name: str, runs: Sequence[FinishedRun]) -> Table:
    histories = [run.history for run in runs]
    measured = [key for key in COLUMNS if key == "train_loss" or any(_has(history, key) for history in histories)]
    columns = [COLUMNS[key] for key in measured]
    if len(runs) > 1:
        columns = [Column(_heading(column), "figure") for column in columns]
    epochs = max(len(history) for history in histories)
    every = -(-epochs // ROWS)
    kept = {*range(every, epochs + 1, every), 1, epochs, runs[0].summary.get("selected_epoch")}
    rows = tuple(_row(histories, measured, epoch) for epoch in range(1, epochs + 1) if epoch in kept)
    caption = _caption(name, runs, "Every epoch" if every == 1 else f"Some of the {epochs} epochs")
    if any(key.startswith("test") for key in measured):
        caption += f"; {labels(runs[0], 'accuracy')['test']}"
    return Table("epochs", caption, (EPOCH, *columns), rows)


def _caption(name: str, runs: Sequence[FinishedRun], which: str) -> str:
    text = which + (f" of {name}" if name else "")
    if len(runs) > 1:
        text += f": the mean of {len(runs)} seeds ± their standard deviation"
    text += "" if which == "Every epoch" else "; metrics.csv has all"
    protocol = runs[0].experiment.protocol
    if protocol.train_metrics == "accuracy re-evaluated":
        return f"{text}. The train loss is the running one, the train accuracy the re-evaluated one"
    return f"{text}. Train figures are the {protocol.train_metrics} ones"


def _has(history: "pd.DataFrame", key: str) -> bool:
    return key in history and bool(history[key].notna().any())


def _heading(column: Column) -> str:
    return column.label + (", %" if column.form == "percent" else "")


def _row(histories: "list[pd.DataFrame]", measured: list[str], epoch: int) -> tuple[Any, ...]:
    reached = [history for history in histories if epoch <= len(history)]
    values = {key: [float(history[key].iloc[epoch - 1]) for history in reached if key in history] for key in measured}
    if len(histories) > 1:
        return epoch, *(_mean(found, COLUMNS[key]) for key, found in values.items())
    return epoch, *(_single(*found) if found else None for found in values.values())


def _single(value: float) -> float | str:
    return value if math.isfinite(value) else "not finite"


def _mean(values: list[float], column: Column) -> str | None:
    """Return mean ± sd; "not finite" where one of the runs is not."""
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        return "not finite"
    factor = 100 if column.form == "percent" else 1
    mean = f"{factor * fmean(values):.{column.digits}f}"
    spread = f" ±\u00a0{factor * stdev(values):.{column.digits}f}" if len(values) > 1 else ""
    return mean + spread

"""Curves: loss, accuracy and learning rate over the epochs, and the same figures as a table."""

from functools import partial
from typing import TYPE_CHECKING

from classlab.drawing import charts
from classlab.drawing.blocks import Column, Figure, Figures, Section, Table, Words
from classlab.report import reconstructed, words
from classlab.runs.finished import FinishedRun as Run

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20  # of the table; of more epochs it shows some, metrics.csv holds all
COLUMNS = {
    "epoch": Column("epoch", "count"),
    "train_loss": Column("train loss", "number", 4),
    "train_accuracy": Column("train accuracy", "percent"),
    "val_loss": Column("validation loss", "number", 4),
    "val_accuracy": Column("validation accuracy", "percent"),
    "test_loss": Column("test loss", "number", 4),
    "test_accuracy": Column("test accuracy", "percent"),
}


def section(run: Run) -> Section | None:
    """Return the curves, or None before the first epoch is done."""
    if run.history.empty:
        return None
    return Section("Training curves", (Words(reading(run)), Figures(_figures(run)), _table(run)))


def labels(run: Run) -> dict[str, str]:
    """Return what the legend calls each split under this run's protocol."""
    protocol = run.experiment.protocol
    test = "test, not used for selection"
    if protocol.validate_on == "test":
        test = "test, which chose the epoch" if run.experiment.chosen_on else "test, watched every epoch"
    return {"train": f"train ({protocol.train_metrics})", "val": "validation", "test": test}


def reading(run: Run) -> str:
    """Say what the train curve is, without which it cannot be compared with the others."""
    protocol, augmentations = run.experiment.protocol, run.experiment.data.augmentations
    if protocol.train_metrics == "re-evaluated":
        images = "augmented training images" if augmentations else "training images"
        others = ", the other curves on images as they are" if augmentations and protocol.augment == "train" else ""
        alike = "" if others else ", like the other curves"
        return f"The train curve is measured on the {images} at the end of each epoch{alike}{others}."
    alone = not any(f"{split}_loss" in run.history for split in ("val", "test"))
    met = "augmented, and " if augmentations else ""
    others = "on images as they are"
    if augmentations and protocol.augment == "all":
        others = "on images augmented in the same way"
    return (
        f"The train curve is the running one: each image counts as it was met during the epoch, {met}with the weights "
        "of that moment and dropout, where there is any, at work."
        + ("" if alone else f" The other curves are measured at the end of the epoch, {others}.")
    )


def _figures(run: Run) -> tuple[Figure, ...]:
    history = run.history
    figures = [loss(run, history, "loss", "Loss over the epochs.")]
    later = history[history["epoch"] > len(history) // 2]
    close = f"The same {'loss' if run.reconstructs else 'accuracy'} from epoch {len(history) - len(later) + 1}, closer."
    if not run.reconstructs:
        figures.append(accuracy(run, history, "accuracy", "Accuracy over the epochs."))
    if len(later) >= 4:
        draw = loss if run.reconstructs else accuracy
        figures.append(draw(run, later, "loss-close" if run.reconstructs else "accuracy-close", close))
    if history["learning_rate"].nunique() > 1:
        rates = f"The learning rate at the end of each epoch; its schedule is {run.experiment.training.schedule.name}."
        figures.append(Figure("learning-rate", rates, rates, partial(charts.learning_rate, history)))
    return tuple(figures)


def loss(run: Run, history: "pd.DataFrame", name: str, caption: str) -> Figure:
    """Return the chart of losses, and under that of images drawn again, seen whole, its floors."""
    selected, broken = run.summary.get("selected_epoch"), charts.broken_rows(history)
    found = reconstructed.floors(run) if run.reconstructs and name == "loss" else None
    floors = found.of_each if found else {}
    if selected in history["epoch"].to_numpy():
        caption += f" The ring marks epoch {selected}, whose weights are the result."
    if broken:
        caption += f" A cross marks where the loss is not finite, from epoch {broken[0]['epoch']}."
    drawn = [split for split in floors if f"{split}_loss" in history and floors[split] > 0]
    described = _described(run, history, "loss")
    if drawn:
        caption += " A thin line is the floor: no training brings the loss of this network on these images under it."
        told = (f"{labels(run)[split]} {floors[split]:.4f}" for split in drawn)
        described += f" Floors: {'; '.join(told)}."
    draw = partial(charts.loss, history, labels=labels(run), selected_epoch=selected, floors=floors)
    return Figure(name, caption, described, draw)


def accuracy(run: Run, history: "pd.DataFrame", name: str, caption: str) -> Figure:
    """Return the chart of accuracies, with the contract's limit."""
    limit, selected = _limit(run), run.summary.get("selected_epoch")
    if limit and name == "accuracy":
        caption += " The line is the contract's limit."
    draw = partial(charts.accuracy, history, labels=labels(run), selected_epoch=selected, limit_percent=limit)
    return Figure(name, caption, _described(run, history, "accuracy"), draw)


def _limit(run: Run) -> float | None:
    contract = run.experiment.contract
    return contract.min_test_accuracy_percent or contract.min_val_accuracy_percent


def _described(run: Run, history: "pd.DataFrame", metric: str) -> str:
    """Say in words where each curve starts and ends, for who cannot see it."""
    rows = charts.curve_rows(history, metric)
    names = labels(run)
    told = []
    for split in (key for key in rows[0] if key != "epoch"):
        ends = [row[split] for row in (rows[0], rows[-1])]
        start, end = (_value(value, metric) for value in ends)
        told.append(f"{names[split]} from {start} to {end}")
    return f"{metric.capitalize()} from epoch {rows[0]['epoch']} to {rows[-1]['epoch']}: {'; '.join(told)}."


def _value(value: float | None, metric: str) -> str:
    if value is None:
        return "no finite value"
    return words.percent(value) if metric == "accuracy" else f"{value:.4f}"


def _table(run: Run) -> Table:
    history = run.history
    present = [
        name for name in COLUMNS if name in history and (name in ("epoch", "train_loss") or history[name].notna().any())
    ]
    every = -(-len(history) // ROWS)
    selected = run.summary.get("selected_epoch")
    kept = (history["epoch"] % every == 0) | history["epoch"].isin([1, selected, len(history)])
    rows = tuple(tuple(row) for row in history[kept][present].itertuples(index=False, name=None))
    caption = (
        "Every epoch in figures" if every == 1 else f"Some of the {len(history)} epochs in figures; metrics.csv has all"
    )
    return Table("epochs", caption, tuple(COLUMNS[name] for name in present), rows)

"""What runs give for a published figure: each metric as one function of a run, or of the hand-worked network."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from classlab.errors import UserError, did_you_mean, listing
from classlab.report.spec import Part, Value
from classlab.runs import records, store
from classlab.runs.finished import FinishedRun

LAST = 5  # epochs that lowest_last_five and spread_last_five look at
SPLITS, ENDINGS = ("train", "val", "test"), ("_loss", "_accuracy")


@dataclass(frozen=True)
class Measured:
    """A figure over seeds. by_seed: what each run gave, the runs without it left out, and of several those that
    diverged: they say nothing about the others. runs: how many were asked.

    images: how many images one share was counted on, None if it is not one of images. why: run's seed -> why it has
    no such figure.
    """

    by_seed: Mapping[int, float]
    runs: int
    images: int | None = None
    why: Mapping[int, str] = field(default_factory=dict)

    @property
    def values(self) -> list[float]:
        """The figures, in the order of the seeds."""
        return list(self.by_seed.values())


def measure(value: Value, name: str, part: Part, runs: Mapping[str, Sequence[FinishedRun]]) -> Measured:
    """Return what the runs called `name` give for a figure; `lesson` is the hand-worked network of the part."""
    if name == "lesson":
        assert part.lesson is not None
        return Measured({0: LESSON[value.metric](part.lesson)}, 1)
    found: dict[int, float] = {}
    why: dict[int, str] = {}
    some_ended_well = any(run.status != "diverged" for run in runs[name])
    for run in runs[name]:
        diverged = run.status == "diverged"
        try:
            figure = read(run, value.metric, value.epoch) * value.factor
        except NotMeasured as error:
            why[run.seed] = "diverged" if diverged else str(error)
            continue
        if math.isfinite(figure) and not (diverged and some_ended_well and is_trained(value.metric)):
            found[run.seed] = figure
        else:
            why[run.seed] = "diverged" if diverged else "not finite"
    counted = images(runs[name][0], value.metric) if runs[name] else None
    return Measured(found, len(runs[name]), counted, why)


def is_trained(metric: str) -> bool:
    """Whether training decides this figure, and so the seed; the others are counts that the experiment decides."""
    return metric not in RUN or metric in OF_EPOCHS


class NotMeasured(Exception):
    """Raised where a run has no such figure, with a few words why."""


def check(value: Value, part: Part) -> None:
    """Raise UserError for a figure that can be measured in no run, or that leaves open at which epoch."""
    lesson = value.of == "lesson"
    known = [*LESSON] if lesson else [*RUN, *(f"{split}{ending}" for split in SPLITS for ending in ENDINGS)]
    if value.metric not in known:
        where = "the hand-worked network" if lesson else "no run"
        hint = did_you_mean(value.metric, known) or ";"
        kind = "has no figure" if lesson else "has a figure"
        raise UserError(f"{value.what}: {where} {kind} {value.metric!r}{hint} there are {listing(known, len(known))}")
    if lesson and part.lesson is None:
        raise UserError(f"{value.what}: the part {part.title!r} has no lesson to measure")
    each = value.each_epoch or value.each_epoch_percent
    if not lesson and value.metric not in RUN and value.epoch is None and each is None:
        raise UserError(f"{value.what}: a loss or an accuracy needs an epoch: a number, first, best, last or selected")


def read(run: FinishedRun, metric: str, epoch: int | str | None = None) -> float:
    """Return a run's figure; losses and accuracies at an epoch: its number, first, best, last or selected.

    Raises NotMeasured.
    """
    if metric in RUN:
        return RUN[metric](run)
    rows = store.read_metrics(run.path / store.METRICS)
    selected = run.summary.get("selected_epoch")
    at_end = epoch == "selected" or (epoch == "last" and selected == len(rows))
    if at_end and not any(metric in row for row in rows):  # measured once, at the end
        figure = records.figure(run.summary, metric)
        if figure is None:
            raise NotMeasured("not measured")
        return figure
    measured = records.figure(run.summary, metric)
    if epoch == "selected" and measured is not None:
        return measured
    curve = {int(row["epoch"]): row[metric] for row in rows if metric in row}
    if not curve:
        raise NotMeasured("not measured")
    if epoch == "best":
        finite = [figure for figure in curve.values() if math.isfinite(figure)] or [math.nan]
        return max(finite) if metric.endswith("accuracy") else min(finite)
    number = {"first": 1, "last": len(rows), "selected": selected}.get(str(epoch), epoch)
    if number not in curve:
        raise NotMeasured(f"ended after epoch {len(rows)}")
    return curve[number]


def images(run: FinishedRun, metric: str) -> int | None:
    """Return on how many images an accuracy was counted, None for another metric."""
    if not metric.endswith("_accuracy"):
        return None
    split = run.split()
    name = metric.removesuffix("_accuracy")
    if name == "test":
        return split["test"]
    return int(_copies(run)) if name == "train" else len(split["val"])


def _copies(run: FinishedRun) -> float:
    return len(run.split()["train"]) * run.experiment.data.copies


def _last_five(run: FinishedRun) -> list[float]:
    rows = store.read_metrics(run.path / store.METRICS)[-LAST:]
    if not all("test_accuracy" in row for row in rows):
        raise NotMeasured("not measured")
    return [row["test_accuracy"] for row in rows]


def _spread(run: FinishedRun) -> float:
    last = _last_five(run)
    return max(last) - min(last)


def _field_after_pool(run: FinishedRun) -> float:
    """Return the receptive field of the first pool's outputs, in pixels."""
    for layer in run.layer_table.layers:
        if "pool" in layer.kind.lower() and layer.receptive_field:
            return layer.receptive_field["size"]
    raise NotMeasured("the network has no pool")


def _seconds(run: FinishedRun) -> float:
    return fmean(row["seconds"] for row in store.read_metrics(run.path / store.METRICS))


RUN: dict[str, Callable[[FinishedRun], float]] = {
    "parameters": lambda run: run.summary["parameters"],
    "epochs": lambda run: run.summary["epochs"],
    "seconds": _seconds,
    "train_images": lambda run: len(run.split()["train"]),
    "train_images_with_copies": _copies,
    "val_images": lambda run: len(run.split()["val"]),
    "test_images": lambda run: run.split()["test"],
    "steps": lambda run: math.ceil(_copies(run) / run.experiment.training.batch_size),
    "memory_input": lambda run: run.layer_table.memory["input"],
    "memory_forward_backward": lambda run: run.layer_table.memory["forward_backward"],
    "memory_parameters": lambda run: run.layer_table.memory["parameters"],
    "memory_total": lambda run: run.layer_table.memory["total"],
    "field_after_pool": _field_after_pool,
    "lowest_last_five": lambda run: min(_last_five(run)),
    "spread_last_five": _spread,
}
OF_EPOCHS = ("lowest_last_five", "spread_last_five")  # the figures of these that come of accuracies
# What a shortened run has in common with the full one.
OF_THE_NETWORK = (
    "parameters", "memory_input", "memory_forward_backward", "memory_parameters", "memory_total", "field_after_pool",
)  # fmt: skip


def _rows(like: str) -> float:
    from classlab.lesson import small_network

    settings = small_network.settings(like)
    return len(small_network.descend(small_network.build(like), settings["learning_rates"][0], settings["epochs"]))


def _monotone(like: str) -> float:
    """Return 1.0 if after every step the loss is the lower, the larger the rate, else 0.0."""
    from classlab.lesson import small_network

    settings, start = small_network.settings(like), small_network.build(like)
    rates = sorted(settings["learning_rates"])
    curves = [[row.forward.total for row in small_network.descend(start, rate, settings["epochs"])] for rate in rates]
    after = zip(*(curve[1:] for curve in curves), strict=True)
    return float(all(slow > fast for row in after for slow, fast in pairwise(row)))


LESSON: dict[str, Callable[[str], float]] = {"rows": _rows, "monotone": _monotone}

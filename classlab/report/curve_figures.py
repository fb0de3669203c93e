"""Curves over the epochs as figures: those of one run, and those of several runs of several names in one chart."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from classlab.drawing import charts, seeds
from classlab.drawing.blocks import Figure
from classlab.drawing.palette import COLOURS
from classlab.report import protocol_notes, reconstructed, words
from classlab.report.material import Material, Runs
from classlab.report.spec import Part, Value
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"train": "train", "val": "validation", "test": "test"}
# Colour and dash of a line: of a split, where all lines are of one name; else the name gives the colour.
ALONE = {"train": (COLOURS[0], [6, 3]), "val": (COLOURS[1], [1, 0]), "test": (COLOURS[3], [2, 3])}
DASHES = {"train": [6, 3], "val": [2, 3], "test": [1, 0]}
WIDTH, HEIGHT = 340, 260  # of a chart that may stand beside another
FLOOR = " A thin line is the floor: no training brings the loss of this network on these images below it."
Lines = dict[str, dict[int, list[float]]]


def labels(run: FinishedRun, metric: str) -> dict[str, str]:
    """Return what the legend of a metric, loss or accuracy, calls each split under this run's protocol."""
    protocol = run.experiment.protocol
    test = "test, not used for selection"
    if protocol.validate_on == "test":
        test = "test, which chose the epoch" if run.experiment.chosen_on else "test, watched every epoch"
    train = "running" if protocol.train_is_running(metric) else "re-evaluated"
    if metric == "loss" and train == "running" and protocol.train_loss_steps:
        train = f"last {protocol.train_loss_steps:,} steps"
    return {"train": f"train ({train})", "val": "validation", "test": test}


def reading(run: FinishedRun) -> str:
    """Say what the train curve is, without which it cannot be compared with the others."""
    protocol, augmentations = run.experiment.protocol, run.experiment.data.augmentations
    if protocol.train_metrics == "re-evaluated":
        images = "augmented training images" if augmentations else "training images"
        others = ", the other curves on images as they are" if augmentations and protocol.augment == "train" else ""
        alike = "" if others else ", like the other curves"
        return f"The train curve is measured on the {images} at the end of each epoch{alike}{others}."
    alone = not any(f"{split}_loss" in run.history for split in ("val", "test"))
    steps = protocol.train_loss_steps
    last = f" Its loss is the mean over the last {steps:,} steps of each epoch." if steps else ""
    curve = "curve"
    if protocol.train_metrics == "accuracy re-evaluated":
        curve, last = "loss", f"{last} The train accuracy is measured at the end of each epoch."
    met = "augmented, and " if augmentations else ""
    others = "on images as they are"
    if augmentations and protocol.augment == "all":
        others = "on images augmented in the same way"
    return (
        f"The train {curve} is the running one. Each image counts as it was seen during the epoch, {met}with the "
        "weights of that moment and dropout, where there is any, at work."
        + last
        + ("" if alone else f" The other curves are measured at the end of the epoch, {others}.")
    )


def figure(material: Material, metric: str, names: list[str] | None = None, suffix: str = "") -> Figure | None:
    """Return the chart of a loss or an accuracy of the material's runs, or None where none measured it.

    metric: loss or accuracy. names: all of the part, so that every chart gives a name one colour. suffix: of the
    figure's name, where the part has several.
    """
    if material.part.runs or len(material.every) != 1:  # a course's report has its charts alike, whatever is in them
        return _of_several(material, metric, names or list(material.runs), suffix)
    (run,) = material.every
    if not any(measured(run, f"{split}_{metric}") for split in NAMES):
        return None
    return of_run(run, run.history, metric, metric + suffix, f"{words.capital(metric)} over the epochs.")


def measured(run: FinishedRun, column: str) -> bool:
    """Say whether a run has a column of metrics.csv; the accuracies of what names no class are none."""
    present = column in run.history and (column.startswith("train") or bool(run.history[column].notna().any()))
    return present and not (run.reconstructs and column.endswith("accuracy"))


def of_run(run: FinishedRun, history: "pd.DataFrame", metric: str, name: str, caption: str) -> Figure:
    """Return the chart of one run's losses or accuracies: a ring at the selected epoch, and what limits there are.

    history: the run's, or a part of it, which is drawn without limits. caption: the sentence that its caption opens
    with.
    """
    whole, described = len(history) == len(run.history), _described_run(run, history, metric)
    selected, broken = run.summary.get("selected_epoch"), charts.broken_rows(history)
    if metric == "accuracy":
        contract = run.experiment.contract
        limit = contract.min_test_accuracy_percent or contract.min_val_accuracy_percent
        caption += " The line is the contract's limit." if limit and whole else ""
        draw = partial(
            charts.accuracy, history, labels=labels(run, metric), selected_epoch=selected, limit_percent=limit
        )
        return Figure(name, caption, described, draw)
    found = reconstructed.floors(run) if run.reconstructs and whole else None
    floors = found.of_each if found else {}
    if selected in history["epoch"].to_numpy():
        caption += f" The ring marks epoch {selected}, whose weights are the result."
    if broken:
        caption += f" A cross marks where the loss is not finite, from epoch {broken[0]['epoch']}."
    drawn = [split for split in floors if f"{split}_loss" in history and floors[split] > 0]
    if drawn:
        caption += FLOOR
        described += f" Floors: {'; '.join(f'{labels(run, metric)[split]} {floors[split]:.4f}' for split in drawn)}."
    draw = partial(charts.loss, history, labels=labels(run, metric), selected_epoch=selected, floors=floors)
    return Figure(name, caption, described, draw)


def _described_run(run: FinishedRun, history: "pd.DataFrame", metric: str) -> str:
    """Say in words where each curve starts and ends, for who cannot see it."""
    rows = charts.curve_rows(history, metric)
    names = labels(run, metric)
    ends = []
    for split in (key for key in rows[0] if key != "epoch"):
        start, end = (_end(row[split], metric) for row in (rows[0], rows[-1]))
        ends.append(f"{names[split]} from {start} to {end}")
    return f"{metric.capitalize()} from epoch {rows[0]['epoch']} to {rows[-1]['epoch']}: {'; '.join(ends)}."


def _end(value: float | None, metric: str) -> str:
    if value is None or not math.isfinite(value):
        return "no finite value"
    return words.percent(value) if metric == "accuracy" else f"{value:.4f}"


def _of_several(material: Material, metric: str, names: list[str], suffix: str) -> Figure | None:
    """Return one chart of all runs: of several seeds the mean and a band, published figures as diamonds."""
    runs = material.present
    splits = [split for split in NAMES if any(measured(run, f"{split}_{metric}") for run in material.every)]
    alone = len(names) == 1
    histories, looks, keys = Lines(), {}, {}
    for name, split in ((name, split) for name in runs for split in splits):
        key = f"{name}, {NAMES[split]}" if not alone else labels(runs[name][0], metric)[split]
        column = f"{split}_{metric}"
        lines = {run.seed: [*map(float, run.history[column])] for run in runs[name] if measured(run, column)}
        if lines:
            keys[name, split], histories[key] = key, lines
            looks[key] = ALONE[split] if alone else (COLOURS[names.index(name) % len(COLOURS)], DASHES[split])
    if not histories:
        return None
    broken = _broken(runs, keys, histories)
    longest = max(len(line) for lines in histories.values() for line in lines.values())
    published = _published(material.part, metric, keys, longest)
    floors = _floors(runs, keys) if metric == "loss" else {}
    draw = partial(
        seeds.curves, histories, metric, broken, looks=looks, published=published, floors=floors, width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip
    opening = words.capital(metric)
    if len(material.runs) < len(names):
        opening += f" of {words.listed([*map(words.quoted, material.runs)])}"
    only = f", {next(iter(histories))}" if len(histories) == 1 else ""
    seen = "" if alone or not any(split == "test" for _, split in keys) else protocol_notes.notes_of_runs(runs)
    caption = f"{opening} over the epochs{only}{_of_seeds(runs)}."
    caption += protocol_notes.sentence(seen) + _marks(published, floors, bool(broken))
    return Figure(metric + suffix, caption, f"{caption} {_described(histories, metric)}", draw)


def _broken(runs: Runs, keys: dict[tuple[str, str], str], histories: Lines) -> dict[str, set[int]]:
    """Return the seeds of each line whose run diverged."""
    found = {}
    for (name, _), key in keys.items():
        bad = {run.seed for run in runs[name] if run.status == "diverged"} & {*histories[key]}
        if bad:
            found[key] = bad
    return found


def _values(part: Part, metric: str) -> list[Value]:
    """Return the published figures of one run each that are a loss or an accuracy of some split."""
    metrics = {f"{split}_{metric}" for split in NAMES}
    every = [value for several in part.values for value in several.epochs()]
    return [it for it in every if it.claim == "value" and isinstance(it.of, str) and it.metric in metrics]


def _published(part: Part, metric: str, keys: dict[tuple[str, str], str], longest: int) -> list[dict[str, Any]]:
    """Return the published figures that belong to one epoch; of equal places the first."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for value in _values(part, metric):
        key, epoch = keys.get((str(value.of), value.metric.partition("_")[0])), _epoch(value, longest)
        if key is not None and epoch is not None and epoch <= longest:
            low, high = (end / value.factor for end in value.span)  # where it would lie without the report's slip
            found.setdefault((key, epoch), {"variant": key, "epoch": epoch, "low": low, "high": high})
    return list(found.values())


def _epoch(value: Value, longest: int) -> int | None:
    return value.epoch if isinstance(value.epoch, int) else {"first": 1, "last": longest}.get(str(value.epoch))


def _floors(runs: Runs, keys: dict[tuple[str, str], str]) -> dict[str, float]:
    """Return what the losses of a network that reconstructs images cannot get under."""
    found = dict[str, float]()
    for (name, split), key in keys.items():
        floors = reconstructed.floors(runs[name][0]) if runs[name][0].reconstructs else None
        if floors and split in floors.of_each:
            found[key] = floors.of_each[split]
    return found


def _of_seeds(runs: Runs) -> str:
    """Say what a line is where a name has several runs."""
    counts = {len(seeds) for seeds in runs.values()}
    if counts == {1}:
        return ""
    which = words.count(counts.pop(), "seed") if len(counts) == 1 else "the seeds"
    return f": the mean of {which}, the band from the lowest seed to the highest"


def _marks(published: list[Any], floors: dict[str, float], broken: bool) -> str:
    """Say what the marks mean that are drawn."""
    text = ""
    if published:
        text += " A diamond is a figure that the report published"
        text += ", a bar what it spans." if any(row["low"] != row["high"] for row in published) else "."
    if any(floors.values()):
        text += FLOOR
    return text + (" A cross marks where a run diverged." if broken else "")


def _described(histories: Lines, metric: str) -> str:
    """Say where each line starts and ends, for who cannot see it."""
    ends = []
    for key, lines in histories.items():
        start, end = (_mean([line[place] for line in lines.values() if line]) for place in (0, -1))
        ends.append(f"{key}: from {_rounded(start, metric)} to {_rounded(end, metric)}")
    return f"{'; '.join(ends)}."


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _rounded(value: float, metric: str) -> str:
    if not math.isfinite(value):
        return "no finite value"
    return words.percent(value) if metric == "accuracy" else f"{value:.4g}"

"""The curves of a part: several runs of several names in one chart, with the published figures as diamonds."""

import math
from functools import partial
from typing import Any

from classlab.drawing import seeds
from classlab.drawing.blocks import Figure
from classlab.drawing.palette import COLOURS
from classlab.report import reconstructed, watched, words
from classlab.report.of_parts import Runs
from classlab.report.published import Part, Value
from classlab.report.sections import curves
from classlab.runs.finished import FinishedRun as Run

SPLITS = ("train", "val", "test")
NAMES = {"train": "train", "val": "validation", "test": "test"}
ALONE = {"train": (COLOURS[0], [6, 3]), "val": (COLOURS[1], [1, 0]), "test": (COLOURS[3], [2, 3])}
DASHES = {"train": [6, 3], "val": [2, 3], "test": [1, 0]}
WIDTH, HEIGHT = 340, 260  # of a chart that may stand beside another
Lines = dict[str, dict[int, list[float]]]


def figure(part: Part, runs: Runs, what: str, all_names: list[str], suffix: str = "") -> Figure | None:
    """Return the chart of a loss or an accuracy, or None where no run measured it.

    what: loss or accuracy. all_names: of the part, so that every chart gives a name one colour. suffix: of the figure's
    name, where the part has several.
    """
    splits = [split for split in SPLITS if any(_measured(run, f"{split}_{what}") for of in runs.values() for run in of)]
    alone = len(all_names) == 1
    histories, looks, keys = Lines(), {}, {}
    for name, split in ((name, split) for name, of in runs.items() if of for split in splits):
        key = _key(runs[name][0], "" if alone else name, split)
        lines = {run.seed: _curve(run, f"{split}_{what}") for run in runs[name] if _measured(run, f"{split}_{what}")}
        if lines:
            keys[name, split], histories[key] = key, lines
            looks[key] = ALONE[split] if alone else (COLOURS[all_names.index(name) % len(COLOURS)], DASHES[split])
    if not histories:
        return None
    broken = dict[str, set[int]]()
    for (name, _), key in keys.items():
        bad = {run.seed for run in runs[name] if run.status == "diverged"} & {*histories[key]}
        if bad:
            broken[key] = bad
    longest = max(len(line) for lines in histories.values() for line in lines.values())
    others = _published(part, what, keys, longest)
    floors = _floors(runs, keys) if what == "loss" else {}
    draw = partial(
        seeds.curves, histories, what, broken, looks=looks, published=others, floors=floors, width=WIDTH, height=HEIGHT
    )
    opening = words.capital(what)
    if len(runs) < len(all_names):
        opening += f" of {words.listed([*map(words.quoted, runs)])}"
    only = f", {next(iter(histories))}" if len(histories) == 1 else ""
    seen = "" if alone or not any(split == "test" for _, split in keys) else watched.of_runs(runs)
    caption = f"{opening} over the epochs{only}{_seeds_told(runs)}."
    caption += watched.sentence(seen) + _marks(others, floors, bool(broken))
    return Figure(what + suffix, caption, f"{caption} {_described(histories, what)}", draw)


def _key(run: Run, name: str, split: str) -> str:
    """Return what the legend calls a line; where there is but one name, by the split's whole meaning."""
    return f"{name}, {NAMES[split]}" if name else curves.labels(run)[split]


def _measured(run: Run, column: str) -> bool:
    present = column in run.history and (column.startswith("train") or bool(run.history[column].notna().any()))
    return present and not (run.reconstructs and column.endswith("accuracy"))


def _curve(run: Run, column: str) -> list[float]:
    return [float(value) for value in run.history[column]]


def _published(part: Part, what: str, keys: dict[tuple[str, str], str], longest: int) -> list[dict[str, Any]]:
    """Return the published figures that belong to one epoch; of equal places the first."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for value in (one for several in part.values for one in several.epochs()):
        split, _, metric = value.metric.partition("_")
        if value.claim != "value" or metric != what or not isinstance(value.of, str) or (value.of, split) not in keys:
            continue
        epoch = _epoch(value, longest)
        if epoch is not None and epoch <= longest:
            low, high = _span(value)
            row = {"variant": keys[value.of, split], "epoch": epoch, "low": low, "high": high}
            found.setdefault((row["variant"], epoch), row)
    return list(found.values())


def _epoch(value: Value, longest: int) -> int | None:
    return value.epoch if isinstance(value.epoch, int) else {"first": 1, "last": longest}.get(str(value.epoch))


def _span(value: Value) -> tuple[float, float]:
    given = value.published_percent if value.is_percent else value.published
    low, high = given if isinstance(given, tuple) else (given, given)
    scale = 0.01 if value.is_percent else 1.0
    return float(low or 0.0) * scale, float(high or 0.0) * scale


def _floors(runs: Runs, keys: dict[tuple[str, str], str]) -> dict[str, float]:
    """Return what the losses of a network that draws images again cannot get under."""
    found = dict[str, float]()
    for (name, split), key in keys.items():
        floors = reconstructed.floors(runs[name][0]) if runs[name][0].reconstructs else None
        if floors and split in floors.of_each:
            found[key] = floors.of_each[split]
    return found


def _seeds_told(runs: Runs) -> str:
    counts = {len(of) for of in runs.values() if of}
    if counts == {1}:
        return ""
    of = f"{words.count(counts.pop(), 'seed')}" if len(counts) == 1 else "the seeds"
    return f": the mean of {of}, the band from the lowest seed to the highest"


def _marks(published: list[Any], floors: dict[str, float], broken: bool) -> str:
    """Say what the marks mean that are drawn."""
    text = ""
    if published:
        text += " A diamond is a figure that the report published"
        text += ", a bar what it spans." if any(row["low"] != row["high"] for row in published) else "."
    if any(floors.values()):
        text += " A thin line is the floor: no training brings the loss of this network on these images under it."
    return text + (" A cross marks where a run diverged." if broken else "")


def _described(histories: Lines, what: str) -> str:
    """Say where each line starts and ends, for who cannot see it."""
    told = []
    for key, lines in histories.items():
        ends = [_mean([line[place] for line in lines.values() if line]) for place in (0, -1)]
        start, end = (_told(value, what) for value in ends)
        told.append(f"{key}: from {start} to {end}")
    return f"{'; '.join(told)}."


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _told(value: float, what: str) -> str:
    if not math.isfinite(value):
        return "no finite value"
    return words.percent(value) if what == "accuracy" else f"{value:.4g}"

"""Weighing: which variants of a study explain a published curve, from their runs' folders, and in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from classlab import metrics
from classlab.formats import count, listed
from classlab.runs import store
from classlab.statistics import explanation
from classlab.statistics.explanation import Explanation, Published
from classlab.statistics.prediction import predict
from classlab.study import arithmetic, results
from classlab.study.arithmetic import Counted
from classlab.study.published_curve import PublishedCurve, PublishedFigure

# Variant -> seed -> (the run's folder, its row of results).
Runs = Mapping[str, Mapping[int, tuple[Path, results.Row]]]
MOST_FIGURES = 6  # named in a sentence
IMAGES = 10_000  # that a share is taken to be counted on where no run says on how many
FEW_SEEDS = 5  # with fewer, more would make a spread better known


@dataclass(frozen=True, eq=False)
class Weighing:
    """How the runs of a study stand to a published curve.

    figures: those that are compared, which the runs reach. counted: what is known of every variant without training.
    values: variant -> its seeds' figures, (seeds, figures), NaN for what a run does not have. images: see
    statistics.prediction. ruled_out: variants that cannot be it, and why. notes: what else must be known.
    """

    curve: PublishedCurve
    figures: list[PublishedFigure]
    counted: Mapping[str, Counted]
    values: dict[str, np.ndarray]
    images: list[int | None]
    ruled_out: dict[str, str]
    notes: list[str]
    runs: Runs

    @cached_property
    def names(self) -> list[str]:
        """The variants that are compared: neither ruled out by arithmetic nor without a seed that has every figure."""
        whole = [name for name, values in self.values.items() if np.isfinite(values).any(axis=0).all()]
        return [name for name in whole if name not in self.ruled_out]

    @cached_property
    def published(self) -> Published:
        """The published figures as statistics take them."""
        low, high = np.array([self.curve.ends(figure) for figure in self.figures]).T
        return Published([figure.base for figure in self.figures], self.images, low, high)

    @cached_property
    def plain(self) -> Explanation | None:
        """How the variants stand to the figures as they were published; None where no spread is known."""
        runs = [self.values[name] for name in self.names]
        several = [np.isfinite(values).sum(axis=0) > 1 for values in runs]
        if not runs or not np.any(several, axis=0).all():
            return None
        return explanation.explain(runs, self.published)

    @cached_property
    def aside(self) -> str | None:
        """The metric whose level none explains, where with it set aside some variant explains everything."""
        if self.plain is None or self.plain.fits:
            return None
        rescued = {metric: self._without(metric) for metric in dict.fromkeys(self.published.metrics)}
        fitting = {metric: found for metric, found in rescued.items() if found is not None and found.fits}
        return max(fitting, key=lambda metric: fitting[metric].p.max()) if fitting else None

    def _without(self, metric: str) -> Explanation | None:
        """Return how the variants stand with the level of a metric set aside; None where that leaves nothing of it."""
        if self.published.metrics.count(metric) < 2:
            return None
        return explanation.explain([self.values[name] for name in self.names], self.published, metric)

    @cached_property
    def explained(self) -> Explanation | None:
        """How the variants stand, with the level set aside that none explains; what ranks them."""
        return self._without(self.aside) if self.aside else self.plain

    @property
    def best(self) -> str | None:
        """The variant that explains what was published best; None where nothing can be judged."""
        return self.names[self.explained.best] if self.explained else None

    @property
    def not_told_apart(self) -> list[str]:
        """The variants that cannot be told apart from the best one."""
        if self.explained is None:
            return self.names
        together = zip(self.names, self.explained.together, strict=True)
        return [name for name, same in together if same and name != self.best]

    @property
    def none_explains(self) -> bool:
        """Whether no variant explains all that was published."""
        if not self.names:
            return self._begun
        return self.plain is not None and not self.plain.fits

    @property
    def _begun(self) -> bool:
        """Whether any run has finished."""
        return any(len(values) for values in self.values.values())

    def ranked(self) -> list[dict[str, Any]]:
        """Return a row for each variant: name, inside (of `figures`), misfit, both None where it is not judged.

        The best comes first, then the others by their misfit.
        """
        rows: list[dict[str, Any]] = []
        for name in self.values:
            row: dict[str, Any] = {"name": name, "inside": None, "figures": len(self.figures), "misfit": None}
            if self.plain is not None and self.explained is not None and name in self.names:
                place = self.names.index(name)
                row["inside"] = int(self.plain.inside[place].sum())
                row["misfit"] = round(float(self.explained.misfit[place]), 4)
            rows.append(row)
        return sorted(
            rows, key=lambda row: (row["name"] != self.best, math.inf if row["misfit"] is None else row["misfit"])
        )

    def verdict(self, name: str) -> str:
        """Say in a few words how a variant stands."""
        if name in self.ruled_out:
            return "ruled out by arithmetic"
        if name not in self.names:
            return "without these figures"
        if self.explained is None:
            return "cannot be judged"
        if name == self.best:
            return "closest, and does not explain it" if self.none_explains else "best"
        return "not told apart" if name in self.not_told_apart else "told apart"

    def to_json(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {
            "best": self.best,
            "not_told_apart": self.not_told_apart,
            "none_explains": self.none_explains,
            "variants": self.ranked(),
        }

    def decided(self) -> list[str]:
        """Return what arithmetic decides without training, in sentences."""
        return arithmetic.decide(self.curve, self.counted)[0]

    def sentences(self) -> list[str]:
        """Return the answer in plain words, what arithmetic decides first."""
        return [*self.decided(), *self.answer(), *self.notes]

    def answer(self) -> list[str]:
        """Return which variant explains the curve best, what cannot be told apart from it, and what none explains."""
        if not self._begun:
            return ["No run of this study has finished, so nothing is known of the published curve yet"]
        if not self.names:
            return ["None of the variants explains what was published: none of them can give these figures"]
        if self.explained is None or self.best is None:
            seeds = max(len(values) for values in self.values.values())
            return [
                f"The interval of one more run cannot be computed with n = {seeds}: it takes two seeds at least, and "
                f"{FEW_SEEDS} to know it well; give --seeds {FEW_SEEDS}"
            ]
        return [*(self._none() if self.none_explains else [self._found()]), *self._settled()]

    def _found(self) -> str:
        inside, alike = self._inside(self.best or ""), self.not_told_apart
        if alike:
            return (
                f"By what was published {listed([self.best or '', *alike])} cannot be told apart; {self.best} is the "
                f"closest, with {inside}"
            )
        return (
            f"{self.best} explains what was published best, with {inside}; every other variant is told apart from it. "
            "Settings that were not tried may explain it too"
        )

    def _inside(self, name: str) -> str:
        assert self.plain is not None
        inside = int(self.plain.inside[self.names.index(name)].sum())
        return f"{inside} of {count(len(self.figures), 'figure')} inside what one more run of it would give"

    def _none(self) -> list[str]:
        """Say that none explains the curve, and which residual none explains."""
        alike = f"; {listed(self.not_told_apart)} cannot be told apart from it" if self.not_told_apart else ""
        if self.aside:
            return [
                f"No variant explains all that was published: {self._level()}. If that is ignored, {self.best} "
                f"explains the rest best{alike}"
            ]
        assert self.plain is not None
        outside = [self.figures[place].words for place in np.flatnonzero(~self.plain.inside.any(axis=0))]
        more = f" and {len(outside) - MOST_FIGURES} more" if len(outside) > MOST_FIGURES else ""
        names = f"{', '.join(outside[:MOST_FIGURES])}{more}" if more else listed(outside)
        residual = f". Outside what any of them would give: {names}" if outside else ""
        return [
            f"No variant explains what was published: {self.best} is the closest, with "
            f"{self._inside(self.best or '')}; fewer than 1 in {round(1 / explanation.IMPOSSIBLE)} of its runs would "
            f"lie as far off{residual}"
        ]

    def _level(self) -> str:
        """Say by how much the metric that is set aside is off, in every figure of it."""
        assert self.aside is not None
        places = [place for place, figure in enumerate(self.figures) if figure.base == self.aside]
        measured = np.nanmean(self.values[self.best or ""][:, places], axis=0)
        middle = (self.published.low[places] + self.published.high[places]) / 2
        name, scale = metrics.words(self.aside), metrics.scale(self.aside)
        which = f"in all {len(places)} figures" if len(places) > 2 else "in both figures"
        if scale.is_share:
            gap = float(np.mean(middle - measured))
            points = scale.gaps(abs(gap))[0]
            return f"{name} is {points} points too {'high' if gap > 0 else 'low'} {which}"
        factor = float(np.exp(np.mean(np.log(middle / measured))))
        return f"{name} is {factor:.2f} times {'too large' if factor > 1 else 'what it should be, too small,'} {which}"

    def _settled(self) -> list[str]:
        """Say which figure that was not published would tell each variant that is not told apart from the best one."""
        return [self._settled_by(name) for name in self.not_told_apart]

    def _settled_by(self, name: str) -> str:
        figures, values = self.unpublished
        pair, places = f"{self.best} and {name}", (self.names.index(self.best or ""), self.names.index(name))
        found = None
        if figures:
            bases = [figure.base for figure in figures]
            images = [images_of(base, self.runs, self.counted) for base in bases]
            found = explanation.settled_by(values, bases, images, *places)
        if found is None:
            return f"No one figure more that these runs measure would tell {pair} apart"
        scale = metrics.scale(figures[found].base)
        means = [scale.value(float(np.nanmean(values[place][:, found]))) for place in places]
        return f"One figure more would tell {pair} apart: {figures[found].words}, {means[0]} against {means[1]}"

    @cached_property
    def unpublished(self) -> tuple[list[PublishedFigure], list[np.ndarray]]:
        """The figures of an epoch that the runs measure and nobody published, and what the compared variants have."""
        known = {(figure.base, figure.at) for figure in self.curve.trained}
        epochs = min(self.counted[name].epochs for name in self.names)
        figures = [
            PublishedFigure(metric=metric, epoch=epoch, value=0)
            for metric in results.SELECTED
            for epoch in range(1, epochs + 1)
            if (metric, epoch) not in known
        ]
        values = [_values(self.runs[name].values(), figures) for name in self.names]
        measured = np.flatnonzero(np.all([np.isfinite(part).any(axis=0) for part in values], axis=0))
        return [figures[place] for place in measured], [part[:, measured] for part in values]

    def bands(self, metric: str) -> dict[str, list[tuple[float, float]]]:
        """Return variant -> low and high of where one more run falls, epoch by epoch; nothing where no spread is known.

        Of an epoch that no seed of a variant has they are NaN.
        """
        if self.plain is None:
            return {}
        epochs = max(self.counted[name].epochs for name in self.names)
        figures = [PublishedFigure(metric=metric, epoch=epoch, value=0) for epoch in range(1, epochs + 1)]
        values = [_values(self.runs[name].values(), figures) for name in self.names]
        images = [images_of(metric, self.runs, self.counted)] * epochs
        low, high = predict(values, [metric] * epochs, images).interval()
        ends = np.stack([low, high], axis=-1).tolist()
        return {name: [(first, second) for first, second in part] for name, part in zip(self.names, ends, strict=True)}


def weigh(curve: PublishedCurve, runs: Runs, counted: Mapping[str, Counted]) -> Weighing:
    """Return how the runs of a study stand to a published curve. counted: of every variant, see arithmetic."""
    figures = curve.reached([part.epochs for part in counted.values()])
    ended = {
        name: {seed: (folder, row) for seed, (folder, row) in by_seed.items() if row["status"] in results.ENDED}
        for name, by_seed in runs.items()
    }
    values = {name: _values(by_seed.values(), figures) for name, by_seed in ended.items()}
    images = [images_of(figure.base, ended, counted) for figure in figures]
    ruled_out = arithmetic.decide(curve, counted)[1]
    left_out = len(curve.trained) - len(figures)
    notes = _notes(ended, runs, values, ruled_out, left_out)
    return Weighing(curve, figures, counted, values, images, ruled_out, notes, ended)


def _values(runs: Any, figures: Sequence[PublishedFigure]) -> np.ndarray:
    """Return what runs have of each figure, float64 (runs, figures), NaN for what is not there or not finite."""
    found = np.full((len(runs), len(figures)), np.nan)
    for place, (folder, row) in enumerate(runs):
        curve = {int(epoch["epoch"]): epoch for epoch in store.read_metrics(folder / store.METRICS)}
        for column, figure in enumerate(figures):
            held = curve.get(figure.at, {}) if isinstance(figure.at, int) else row
            value = held.get(figure.measured)
            if value is not None and math.isfinite(value):
                found[place, column] = value
    return found


def images_of(metric: str, runs: Runs, counted: Mapping[str, Counted]) -> int | None:
    """Return on how many images an accuracy is counted; None for a loss, and for a difference of accuracies."""
    if not metrics.scale(metric).is_share:
        return None
    split = metric.partition("_")[0]
    if split == "train":
        return max(part.images for part in counted.values())
    totals = [row.get(f"{split}_total") for by_seed in runs.values() for _, row in by_seed.values()]
    return max((total for total in totals if total), default=IMAGES)


def _notes(
    ended: Runs, runs: Runs, values: Mapping[str, np.ndarray], ruled_out: Mapping[str, str], left_out: int
) -> list[str]:
    notes = []
    if left_out:
        verb = "is of an epoch" if left_out == 1 else "are of epochs"
        notes.append(f"{count(left_out, 'published figure')} {verb} that these runs do not reach, and left out")
    for name, by_seed in ended.items():
        waiting = len(runs[name]) - len(by_seed)
        if waiting:
            notes.append(f"{name}: {waiting} of {count(len(runs[name]), 'run')} did not finish and do not count")
        lost = int((~np.isfinite(values[name])).any(axis=1).sum()) if values[name].size else 0
        if lost and name not in ruled_out:
            notes.append(
                f"{name}: {lost} of {count(len(by_seed), 'run')} lack some of these figures; only the others count"
            )
    return notes

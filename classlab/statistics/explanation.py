"""Which of several kinds of runs explains a published curve: by how well one more run of each would give it.

The figures of a curve hang together, and there are many of them and few seeds. So nothing here rests on one figure, and
nothing takes two epochs of one run for two observations; tests/statistics shows by real runs how often it errs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classlab.statistics.prediction import Prediction, predict_unbounded, unbounded

IMPOSSIBLE = 0.01  # a kind of runs that gives figures as far off as these less often does not explain them
APART = 0.01  # one that would look as much more like the best one less often is told apart from it
SURE = 0.95


@dataclass(frozen=True)
class Explanation:
    """How the kinds of runs stand to a published curve; arrays are (kinds,) or (kinds, figures).

    inside: whether the published figure lies where one more run would fall. misfit: the mean of the squared distances,
    in standard deviations of one more run, each with the logarithm of how much wider than the narrowest kind's this
    kind's spread is. p: how often a run of this kind would lie as far off. best: the kind with the least misfit, of
    those that explain the curve if any does. together: whether a kind cannot be told apart from the best, itself too.
    """

    prediction: Prediction
    inside: np.ndarray
    misfit: np.ndarray
    p: np.ndarray
    best: int
    together: np.ndarray

    @property
    def fits(self) -> bool:
        """Whether any kind explains what was published."""
        return bool(self.p[self.best] > IMPOSSIBLE)


@dataclass(frozen=True)
class Published:
    """A published curve. low, high: the ends of what each figure may be, being rounded, in its own unit, (figures,).

    metrics, images: of each figure, see prediction.predict.
    """

    metrics: Sequence[str]
    images: Sequence[int | None]
    low: np.ndarray
    high: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """The figures on the unbounded scale."""
        return (unbounded(self.low, self.images) + unbounded(self.high, self.images)) / 2

    @property
    def rounding(self) -> np.ndarray:
        """The variance that rounding hides in each, on the unbounded scale."""
        return (unbounded(self.high, self.images) - unbounded(self.low, self.images)) ** 2 / 12


def explain(runs: Sequence[np.ndarray], published: Published, aside: str | None = None) -> Explanation:
    """Return how well one more run of each kind would give the published curve.

    runs: for each kind the seeds' figures, (seeds, figures), at least one seed for every figure, and two in some kind.
    aside: a metric whose level is ignored, so that only its shape over the epochs counts, as where every figure is 1.2
    times too large. It must have two figures or more.

    How far off a kind is: the mean of squared distances, whose law is about that of F with p² / ∑∑ ρ² and the spread's
    degrees of freedom (G. E. P. Box, Annals of Mathematical Statistics 25 (1954), 290).
    """
    from scipy.special import fdtrc, stdtrit

    columns = np.array([metric == aside for metric in published.metrics])
    values = [_levelled(unbounded(np.asarray(part, float), published.images), columns) for part in runs]
    known = predict_unbounded(values, published.metrics, published.images)
    middle = _levelled(published.middle[None], columns)[0]
    variance = known.error**2 + published.rounding
    far = (middle - known.mean) / np.sqrt(variance)
    reach = stdtrit(known.df, (1 + SURE) / 2) * known.error + np.sqrt(3 * published.rounding)
    width = np.log(variance / variance.min(axis=0))
    independent = len(middle) ** 2 / (known.correlation**2).sum()
    p = fdtrc(independent, known.df.mean(1), (far**2).mean(1))
    misfit = (far**2 + width).mean(1)
    best = int(np.lexsort((misfit, p <= IMPOSSIBLE))[0])
    together = np.array([kind == best or p[kind] > IMPOSSIBLE for kind in range(len(runs))])
    for kind in np.flatnonzero(together):
        if kind != best:
            looks = _looks_like_the_best(known, middle, published.rounding, best, int(kind), independent)
            together[kind] = looks > APART
    return Explanation(known, np.abs(middle - known.mean) <= reach, misfit, p, best, together)


def _levelled(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return values, (seeds, figures), with the mean of these columns taken out of each row."""
    if not columns.any():
        return values
    return values - np.where(columns, np.nanmean(values[:, columns], axis=1, keepdims=True), 0.0)


def _looks_like_the_best(
    known: Prediction, middle: np.ndarray, rounding: np.ndarray, best: int, kind: int, independent: float
) -> float:
    """Return how often one more run of `kind` would look at least as much like the best kind as the published one.

    What counts is the place along the line from the mean of one kind to that of the other, each figure weighed by how
    far the means lie apart in its spread: the rule of P. J. Bickel and E. Levina, Bernoulli 10 (2004), 989, for many
    figures and few runs. Means of few seeds lie apart by chance too; as much as chance may give is taken off.
    """
    from scipy.special import fdtri, stdtr

    spread = known.sd[kind] ** 2 + rounding
    gap = (known.mean[best] - known.mean[kind]) / np.sqrt(spread)
    chance = (known.sd[best] ** 2 / known.n[best] + known.sd[kind] ** 2 / known.n[kind]) / spread
    df = float(known.df[kind].mean())
    sure = max(0.0, float((gap**2).sum() - chance.sum() * fdtri(independent, df, SURE)))
    halfway = (known.mean[best] + known.mean[kind]) / 2
    place = float((gap * (middle - halfway) / np.sqrt(spread)).sum()) + sure / 2
    seeds = 1 + (1 / known.n[best] + 1 / known.n[kind]) / 4
    along = gap * known.sd[kind] / np.sqrt(spread) * np.sqrt(seeds)
    variance = along @ known.correlation @ along + (gap**2 * rounding / spread).sum()
    return float(stdtr(df, -place / np.sqrt(variance))) if variance > 0 else 1.0


def settled_by(
    runs: Sequence[np.ndarray], metrics: Sequence[str], images: Sequence[int | None], first: int, second: int
) -> int | None:
    """Return which of the figures of runs would tell two kinds apart best.

    runs: as for `explain`, of figures that were measured; one that a seed of the two lacks is left out. What the means
    may lie apart by chance is taken off. None where no figure would do so four times in five.
    """
    from scipy.special import stdtrit

    known = predict_unbounded([unbounded(np.asarray(part, float), images) for part in runs], metrics, images)
    kinds = [first, second]
    whole = np.all([np.isfinite(runs[kind]).all(axis=0) for kind in kinds], axis=0)
    error = known.error[kinds].max(axis=0)
    chance = np.sqrt((known.sd[kinds] ** 2 / known.n[kinds]).sum(axis=0))
    gap = (np.abs(known.mean[first] - known.mean[second]) - chance) / error
    gap = np.where(whole & np.isfinite(gap), gap, -np.inf)
    place = int(np.argmax(gap))
    needed = stdtrit(known.df[kinds, place].min(), 0.975) + stdtrit(known.df[kinds, place].min(), 0.8)
    return place if gap[place] >= needed else None

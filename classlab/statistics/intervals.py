"""Intervals for one number: an accuracy, a mean over seeds, the next run; and how numbers are put into words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev


@dataclass(frozen=True)
class Scale:
    """How a metric is written: what a value is multiplied by, its unit, that of a difference, and which way is better.

    `is_share`: a value is a share of images, so it lies in 0 … 1 and moves in steps of one image. `is_gap`: a value is
    the difference of two such shares, each of which moves so.
    """

    name: str = "accuracy"
    factor: float = 100
    unit: str = " %"
    gap_unit: str = " points"
    decimals: int = 2
    higher_is_better: bool = True
    is_share: bool = True
    is_gap: bool = False

    def rounding(self, images: int | None) -> float:
        """Return the standard deviation that equal values may hide, being rounded to whole images.

        images: how many a share was counted on; a step of one has 1 / (images √12), a difference √2 of that. 0 where
        images is None, or where values are neither.
        """
        if not images or not (self.is_share or self.is_gap):
            return 0.0
        return 1 / (images * math.sqrt(6 if self.is_gap else 12))

    def value(self, value: float) -> str:
        """Return "99.43 %"."""
        return f"{self.factor * value:.{self.decimals}f}{self.unit}".replace("-", "−")

    def gap(self, gap: float) -> str:
        """Return a difference that somebody stated, with its unit and all its digits: "0.125 points"."""
        unit = self.gap_unit.removesuffix("s") if self.factor * gap == 1 else self.gap_unit
        return f"{self.factor * gap:g}{unit}".replace("-", "−")

    def gaps(self, *gaps: float) -> list[str]:
        """Return differences without unit, with as many decimals as keep the smallest that is not 0 from reading 0."""
        scaled = [self.factor * gap for gap in gaps]
        small = min((abs(gap) for gap in scaled if gap), default=1.0)
        most = self.decimals + 2
        decimals = next((d for d in range(self.decimals, most) if round(small, d) > 0), most)
        return [f"{gap:.{decimals}f}".replace("-", "−") for gap in scaled]


ACCURACY = Scale()
LOSS = Scale("loss", factor=1, unit="", gap_unit="", decimals=4, higher_is_better=False, is_share=False)


@dataclass(frozen=True)
class Estimate:
    """A metric over seeds: mean, standard deviation (n - 1), n, t interval. With one seed sd, low and high are None."""

    mean: float
    sd: float | None
    n: int
    low: float | None
    high: float | None
    confidence: float
    sentence: str


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval (low, high), fractions, of an accuracy of `correct` among `total` images.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209.
    Raises ValueError unless 0 <= correct <= total, total >= 1 and 0 < confidence < 1.
    """
    _check_counts(correct, total)
    z = NormalDist().inv_cdf((1 + _checked(confidence)) / 2)
    share = correct / total
    shrink = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == total else min(1.0, centre + half)
    return low, high


def no_better_than_chance(correct: int, total: int, largest_class_share: float) -> bool:
    """Say whether always answering the largest class could do as well: its share does not lie below the 95 % interval.

    `largest_class_share` is a fraction of the images that the accuracy was measured on.
    """
    low, _ = wilson(correct, total)
    return low <= largest_class_share


def over_seeds(
    values: Sequence[float], confidence: float = 0.95, scale: Scale = ACCURACY, images: int | None = None
) -> Estimate:
    """Return mean, standard deviation, n and the t interval of the mean over seeds.

    images: how many the values were counted on; the interval then takes no spread below what Scale.rounding says.
    Source: "Student", "The probable error of a mean", Biometrika 6 (1908), 1. Raises ValueError for no values.
    """
    if not values:
        raise ValueError("a mean over seeds needs at least one value")
    mean, n = fmean(values), len(values)
    if n == 1:
        sentence = f"{scale.value(mean)} (one seed: its spread is not known)"
        return Estimate(mean, None, 1, None, None, confidence, sentence)
    sd = stdev(values)
    half = t_quantile(confidence, n - 1) * max(sd, scale.rounding(images)) / math.sqrt(n)
    low, high = _within(scale, mean - half, mean + half)
    sentence = (
        f"{scale.value(mean)}, standard deviation {scale.gaps(sd)[0]}{scale.gap_unit}, {n} seeds; "
        f"{100 * confidence:g} % interval of the mean {scale.value(low)} to {scale.value(high)}"
    )
    return Estimate(mean, sd, n, low, high, confidence, sentence)


def one_more_run(
    values: Sequence[float], confidence: float = 0.95, scale: Scale = ACCURACY, images: int | None = None
) -> tuple[float, float]:
    """Return the interval (low, high) in which one more run with a new seed falls: mean ± t sd √(1 + 1/n).

    images: how many the values were counted on; sd is then at least what Scale.rounding says.
    Source: G. J. Hahn, "Factors for calculating two-sided prediction intervals", JASA 64 (1969), 878.
    Raises ValueError for fewer than two values.
    """
    if len(values) < 2:
        raise ValueError("a prediction interval needs two runs or more")
    n = len(values)
    half = t_quantile(confidence, n - 1) * max(stdev(values), scale.rounding(images)) * math.sqrt(1 + 1 / n)
    return _within(scale, fmean(values) - half, fmean(values) + half)


def t_quantile(confidence: float, df: float) -> float:
    """Return t such that Student's t with `df` degrees of freedom lies in -t … t with probability `confidence`."""
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + _checked(confidence)) / 2))


def _within(scale: Scale, low: float, high: float) -> tuple[float, float]:
    """A mean of accuracies cannot lie outside 0 … 1, whatever few seeds leave open."""
    return (max(0.0, low), min(1.0, high)) if scale.is_share else (low, high)


def _check_counts(correct: int, total: int) -> None:
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"correct must lie in 0 … total with total at least 1; got {correct} of {total}")


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, both excluded; got {confidence}")
    return confidence

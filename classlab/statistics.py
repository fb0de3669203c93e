"""Numbers in, numbers and plain words out: intervals, tests and the sentences that say what may be believed.

Accuracies are fractions (0.9943), differences of accuracies are fractions too; sentences speak in per cent and points.
docs/statistics.md explains each of these to a student.
"""

import math
from statistics import NormalDist


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval (low, high), fractions, of an accuracy of `correct` among `total` images.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209.
    Raises ValueError unless 0 <= correct <= total, total >= 1 and 0 < confidence < 1.
    """
    _check_counts(correct, total)
    z = _normal_quantile(confidence)
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


def _check_counts(correct: int, total: int) -> None:
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"correct must lie in 0 … total with total at least 1; got {correct} of {total}")


def _normal_quantile(confidence: float) -> float:
    """Return z such that a standard normal value lies in -z … z with probability `confidence`."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, both excluded; got {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)

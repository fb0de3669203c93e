"""What an accuracy is worth: by the seeds, by the test images, and what of the seeds' spread is luck of those images.

All from stored answers, without training. right: which images each network got right, bool (seeds, images).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from classlab.statistics.intervals import ACCURACY, over_seeds

FEWEST_SEEDS = 5  # from which a spread of seeds is split


@dataclass(frozen=True)
class Split:
    """The spread of seeds, in two parts whose squares add up to it; all standard deviations of an accuracy.

    sd: of the seeds on these images. luck: what networks that are equally good on all images differ by on so few. true:
    how far the networks lie apart on all images; low, high: its 95 % interval.
    """

    sd: float
    luck: float
    true: float
    low: float
    high: float


@dataclass(frozen=True)
class Worth:
    """An accuracy over seeds with both of its intervals. seeds: half the t interval of the mean, None for one seed.

    images: half the interval over the test images. split: of the seeds' spread, None for fewer than FEWEST_SEEDS.
    """

    name: str
    mean: float
    n: int
    total: int
    seeds: float | None
    images: float
    split: Split | None

    @property
    def sentence(self) -> str:
        """Both intervals in one sentence, and which question each answers."""
        mean, images = ACCURACY.value(self.mean), ACCURACY.gaps(self.images)[0]
        by_images = f"± {images} by the {self.total:,} test images (other images would change it so)"
        if self.seeds is None:
            return f"{self.name}: {mean} is {by_images}; one seed cannot say what another seed would change"
        by_seeds = f"± {ACCURACY.gaps(self.seeds)[0]} by {self.n} seeds (other seeds would change the mean so)"
        return f"{self.name}: {mean} is {by_seeds} and {by_images}"

    @property
    def split_sentence(self) -> str:
        """What of the seeds' spread is luck, in a sentence; empty where it was not split."""
        if self.split is None:
            return ""
        sd, luck, true, low, high = ACCURACY.gaps(
            self.split.sd, self.split.luck, self.split.true, self.split.low, self.split.high
        )
        return (
            f"{self.name}: the seeds have a standard deviation of {sd} points on these images. Chance in the test "
            f"images makes {luck} of it; the networks themselves differ by {true} (95 % interval {low} to {high})"
        )


def worth(name: str, right: np.ndarray) -> Worth:
    """Return what the accuracy of several networks of one kind is worth. right: bool (seeds, images)."""
    shares = right.mean(axis=1)
    estimate = over_seeds(shares.tolist(), images=right.shape[1])
    low, high = over_images(right)
    half = None if estimate.low is None or estimate.high is None else (estimate.high - estimate.low) / 2
    split = split_spread(right) if len(right) >= FEWEST_SEEDS else None
    return Worth(name, estimate.mean, len(right), right.shape[1], half, (high - low) / 2, split)


def over_images(right: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval (low, high) of the mean accuracy of these networks over all images like the test images.

    Wilson's interval, with as many images as would scatter by themselves as much as the mean over networks scatters
    from image to image: for one network their number. right: bool (seeds, images).
    """
    each = right.mean(axis=0)
    share, scatter = float(each.mean()), float(each.var())
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    total = share * (1 - share) / scatter * len(each) if scatter else len(each)
    shrink = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def split_spread(right: np.ndarray) -> Split:
    """Return the spread of seeds split into luck of the test images and true difference. right: bool (seeds, images).

    Each image that some networks get right and others wrong adds its own variance to that of the accuracy, as if it
    were a coin toss. The rest is common to all images and would remain on any number of them. The interval is that of
    the whole variance less the luck. Source: K. Jordan, "Calibrated chaos", arXiv 2304.01910 (2023), section 3.
    Raises ValueError for fewer than two seeds.
    """
    from scipy.special import chdtri

    seeds, images = right.shape
    if seeds < 2:
        raise ValueError("the spread of seeds can be split from two seeds on")
    whole = float(right.mean(axis=1).var(ddof=1))
    luck = float(right.var(axis=0, ddof=1).sum()) / images**2
    low, high = ((seeds - 1) * whole / float(chdtri(seeds - 1, tail)) for tail in (0.025, 0.975))
    true, low, high = (math.sqrt(max(0.0, variance - luck)) for variance in (whole, low, high))
    return Split(math.sqrt(whole), math.sqrt(luck), true, low, high)

"""Where one more run would fall, from few seeds: spreads pooled over the epochs of a curve and the runs of its kind.

Three seeds say little of a spread: their t interval is 4.3 standard deviations wide either way. But the runs of a kind
have curves, and a run that scatters at one epoch scatters at the next. So a figure's spread is worked out from all
epochs of its metric, and each run's kind is held a little to the others.

All computations use unbounded scales: the log odds of an accuracy, the logarithm of a loss. On these a spread means the
same at 60 % and at 99 %, at a loss of 2 and of 0.02.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PRIOR = 4.0  # degrees of freedom that the other kinds of runs count for
TINY = 1e-6  # a loss far below it is as good as 0


@dataclass(frozen=True)
class Prediction:
    """What the seeds of several kinds of runs gave, figure by figure, on the unbounded scale: arrays (kinds, figures).

    mean, n: of the seeds that have the figure. sd: of one run; NaN where nothing is known. df: what it rests on.
    correlation: between the figures of one run, (figures, figures), pooled over all kinds. images: see `unbounded`.
    """

    mean: np.ndarray
    n: np.ndarray
    sd: np.ndarray
    df: np.ndarray
    correlation: np.ndarray
    images: Sequence[int | None]

    @property
    def error(self) -> np.ndarray:
        """The standard deviation of one more run about the mean of the seeds: sd √(1 + 1/n)."""
        return self.sd * np.sqrt(1 + 1 / self.n)

    def interval(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high of where one more run falls, in the figures' own units, each (kinds, figures).

        Source: G. J. Hahn, "Factors for calculating two-sided prediction intervals", JASA 64 (1969), 878.
        """
        from scipy.special import stdtrit

        half = stdtrit(self.df, (1 + confidence) / 2) * self.error
        return bounded(self.mean - half, self.images), bounded(self.mean + half, self.images)


def predict(
    runs: Sequence[np.ndarray], metrics: Sequence[str], images: Sequence[int | None], freedom: float = 0
) -> Prediction:
    """Return what the seeds of each kind of runs say of one more run of it.

    runs: for each kind an array (seeds, figures) in the figures' own units, NaN for what a run does not have. metrics:
    of each figure; the figures of one metric, mostly its epochs, share their spread. images: see `unbounded`.
    freedom: so many degrees of freedom are asked for; where a kind has fewer, the other kinds count for more, for all
    that they have if need be.

    The variance of a figure is a product. It is the variance of its metric in this kind of runs over all epochs, times
    the profile of variances over the epochs in all kinds. Correlated epochs count as fewer: with correlations ρ
    the degrees of freedom are (n - 1) p² / ∑∑ ρ² (F. E. Satterthwaite, Biometrics Bulletin 2 (1946), 110). A kind's
    variance is then held to the mean of all kinds, which counts for PRIOR degrees of freedom, as in G. K. Smyth,
    Statistical Applications in Genetics and Molecular Biology 3 (2004), article 3.
    """
    values = [unbounded(np.asarray(run, float), images) for run in runs]
    return predict_unbounded(values, metrics, images, freedom)


def predict_unbounded(
    values: Sequence[np.ndarray], metrics: Sequence[str], images: Sequence[int | None], freedom: float = 0
) -> Prediction:
    """Return the same of values that are on the unbounded scale already."""
    n = np.stack([np.isfinite(part).sum(0) for part in values])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of figures that no seed has, which stay NaN
        mean = np.stack([np.nanmean(part, axis=0) for part in values])
        least = _one_image(mean, images)
        deviations = [part - centre for part, centre in zip(values, mean, strict=True)]
        sums = np.stack([np.nansum(part**2, axis=0) for part in deviations])
        own_variance = np.where(n > 1, np.maximum(sums / (n - 1), least**2), np.nan)
        correlation = _correlation(deviations, np.sqrt(own_variance))
        sd, df = np.full(n.shape, np.nan), np.zeros(n.shape)
        for metric in dict.fromkeys(metrics):
            places = np.flatnonzero([name == metric for name in metrics])
            together = places.size**2 / (correlation[np.ix_(places, places)] ** 2).sum()
            variance, free = _pooled(own_variance[:, places], n[:, places], together, freedom)
            sd[:, places] = np.maximum(np.sqrt(variance), least[:, places])
            df[:, places] = free[:, None]
    return Prediction(mean, n, sd, df, correlation, images)


def _pooled(variances: np.ndarray, n: np.ndarray, together: float, freedom: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances of one metric, pooled, and each kind's degrees of freedom.

    variances, n: (kinds, epochs), NaN where a single seed has none. together: for how many independent epochs they
    count. freedom: degrees of freedom that are asked for.
    """
    shape = _shape(variances, n)
    scale = np.nanmean(variances / shape, axis=1)
    free = np.where(np.isfinite(scale), np.clip(n - 1, 0, None).mean(1) * together, 0.0)
    if len(scale) == 1:
        return scale[:, None] * shape, free
    common = np.exp(np.nanmean(np.log(scale)))
    prior = np.maximum(PRIOR, np.minimum(freedom - free, free.sum() - free))
    held = (prior * common + free * np.where(free > 0, scale, 0.0)) / (prior + free)
    return held[:, None] * shape, free + prior * np.isfinite(common)


def _shape(variances: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return how the variance changes over the epochs, in all kinds together: factors whose logarithms have mean 0.

    What few seeds scatter by themselves is taken out: log s² of f degrees of freedom has the variance trigamma(f/2).
    """
    from scipy.special import polygamma

    logs = np.log(variances)
    logs = np.nanmean(logs - np.nanmean(logs, axis=1, keepdims=True), axis=0)
    noise = (
        np.nanmean(np.where(n > 1, polygamma(1, np.maximum(n - 1, 1) / 2), np.nan))
        / np.isfinite(variances).any(1).sum()
    )
    seen = np.nanvar(logs, ddof=1) if np.isfinite(logs).sum() > 1 else 0.0
    kept = max(0.0, 1 - noise / seen) if seen > 0 else 0.0
    return np.exp(kept * np.nan_to_num(logs))


def _correlation(deviations: Sequence[np.ndarray], sd: np.ndarray) -> np.ndarray:
    """Return the correlation between figures about each kind's own mean; 1 on the diagonal."""
    scaled = np.concatenate([np.nan_to_num(part / scale) for part, scale in zip(deviations, sd, strict=True)])
    products = scaled.T @ scaled
    length = np.sqrt(np.diag(products))
    length[length == 0] = 1.0
    correlation = products / np.outer(length, length)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def unbounded(values: np.ndarray, images: Sequence[int | None]) -> np.ndarray:
    """Return figures on a scale without ends; (…, figures).

    images: of each figure, on how many images a share is counted. Its log odds are taken with half an image added to
    both sides, so that 100 % has finite ones. None for a loss, whose logarithm is taken, by asinh so that 0 has one.
    """
    counts = np.array([count or 1 for count in images])
    share = np.array([count is not None for count in images])
    with np.errstate(invalid="ignore", divide="ignore"):
        right = np.clip(values, 0, 1) * counts
        odds = np.log((right + 0.5) / (counts - right + 0.5))
        return np.where(share, odds, np.arcsinh(values / TINY))


def bounded(values: np.ndarray, images: Sequence[int | None]) -> np.ndarray:
    """Return figures in their own units again."""
    counts = np.array([count or 1 for count in images])
    share = np.array([count is not None for count in images])
    odds = np.exp(np.clip(values, -50, 50))
    right = (odds * (counts + 0.5) - 0.5) / (1 + odds)
    return np.where(share, np.clip(right / counts, 0, 1), TINY * np.sinh(np.clip(values, -700, 700)))


def _one_image(mean: np.ndarray, images: Sequence[int | None]) -> np.ndarray:
    """Return the least standard deviation of a share: equal ones may hide half an image either way, spread evenly."""
    share = bounded(mean, images)
    counts = np.array([count or 1 for count in images])
    slope = counts / (share * counts + 0.5) + counts / ((1 - share) * counts + 0.5)
    half = 0.5 / (math.sqrt(3) * counts)
    return np.where(np.array([count is not None for count in images]), slope * half, 0.0)

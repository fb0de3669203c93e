"""Checks beside a t test that do not assume a normal distribution: permutations of the values themselves."""

import math
from collections.abc import Sequence

import numpy as np

FEWEST_SEEDS = 6  # of fewer, flipped signs have too few values to reach 5 %
MOST_EXACT = 14  # differences of which every flip is tried
DRAWS = 20_000  # else
ALPHA = 0.05


def sign_flip(gaps: Sequence[float]) -> float:
    """Return how often differences as large as these come about if each might as well have the other sign.

    Two-sided. Of up to MOST_EXACT differences all 2ⁿ choices of signs are tried, of more DRAWS random ones, the same
    each time. Source: R. A. Fisher, The Design of Experiments (1935), section 21.
    """
    values = np.asarray(gaps, float)
    if len(values) <= MOST_EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
        return float((np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-9)).mean())
    signs = 1 - 2 * np.random.default_rng(0).integers(0, 2, (DRAWS, len(values)))
    return float(((np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-9)).sum() + 1) / (DRAWS + 1))


def relabel(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how often two sides as far apart come about if each value might as well be of the other side.

    Two-sided, DRAWS random choices, the same each time; how far apart is Welch's t, so that sides of unequal spread do
    no harm. Source: A. Janssen, Statistics & Probability Letters 36 (1997), 9.
    """
    values, size = np.array([*first, *second], float), len(first)
    order = np.random.default_rng(0).random((DRAWS, len(values))).argsort(axis=1)
    dealt = values[order]
    seen = _welch(values[None, :size], values[None, size:])[0]
    return float(((_welch(dealt[:, :size], dealt[:, size:]) >= seen * (1 - 1e-9)).sum() + 1) / (DRAWS + 1))


def _welch(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    error = np.sqrt(first.var(axis=1, ddof=1) / first.shape[1] + second.var(axis=1, ddof=1) / second.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.abs(first.mean(axis=1) - second.mean(axis=1)) / error)


def together(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the correlation of values with equal seeds and its 95 % interval.

    None for fewer than four seeds, and where all values of a side are the same.
    Source: R. A. Fisher, Metron 1 (1921), 3.
    """
    if len(first) < 4 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    r = float(np.clip(np.corrcoef(first, second)[0, 1], -0.999999, 0.999999))
    half = 1.959964 / math.sqrt(len(first) - 3)
    return r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def said(p: float, checked: float, name: str) -> str:
    """Say beside a t test's p what the check gives, and which of the two to believe where they disagree."""
    figure = "p < 0.001" if checked < 0.001 else f"p = {checked:.3f}"
    if (p < ALPHA) == (checked < ALPHA):
        return f"the {name} agrees ({figure})"
    return (
        f"the {name}, which does not assume a normal distribution, does not agree ({figure}): the question is open, "
        "and more seeds can decide it"
    )

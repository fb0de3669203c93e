"""Importance: how much of what was measured each setting explains by itself, from the variants that were tried."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FEWEST = 8  # variants; of fewer a forest says nothing
TREES = 200


def importance(settings: "Mapping[str, np.ndarray]", values: Sequence[float]) -> dict[str, float]:
    """Return the share of the variance of `values` that each setting explains by itself, 0 … 1, at most 1 in all.

    settings: of each its columns, float (variants, columns): a number, or a column for each value that has no order.
    A random forest is fitted to the variants. The share is the variance of its mean prediction over one setting, the
    others as tried, divided by the variance of all its predictions. What is left is interactions and noise. Empty for
    fewer than FEWEST variants, or where all values are equal. Source: the first order of the functional ANOVA, F.
    Hutter, H. Hoos, K. Leyton-Brown, ICML 2014, 754.
    """
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    measured = np.asarray(values, dtype=float)
    if len(measured) < FEWEST or np.ptp(measured) == 0:
        return {}
    names = list(settings)
    table = np.concatenate([settings[name] for name in names], axis=1)
    ends = np.cumsum([settings[name].shape[1] for name in names])
    forest = RandomForestRegressor(n_estimators=TREES, random_state=0).fit(table, measured)
    whole = float(np.var(forest.predict(table)))
    shares: dict[str, float] = {}
    for name, end in zip(names, ends, strict=True):
        columns = slice(end - settings[name].shape[1], end)
        changed = np.repeat(table[None], len(table), axis=0)  # (value taken, variant, column)
        changed[:, :, columns] = table[:, None, columns]
        means = forest.predict(changed.reshape(-1, table.shape[1])).reshape(len(table), -1).mean(axis=1)
        shares[name] = float(np.var(means)) / whole if whole else 0.0
    most = max(1.0, sum(shares.values()))
    return {name: share / most for name, share in shares.items()}

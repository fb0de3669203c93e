"""The rows that charts of curves over seeds draw, made apart from their drawing."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

# name -> seed -> value, epoch by epoch from the first
Histories = Mapping[str, Mapping[int, Sequence[float]]]
# name -> the seeds whose run diverged
Broken = Mapping[str, Collection[int]]


def band_rows(histories: Histories, broken: Broken | None = None) -> list[dict[str, Any]]:
    """Return one row a name and epoch: curve (the name), epoch, mean, low and high of its seeds, how many seeds.

    A value that is not finite is left out; where an epoch has no other, mean, low and high are None, at which a line
    breaks. The curves of diverged seeds stop being numbers: they are not in the mean, see `broken_rows`.
    """
    rows = []
    for name, by_seed in histories.items():
        kept = [curve for seed, curve in by_seed.items() if seed not in (broken or {}).get(name, ())]
        for place in range(max(map(len, kept), default=0)):
            values = [curve[place] for curve in kept if place < len(curve) and math.isfinite(curve[place])]
            mean = math.fsum(values) / len(values) if values else None
            ends = {"low": min(values, default=None), "high": max(values, default=None), "seeds": len(values)}
            rows.append({"curve": name, "epoch": place + 1, "mean": mean, **ends})
    return rows


def seed_rows(histories: Histories) -> list[dict[str, Any]]:
    """Return one row a name, seed and epoch: curve, seed, epoch, value, those that are finite."""
    return [
        {"curve": name, "seed": seed, "epoch": place + 1, "value": value}
        for name, by_seed in histories.items()
        for seed, curve in by_seed.items()
        for place, value in enumerate(curve)
        if math.isfinite(value)
    ]


def broken_rows(histories: Histories, broken: Broken) -> list[dict[str, Any]]:
    """Return where each diverged run's curve ends: curve, seed, epoch, its last finite value (None without one)."""
    rows = []
    for name, seeds in broken.items():
        for seed in sorted(seeds):
            curve = histories.get(name, {}).get(seed, ())
            finite = [(place + 1, value) for place, value in enumerate(curve) if math.isfinite(value)]
            epoch, value = finite[-1] if finite else (1, None)
            rows.append({"curve": name, "seed": seed, "epoch": epoch, "value": value})
    return rows


def scaled(rows: Sequence[Mapping[str, Any]], factor: float) -> list[dict[str, Any]]:
    """Return the rows with every value in them multiplied, as by 100 for per cents."""
    keys = ("mean", "low", "high", "value")
    return [
        {key: value * factor if key in keys and value is not None else value for key, value in row.items()}
        for row in rows
    ]


def longest(histories: Histories) -> int:
    """Return the number of epochs of the longest curve, at least 1."""
    return max((len(curve) for by_seed in histories.values() for curve in by_seed.values()), default=1) or 1

"""Time two ways of doing the same work in turn, so that a machine whose speed drifts slows both."""

import statistics
import time
from collections.abc import Callable


def alternate(first: Callable[[], None], second: Callable[[], None], pairs: int = 5) -> list[tuple[float, float]]:
    """Return the seconds of `first` and `second` for each pair, after one of each that does not count."""
    first()
    second()
    return [(_seconds(first), _seconds(second)) for _ in range(pairs)]


def say(name: str, images: int, times: list[tuple[float, float]]) -> str:
    """Return one line: both medians in images a second, and the median, least and greatest ratio."""
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = sorted(slow / fast for fast, slow in times)
    return (
        f"{name}: {images / ours:,.0f} against {images / theirs:,.0f} images/s, "
        f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} pairs)"
    )


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started

"""Whether a published figure holds, given what was measured: figures in; a word, the interval and the gap out.

The words, once for all reports:

    holds            the published figure lies in the interval; equal, where it is exact; the limit is kept; it is so
    within chance    a limit that the mean misses and one more run may keep
    above, below     the measured figure lies above, below the published one, further than the interval reaches
    does not hold    not equal, the limit not kept, not so, or the runs diverged
    not judged       a time on a machine; what training decides, of one run or of too few; not measured
                     of a shortened run all that training decides

What training decides is judged by where one more run would fall. With ENOUGH seeds or more their own spread says where.
With fewer, as of long runs, the spread is pooled over the epochs and the other runs of their kind. It must rest on
FREEDOM degrees of freedom; else nothing is judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from classlab.report import outcome
from classlab.report.spec import Part, Value
from classlab.reproduction import pooled
from classlab.reproduction.measures import OF_THE_NETWORK, Measured, is_trained, measure
from classlab.runs.finished import FinishedRun
from classlab.statistics import Scale, compare, mcnemar, one_more_run, variant

Word = Literal["holds", "within chance", "above", "below", "does not hold", "not judged"]
NOT_JUDGED = "not judged"
ENOUGH, FREEDOM = 5, 12
Interval = tuple[float, float]

# A difference of two accuracies lies in -1 … 1, and is written in points.
DIFFERENCE = Scale("difference", 100, " points", is_share=False)
LOSS = Scale("loss", 1, "", "", 4, higher_is_better=False, is_share=False)
ACCURACY = Scale()


@dataclass(frozen=True)
class Judged:
    """A published figure beside the measured one.

    n: the runs that gave one, of `runs`. mean, sd: of those. low, high: the interval; method: what it is. gap: the mean
    less the nearest end of what was published, 0 inside it. because: what the word rests on, in a few words. left_out:
    how many runs gave none, and why.
    """

    part: str
    value: Value
    word: Word
    n: int
    runs: int
    mean: float | None = None
    sd: float | None = None
    interval: Interval | None = None
    method: str = ""
    gap: float | None = None
    because: str = ""
    left_out: str = ""


def judge(value: Value, part: Part, runs: Mapping[str, Sequence[FinishedRun]], quick: bool = False) -> Judged:
    """Return the verdict on one figure of a part. runs: name -> its runs that have ended. quick: they are shortened."""
    measured = measured_of(value, part, runs)
    values = measured.values
    n, asked = len(values), measured.runs
    if not values:
        reasons = sorted(set(measured.why.values()))
        word: Word = "not judged" if quick or reasons != ["diverged"] else "does not hold"
        return Judged(part.title, value, word, n, asked, because=", ".join(reasons) or "not trained")
    mean, sd = fmean(values), stdev(values) if n > 1 else None
    interval, method = interval_of(value, measured, runs, ENOUGH)
    word, because = _word(value, mean, n, interval, runs)
    left_out = f"{asked - n} of {asked} {', '.join(sorted(set(measured.why.values())))}" if n < asked else ""
    if not left_out and _all_diverged(value, runs):
        left_out = "diverged"
    if quick and value.of != "lesson" and value.metric not in OF_THE_NETWORK:
        word, because = "not judged", "shortened"
    return Judged(part.title, value, word, n, asked, mean, sd, interval, method, _gap(value, mean), because, left_out)


def _all_diverged(value: Value, runs: Mapping[str, Sequence[FinishedRun]]) -> bool:
    """Whether a figure that training decides is of runs that diverged, all of them."""
    if value.of == "lesson" or not is_trained(value.metric):
        return False
    names = [value.of] if isinstance(value.of, str) else value.of
    return all(run.status == "diverged" for name in names for run in runs[name])


def scale(value: Value) -> Scale:
    """Return how a figure is written."""
    if value.in_points:
        return DIFFERENCE
    return ACCURACY if value.is_percent else LOSS


def measured_of(value: Value, part: Part, runs: Mapping[str, Sequence[FinishedRun]]) -> Measured:
    """Return the figure over seeds; of two runs, the first less the second, paired by seed."""
    if isinstance(value.of, str):
        return measure(value, value.of, part, runs)
    first, second = (measure(value, name, part, runs) for name in value.of)
    shared = [seed for seed in first.by_seed if seed in second.by_seed]
    gaps = {seed: first.by_seed[seed] - second.by_seed[seed] for seed in shared}
    pairs = {*first.by_seed, *first.why} & {*second.by_seed, *second.why}
    return Measured(gaps, len(pairs) or max(first.runs, second.runs), None, {**second.why, **first.why})


def interval_of(
    value: Value, measured: Measured, runs: Mapping[str, Sequence[FinishedRun]], few: int
) -> tuple[Interval | None, str]:
    """Return where one more run would fall, and how that is known; None where that is not to be known.

    few: from how many runs on their own spread is taken; of fewer it is pooled.
    """
    if value.claim in ("exact", "holds", "machine", "similar"):
        return None, ""
    values = measured.values
    if len(values) >= few:
        return one_more_run(values, scale=scale(value), images=measured.images), "one more run"
    found = pooled.one_more_run(value, runs, FREEDOM) if len(values) > 1 else None
    return (found, "one more run, the spread pooled") if found else (None, "")


def _word(
    value: Value, mean: float, n: int, interval: Interval | None, runs: Mapping[str, Sequence[FinishedRun]]
) -> tuple[Word, str]:
    if value.claim == "machine":
        return "not judged", "another machine"
    if value.claim == "holds":
        return ("holds", "") if mean == 1 else ("does not hold", "")
    if value.claim == "similar":
        return _similar(value, runs)
    low, high = value.ends()
    if value.claim == "exact":
        return ("holds", "equal as printed") if low <= mean <= high else ("does not hold", "not equal")
    if value.claim in ("at_least", "at_most"):
        return _limit(value, mean, n, interval)
    if interval is None:
        return "not judged", f"n = {n} is too few"
    if interval[0] <= high and low <= interval[1]:
        return "holds", "within the interval"
    return ("above" if mean > high else "below"), "outside the interval"


def _limit(value: Value, mean: float, n: int, interval: Interval | None) -> tuple[Word, str]:
    """Say whether a limit is kept; it is as sharp as it is printed."""
    limit = value.limit
    missed = "the report missed it too" if value.missed else ""
    least = value.claim == "at_least"
    if interval is None and is_trained(value.metric) and value.of != "lesson":
        return "not judged", f"n = {n} is too few"
    if mean >= limit if least else mean <= limit:
        return "holds", "the report missed it" if value.missed else ""
    reaches = interval is not None and (interval[1] >= limit if least else interval[0] <= limit)
    return ("within chance" if reaches else "does not hold"), missed


def _similar(value: Value, runs: Mapping[str, Sequence[FinishedRun]]) -> tuple[Word, str]:
    """Say whether two runs can be told apart: by a test over shared seeds, or over the images of one run each."""
    part = Part(title="")
    first, second = (measure(value, name, part, runs) for name in value.of)
    if min(len(first.by_seed), len(second.by_seed)) > 1:
        sides = [
            variant(name, [(seed, figure, "finished") for seed, figure in side.by_seed.items()])
            for name, side in zip(value.of, (first, second), strict=True)
        ]
        (test,) = compare([sides[0]], sides[1])
    else:
        seed = next((seed for seed in first.by_seed if seed in second.by_seed), None)
        pair = [next((outcome.of_run(run) for run in runs[name] if run.seed == seed), None) for name in value.of]
        if any(result is None for result in pair):
            return "not judged", "no predictions to compare"
        test = mcnemar(*(result.right.tolist() for result in pair if result is not None))
    return ("does not hold" if test.different else "holds"), test.sentence


def _gap(value: Value, mean: float) -> float | None:
    """Return how far the mean lies outside what was published, with its sign; None where nothing is measured so."""
    if value.claim in ("holds", "similar"):
        return None
    if value.claim in ("exact", "at_least", "at_most"):
        return mean - value.limit
    low, high = value.span
    return mean - high if mean > high else min(mean - low, 0.0)

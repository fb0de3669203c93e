"""How a search stands: which runs are due, whether to propose more, which variants were given up, and which is best.

A pure function of the search, its variants in their order, and what their runs gave. So a search that was killed goes
on where it was, with the same proposals: nothing is kept but the runs and the list of variants.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median, variance

from classlab import limits
from classlab.statistics.intervals import t_quantile
from classlab.study.search import Search

FIRST_SEEDS = 2  # of every variant; those that are clearly worse get no more
ALPHA = 0.05  # at most so often a variant as good as the best is given up
# variant -> seed -> the value that it is chosen by, None where the run gave none.
Values = Mapping[str, Mapping[int, float | None]]


@dataclass(frozen=True)
class Standing:
    """Where a search is.

    due, due_seeds: the variants to train next, and with which seeds; nothing where all that is due has ended.
    ask: how many variants to propose then; 0 where the search has ended, and `ended` says why. best: the variant with
    the best mean, None where none has all its seeds. means: of each variant that has a value, over the seeds that it
    has. given_up: variants that were clearly worse after two seeds. failed: those of which a run gave no value.
    spread: the standard deviation of runs that differ in their seed alone. course: the best mean after each round.
    """

    due: list[str] = field(default_factory=list)
    due_seeds: list[int] = field(default_factory=list)
    ask: int = 0
    ended: str = ""
    best: str | None = None
    means: dict[str, float] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    spread: float = 0.0
    course: list[float] = field(default_factory=list)


def stand(
    search: Search,
    seeds: Sequence[int],
    variants: Sequence[str],
    values: Values,
    untried: int | None = None,
    rounding: float = 0.0,
) -> Standing:
    """Return how a search stands. variants: the baseline first, then the others in the order of their proposal.

    seeds: of the search, in order. untried: how many combinations of the settings are left, None where they are not
    counted. rounding: the least standard deviation of a value, see Scale.rounding.
    """
    untried = limits.RUNS if untried is None else untried
    seen: list[str] = []
    given_up: list[str] = []
    course: list[float] = []
    trained = any(values.get(name) for name in variants)
    rounds = _rounds(search, variants)
    if not trained and len(variants) < 1 + search.round:
        affordable = _affordable(search, seeds, len(variants) * len(seeds))
        wanted = min(1 + search.round - len(variants), affordable, untried)
        if wanted > 0:
            return Standing(ask=wanted)
    for names in rounds:
        first, rest = list(seeds[:FIRST_SEEDS]), list(seeds[FIRST_SEEDS:])
        if _missing(names, first, values):
            return _standing(search, seeds, seen, values, given_up, course, rounding, names, first)
        seen += names
        worse = _clearly_worse(search, names[1:] if not course else names, seen, values, rounding)
        given_up += worse
        going_on = [name for name in names if name not in worse and not _has_failed(name, values)]
        if rest and _missing(going_on, rest, values):
            return _standing(search, seeds, seen, values, given_up, course, rounding, going_on, rest)
        means = _full_means(seeds, seen, values)
        course.append(means[_best(search, means)] if means else math.nan)
    now = _standing(search, seeds, seen, values, given_up, course, rounding, [], [])
    ask, ended = _next(search, seeds, variants, values, now, untried)
    return replace(now, ask=ask, ended=ended)


def _rounds(search: Search, variants: Sequence[str]) -> list[list[str]]:
    """Return the variants round by round; the baseline is of the first."""
    starts = [0, *range(1 + search.round, len(variants), search.round)]
    return [list(variants[start:end]) for start, end in zip(starts, [*starts[1:], len(variants)], strict=True)]


def _missing(names: Sequence[str], seeds: Sequence[int], values: Values) -> bool:
    return any(seed not in values.get(name, {}) for name in names for seed in seeds)


def _has_failed(name: str, values: Values) -> bool:
    return any(value is None for value in values.get(name, {}).values())


def _valid(name: str, values: Values) -> list[float]:
    return [value for value in values.get(name, {}).values() if value is not None]


def _full_means(seeds: Sequence[int], names: Sequence[str], values: Values) -> dict[str, float]:
    """Return the mean of every variant that has a value of each seed."""
    whole = [name for name in names if len(_of_seeds(name, seeds, values)) == len(seeds)]
    return {name: fmean(_of_seeds(name, seeds, values)) for name in whole}


def _of_seeds(name: str, seeds: Sequence[int], values: Values) -> list[float]:
    found = (values.get(name, {}).get(seed) for seed in seeds)
    return [value for value in found if value is not None]


def _best(search: Search, means: Mapping[str, float]) -> str:
    """Return the variant of the best mean, of equal ones the first."""
    return (max if search.higher_is_better else min)(means, key=lambda name: means[name])


def _clearly_worse(
    search: Search, names: Sequence[str], seen: Sequence[str], values: Values, rounding: float
) -> list[str]:
    """Return which of the variants are worse after two seeds than another one by more than luck explains.

    Each is compared with every other variant, at ALPHA divided by their number. So a variant that is truly as good as
    every other one is given up in at most ALPHA of the cases (Bonferroni), although the best one was found by its luck.
    Half of ALPHA is kept back for accuracies, which are not normal: their lower tail is longer.
    """
    means = {name: fmean(_valid(name, values)) for name in seen if _valid(name, values)}
    counts = {name: len(_valid(name, values)) for name in means}
    spread, df = _spread(search, means, values, rounding)
    if df < 1 or len(means) < 2:
        return []
    sign = 1 if search.higher_is_better else -1
    limit = t_quantile(1 - ALPHA / (len(means) - 1), df)  # two-sided, though one side is asked about: see above
    return [
        name
        for name in names
        if name in means
        and any(
            sign * (means[other] - means[name]) > limit * spread * math.sqrt(1 / counts[other] + 1 / counts[name])
            for other in means
            if other != name
        )
    ]


def _spread(search: Search, means: Mapping[str, float], values: Values, rounding: float) -> tuple[float, int]:
    """Return the standard deviation of runs that differ in their seed, and its degrees of freedom.

    It is pooled over the better half of the variants: what does not learn scatters widely and says nothing of the rest.
    """
    if not means:
        return rounding, 0
    middle, sign = median(means.values()), 1 if search.higher_is_better else -1
    better = [name for name, mean in means.items() if sign * mean >= sign * middle]
    runs = [_valid(name, values) for name in better]
    df = sum(len(found) - 1 for found in runs)
    if df == 0:
        return rounding, 0
    return max(rounding, math.sqrt(sum((len(r) - 1) * variance(r) for r in runs if len(r) > 1) / df)), df


def _standing(
    search: Search,
    seeds: Sequence[int],
    seen: Sequence[str],
    values: Values,
    given_up: Sequence[str],
    course: Sequence[float],
    rounding: float,
    due: Sequence[str],
    due_seeds: Sequence[int],
) -> Standing:
    means = {name: fmean(_valid(name, values)) for name in seen if _valid(name, values)}
    full = _full_means(seeds, seen, values)
    return Standing(
        due=list(due),
        due_seeds=list(due_seeds),
        best=_best(search, full) if full else None,
        means=means,
        given_up=list(given_up),
        failed=[name for name in seen if _has_failed(name, values)],
        spread=_spread(search, means, values, rounding)[0],
        course=list(course),
    )


def _affordable(search: Search, seeds: Sequence[int], spent: int) -> int:
    """Return how many variants more the budget allows, the runs of the confirmation set aside."""
    return (search.budget.runs - 2 * search.confirm - spent) // len(seeds)


def _next(
    search: Search, seeds: Sequence[int], variants: Sequence[str], values: Values, now: Standing, untried: int
) -> tuple[int, str]:
    """Return how many variants to propose, or 0 and why the search ends."""
    spent = sum(len(_valid(name, values)) for name in variants)
    if now.best is not None and _is_perfect(search, now.means[now.best]):
        return 0, "nothing is left to gain on the validation images"
    if len(now.course) > search.patience and not _has_gained(search, seeds, now):
        return 0, f"{search.patience} rounds brought nothing better"
    if untried == 0:
        return 0, "every combination was tried"
    if (len(variants) - 1) % search.round or len(variants) > search.budget.runs:
        return 0, "the budget is spent"
    wanted = min(search.round, _affordable(search, seeds, spent), untried)
    return (wanted, "") if wanted > 0 else (0, "the budget is spent")


def _is_perfect(search: Search, mean: float) -> bool:
    return mean == (1.0 if search.higher_is_better else 0.0)


def _has_gained(search: Search, seeds: Sequence[int], now: Standing) -> bool:
    """Say whether the last rounds gained more than one standard error of a difference: less is luck."""
    before, after = now.course[-1 - search.patience], now.course[-1]
    gain = after - before if search.higher_is_better else before - after
    return not gain <= now.spread * math.sqrt(2 / len(seeds))

"""Comparisons: which test the seeds allow, what it says, and one plain sentence for it.

The distributions are SciPy's. Its special functions are used rather than scipy.stats, because paired, Welch's, pooled
and equivalence tests are then one function of three numbers.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev

from classlab.statistics import resampling
from classlab.statistics.intervals import ACCURACY, Scale, t_quantile

ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Variant:
    """One variant's runs: seed -> value, and seed -> status for those that went wrong. Make one with `variant`."""

    name: str
    values: Mapping[int, float]
    failed: Mapping[int, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """A variant compared with the baseline. `effect` is variant minus baseline, `low` and `high` its 95 % interval.

    `p` stands alone, `p_adjusted` is Holm's over all comparisons of the study, and `different` says whether that is
    below 0.05. All three are None where one seed each allows no test. `seeds_needed` is the number of seeds (each, or
    shared where `test` is paired) at which a difference of this size would be found four times in five. `checked`: the
    p of a test that does not assume a normal distribution (see resampling), None for fewer than six seeds. `together`:
    the correlation of values with equal seeds and its 95 % interval; None unless four seeds or more were paired.
    """

    variant: str
    baseline: str
    effect: float
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    different: bool | None
    test: str
    seeds: tuple[int, int]
    seeds_needed: int | None
    sentence: str
    checked: float | None = None
    together: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Disagreement:
    """Two single networks on the same images (McNemar). Accuracies are fractions; `effect` is first minus second."""

    first: float
    second: float
    only_first: int
    only_second: int
    images: int
    effect: float
    p: float
    different: bool
    sentence: str


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests: whether variant and baseline differ by less than `margin` (a fraction, for accuracies).

    effect: the variant's mean less the baseline's; low, high: its 90 % interval, which the margin is compared with. All
    of them, and p, are None with one seed each. seeds: of the variant, of the baseline.
    """

    variant: str
    baseline: str
    margin: float
    effect: float | None
    low: float | None
    high: float | None
    p: float | None
    equivalent: bool
    test: str
    seeds: tuple[int, int]
    sentence: str


def variant(
    name: str, runs: Iterable[tuple[int, float | None, str]], chance: float | None = None, scale: Scale = ACCURACY
) -> Variant:
    """Gather one variant's runs, each (seed, value or None, status), leaving none out of the denominator in silence.

    A diverged run without a finite value counts at `chance` (for accuracies the share of the largest class). A run
    that has no value for another reason (failed, incomplete) cannot count; the note names it.
    """
    values: dict[int, float] = {}
    failed: dict[int, str] = {}
    notes: dict[str, int] = {}
    for seed, value, status in runs:
        if seed in values or seed in failed:
            raise ValueError(f"{name} has two runs with seed {seed}; a seed counts once")
        finite = value is not None and math.isfinite(value)
        if status != "finished":
            failed[seed] = status
        if finite and value is not None:
            values[seed] = value
            consequence = "counts with its own value"
        elif status == "diverged" and chance is not None:
            values[seed] = chance
            consequence = f"counts at chance, {scale.value(chance)}"
        else:
            failed.setdefault(seed, "without a value")
            consequence = f"has no {scale.name} to count"
        if seed in failed:
            # A run that finished without a value, as one that reconstructs has no accuracy, did not fail.
            reason = f"{failed[seed].replace('_', ' ')} and {consequence}" if status != "finished" else consequence
            notes[reason] = notes.get(reason, 0) + 1
    total = len(set(values) | set(failed))
    note = "; ".join(_runs_note(count, total, reason) for reason, count in notes.items())
    return Variant(name, values, failed, note)


def compare(
    variants: Sequence[Variant], baseline: Variant, scale: Scale = ACCURACY, images: int = 10_000
) -> list[Comparison]:
    """Compare each variant with the baseline: effect with interval, p, Holm's p over all of them, one plain sentence.

    Two shared seeds or more, and most seeds shared: a paired t test over those. Otherwise Welch's t test over all
    seeds; where one side has a single seed, the pooled t test. One seed each: no test. `images` is the number of images
    a value was measured on: values that agree to the image are not taken to have no spread. Raises ValueError for a
    side without any value.
    """
    tests = [_t_test(_seen(candidate), _seen(baseline), scale.rounding(images)) for candidate in variants]
    known = [test.p for test in tests if test]
    adjusted = iter(holm(known))
    return [
        _comparison(candidate, baseline, test, next(adjusted), len(known), scale)
        if test
        else _one_seed_each(candidate, baseline, scale, images)
        for candidate, test in zip(variants, tests, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given: below 0.05 they err as a family in at most 5 % of studies.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979), 65.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def seeds_needed(effect: float, sd: float, *, paired: bool, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Return the seeds (shared if `paired`, else each) at which a t test finds `effect` with probability `power`.

    `sd` is that of one run, or of one difference if `paired`. None: more than 1,000, or no effect at all.
    Source: the noncentral t distribution, as in J. Cohen, "Statistical power analysis" (1988), chapter 2.
    """
    if effect == 0:
        return None
    if sd == 0:
        return 2
    low, high = 1, MOST_SEEDS
    if _power(effect, sd, high, paired, alpha) < power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(effect, sd, middle, paired, alpha) >= power else (middle, high)
    return high


def mcnemar(first_correct: Sequence[bool], second_correct: Sequence[bool]) -> Disagreement:
    """Compare two single networks over the same test images by the exact McNemar test, worded "these two networks".

    Each argument: one truth value per image, in the same order. Source: Q. McNemar, Psychometrika 12 (1947), 153; the
    exact form is the binomial test of the images on which just one is right. Raises ValueError for unequal lengths.
    """
    from scipy.special import bdtr

    if len(first_correct) != len(second_correct) or len(first_correct) == 0:
        raise ValueError(f"both need the same images, at least one; got {len(first_correct)}, {len(second_correct)}")
    pairs = list(zip(first_correct, second_correct, strict=True))
    images = len(pairs)
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    first, second = (
        (pairs.count((True, True)) + only_first) / images,
        (pairs.count((True, True)) + only_second) / images,
    )
    discordant = only_first + only_second
    p = min(1.0, 2 * float(bdtr(min(only_first, only_second), discordant, 0.5))) if discordant else 1.0
    different = p < ALPHA
    verdict = "differ, which says nothing yet about other seeds" if different else "cannot be told apart"
    sentence = (
        f"{ACCURACY.value(first)} and {ACCURACY.value(second)}: these two networks {verdict}. Of {images:,} images, "
        f"the first network alone classifies {only_first:,} correctly, and the second alone {only_second:,} (exact "
        f"McNemar test, {_p(p)})"
    )
    return Disagreement(
        first, second, only_first, only_second, images, (only_first - only_second) / images, p, different, sentence
    )


def equivalence(
    candidate: Variant, baseline: Variant, margin: float, scale: Scale = ACCURACY, images: int = 10_000
) -> Equivalence:
    """Test whether the two differ by less than `margin` either way: two one-sided t tests, each at 5 %.

    Source: D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987), 657. Raises ValueError for a margin not above 0.
    """
    from scipy.special import stdtr

    if not margin > 0:
        raise ValueError(f"the margin must be above 0; got {margin}")
    test = _t_test(_seen(candidate), _seen(baseline), scale.rounding(images))
    limit, pair = scale.gap(margin), f"{candidate.name} and {baseline.name}"
    if test is None:
        sentence = (
            f"whether {pair} differ by less than {limit} cannot be said with one seed each{_notes(candidate, baseline)}"
        )
        return Equivalence(
            candidate.name, baseline.name, margin, None, None, None, None, False, "none", (1, 1), sentence
        )
    room = margin - abs(test.effect)
    p = float(stdtr(test.df, -room / test.error)) if test.error else float(room <= 0)
    # Each of the two tests has 5 %, so both reject where the 90 % interval, not the 95 % one, lies within the margin.
    half = t_quantile(1 - 2 * ALPHA, test.df) * test.error
    low, high = test.effect - half, test.effect + half
    gap, least, most = scale.gaps(test.effect, low, high)
    verdict = "differ by less than" if p < ALPHA else "have not been shown to differ by less than"
    sentence = (
        f"{pair} {verdict} {limit}: a difference of {gap}{scale.gap_unit} (90 % interval {least} to {most}; "
        f"two one-sided tests by the {test.name}, {_seeds(test)}, {_p(p)}){_notes(candidate, baseline)}"
    )
    return Equivalence(
        candidate.name, baseline.name, margin, test.effect, low, high, p, p < ALPHA, test.name, test.seeds, sentence
    )


@dataclass(frozen=True)
class _Test:
    """A t test as three numbers, effect, standard error and degrees of freedom, and what came of them."""

    name: str
    effect: float
    error: float
    df: float
    sd: float
    seeds: tuple[int, int]
    p: float


def _t_test(values: Mapping[int, float], baseline_values: Mapping[int, float], rounding: float) -> _Test | None:
    """Make the test that the seeds allow, None for one seed each. `sd` is what `seeds_needed` asks for.

    rounding: the least standard deviation of a value, see Scale.rounding.
    """
    shared = _shared(values, baseline_values)
    if shared:
        gaps = [values[seed] - baseline_values[seed] for seed in shared]
        sd = max(stdev(gaps), math.sqrt(2) * rounding)
        seeds = (len(shared), len(shared))
        return _finished("paired t test", fmean(gaps), sd / math.sqrt(len(gaps)), len(gaps) - 1, sd, seeds)
    a, b = list(values.values()), list(baseline_values.values())
    effect, seeds = fmean(a) - fmean(b), (len(a), len(b))
    if min(seeds) == 1:
        if max(seeds) == 1:
            return None
        # One seed has no spread of its own, so both sides are taken to have that of the longer one.
        longer = a if len(a) > 1 else b
        sd = max(stdev(longer), rounding)
        return _finished("pooled t test", effect, sd * math.sqrt(1 + 1 / len(longer)), len(longer) - 1, sd, seeds)
    variances = [max(stdev(values), rounding) ** 2 for values in (a, b)]
    sd = math.sqrt(fmean(variances))
    if sd == 0:
        return _finished("Welch's t test", effect, 0.0, sum(seeds) - 2, 0.0, seeds)
    u, v = variances[0] / len(a), variances[1] / len(b)
    df = (u + v) ** 2 / (u * u / (len(a) - 1) + v * v / (len(b) - 1))  # Welch, Biometrika 34 (1947), 28
    return _finished("Welch's t test", effect, math.sqrt(u + v), df, sd, seeds)


def _finished(name: str, effect: float, error: float, df: float, sd: float, seeds: tuple[int, int]) -> _Test:
    from scipy.special import stdtr

    p = float(effect == 0) if error == 0 else 2 * float(stdtr(df, -abs(effect) / error))
    return _Test(name, effect, error, df, sd, seeds, p)


def _comparison(
    candidate: Variant, baseline: Variant, test: _Test, p_adjusted: float, family: int, scale: Scale
) -> Comparison:
    half = t_quantile(0.95, test.df) * test.error
    low, high = test.effect - half, test.effect + half
    different = p_adjusted < ALPHA
    paired = test.name == "paired t test"
    # The strictest step of Holm's correction divides 0.05 by the number of comparisons; to plan with it errs on the
    # safe side.
    needed = None if different else seeds_needed(test.effect, test.sd, paired=paired, alpha=ALPHA / family)
    means = [scale.value(fmean(values)) for values in _values_used(candidate, baseline)]
    gap, least, most = scale.gaps(test.effect, low, high)
    after = f", {_p(p_adjusted)} after Holm's correction for {family} comparisons" if family > 1 else ""
    seeds = f", {_seeds(test)}" if different else ""
    evidence = (
        f"{means[0]} against {means[1]}, a difference of {gap}{scale.gap_unit} "
        f"(95 % interval {least} to {most}; {test.name}{seeds}, {_p(test.p)}{after})"
    )
    if different:
        better = (test.effect > 0) == scale.higher_is_better
        sentence = f"{candidate.name} is {'better' if better else 'worse'} than {baseline.name}: {evidence}"
    else:
        sentence = f"{candidate.name} and {baseline.name} cannot be told apart with {_seeds(test)}: {evidence}"
        sentence += _settled_by(test, needed, paired)
    checked, name = _checked(candidate, baseline, paired)
    if checked is not None:
        sentence += f"; {resampling.said(test.p, checked, name)}"
    sides = _values_used(candidate, baseline)
    together = resampling.together(*sides) if paired else None
    return Comparison(
        candidate.name,
        baseline.name,
        test.effect,
        low,
        high,
        test.p,
        p_adjusted,
        different,
        test.name,
        test.seeds,
        needed,
        sentence + _notes(candidate, baseline),
        checked,
        together,
    )


def _checked(candidate: Variant, baseline: Variant, paired: bool) -> tuple[float | None, str]:
    """Return the p of the test that does not assume a normal distribution, None for too few seeds, and its name."""
    first, second = _values_used(candidate, baseline)
    if min(len(first), len(second)) < resampling.FEWEST_SEEDS:
        return None, ""
    if paired:
        return resampling.sign_flip([a - b for a, b in zip(first, second, strict=True)]), "sign-flip test"
    return resampling.relabel(first, second), "permutation test"


def _one_seed_each(candidate: Variant, baseline: Variant, scale: Scale, images: int) -> Comparison:
    values = [next(iter(side.values.values())) for side in (candidate, baseline)]
    first, second = (scale.value(value).removesuffix(scale.unit) for value in values)
    # Without a second seed only the draw of the test images is known: the binomial variances of both accuracies add up.
    noise = math.sqrt(sum(value * (1 - value) for value in values) / images) if scale.is_share else math.inf
    effect = values[0] - values[1]
    if abs(effect) > NormalDist().inv_cdf(1 - ALPHA / 2) * noise:
        sentence = (
            f"{first} and {second}: these two networks differ by more than chance explains on {images:,} images. One "
            f"seed each does not show that {candidate.name} and {baseline.name} differ"
        )
    else:
        sentence = f"{first} and {second} cannot be told apart with one seed each"
    return Comparison(
        candidate.name,
        baseline.name,
        effect,
        None,
        None,
        None,
        None,
        None,
        "none",
        (1, 1),
        None,
        sentence + _notes(candidate, baseline),
    )


def _shared(first: Mapping[int, float], second: Mapping[int, float]) -> list[int]:
    """Return the seeds to pair by: those of both sides, if they are at least two and at least half of either side's."""
    # Pairing removes what the seeds have in common, but uses shared seeds alone: with few of them it would leave out
    # most of the runs.
    shared = sorted(first.keys() & second.keys())
    return shared if len(shared) >= 2 and 2 * len(shared) >= max(len(first), len(second)) else []


def _values_used(candidate: Variant, baseline: Variant) -> list[list[float]]:
    """Return both sides' values: those of shared seeds if the test is paired by them, else all."""
    sides = (candidate.values, baseline.values)
    seeds = _shared(*sides)
    return [[side[seed] for seed in seeds or side] for side in sides]


def _notes(*sides: Variant) -> str:
    return "".join(f"; {side.name}: {side.note}" for side in sides if side.note)


def _seeds(test: _Test) -> str:
    a, b = test.seeds
    if test.name == "paired t test":
        return f"{a} shared seeds"
    return f"{a} seeds each" if a == b else f"{a} and {b} seeds"


def _settled_by(test: _Test, needed: int | None, paired: bool) -> str:
    if test.effect == 0:
        return ""
    number = f"more than {MOST_SEEDS:,}" if needed is None else f"about {needed:,}"
    return f"; {number} {'shared seeds' if paired else 'seeds each'} would decide a difference of this size"


def _power(effect: float, sd: float, n: int, paired: bool, alpha: float) -> float:
    """Return the probability that a two-sided t test with n seeds finds the effect."""
    from scipy.special import nctdtr, stdtrit

    df = n - 1 if paired else 2 * n - 2
    shift = abs(effect) / sd * math.sqrt(n if paired else n / 2)
    critical = float(stdtrit(df, 1 - alpha / 2))
    # SciPy has no value for tails too thin to matter: the wrong one from a shift of 3 on, that of a miss beyond 35.
    missed = float(nctdtr(df, shift, critical))
    wrong_way = float(nctdtr(df, shift, -critical)) if shift < 3 else 0.0
    return 1.0 if math.isnan(missed) else 1 - missed + wrong_way


def _seen(candidate: Variant) -> Mapping[int, float]:
    if not candidate.values:
        raise ValueError(
            f"{candidate.name} has no run with a value to compare{f' ({candidate.note})' if candidate.note else ''}"
        )
    return candidate.values


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _runs_note(count: int, total: int, reason: str) -> str:
    runs = "the one run" if total == 1 else f"{count} of {total} runs"
    if count > 1:
        reason = reason.replace("counts with its own value", "count with their own values")
        reason = reason.replace("counts at", "count at").replace("has no", "have no")
    return f"{runs} {reason}"

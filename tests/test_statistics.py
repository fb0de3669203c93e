"""Statistics against SciPy's own tests, against simulation, and by their sentences."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from classlab.statistics import (
    LOSS,
    Variant,
    compare,
    equivalence,
    holm,
    mcnemar,
    no_better_than_chance,
    one_more_run,
    over_seeds,
    resampling,
    seeds_needed,
    variant,
    wilson,
)

STUDIES = 2000
accuracies = st.lists(st.integers(9000, 9990).map(lambda count: count / 10_000), min_size=2, max_size=12)


def numbered(values, first=0, name="one"):
    return Variant(name, {first + index: float(value) for index, value in enumerate(values)})


# Against independent references


@given(total=st.integers(1, 100_000), data=st.data(), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(total, data, confidence):
    correct = data.draw(st.integers(0, total))
    low, high = wilson(correct, total, confidence)
    reference = scipy.stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert 0 <= low <= correct / total <= high <= 1


@pytest.mark.parametrize(("correct", "total"), [(-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_impossible_counts(correct, total):
    with pytest.raises(ValueError, match="correct must lie in 0 … total"):
        wilson(correct, total)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, math.nan])
def test_wilson_refuses_impossible_confidence(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(1, 2, confidence)


def test_chance_is_what_always_answering_the_largest_class_gives():
    assert no_better_than_chance(1135, 10_000, 0.1135)
    assert no_better_than_chance(1190, 10_000, 0.1135)
    assert not no_better_than_chance(1300, 10_000, 0.1135)
    assert no_better_than_chance(0, 10_000, 0.1)
    assert no_better_than_chance(3, 5, 0.5)


@given(values=accuracies, confidence=st.sampled_from([0.9, 0.95]))
def test_the_interval_over_seeds_is_scipys(values, confidence):
    estimate = over_seeds(values, confidence)
    assert (estimate.mean, estimate.sd, estimate.n) == pytest.approx(
        (np.mean(values), np.std(values, ddof=1), len(values))
    )
    if estimate.sd:
        low, high = scipy.stats.t.interval(confidence, len(values) - 1, np.mean(values), scipy.stats.sem(values))
        assert (estimate.low, estimate.high) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-9)


@given(a=accuracies, b=accuracies)
def test_disjoint_seeds_are_compared_as_scipys_welch_does(a, b):
    if np.std(a) < 1e-4 or np.std(b) < 1e-4:
        return
    (found,) = compare([numbered(a)], numbered(b, first=100))
    reference = scipy.stats.ttest_ind(a, b, equal_var=False)
    interval = reference.confidence_interval(0.95)
    assert found.test == "Welch's t test"
    assert (found.p, found.low, found.high) == pytest.approx((reference.pvalue, interval.low, interval.high), abs=1e-9)


@given(pairs=st.lists(st.tuples(st.integers(9000, 9990), st.integers(9000, 9990)), min_size=2, max_size=12))
def test_shared_seeds_are_compared_as_scipys_paired_test_does(pairs):
    a, b = (np.array(side) / 10_000 for side in zip(*pairs, strict=True))
    if np.std(a - b) < 1e-4:
        return
    (found,) = compare([numbered(a)], numbered(b))
    reference = scipy.stats.ttest_rel(a, b)
    interval = reference.confidence_interval(0.95)
    assert found.test == "paired t test"
    assert (found.p, found.low, found.high) == pytest.approx((reference.pvalue, interval.low, interval.high), abs=1e-9)


def test_one_seed_against_several_is_the_pooled_test():
    values = [0.9943, 0.9951, 0.9947, 0.9939]
    (found,) = compare([numbered([0.9901])], numbered(values, first=10))
    reference = scipy.stats.ttest_ind([0.9901], values, equal_var=True)
    assert found.test == "pooled t test"
    assert found.p == pytest.approx(reference.pvalue)


@given(st.lists(st.floats(0, 1), min_size=0, max_size=12))
def test_holm_steps_down(p_values):
    adjusted = holm(p_values)
    ranked = sorted(p_values)
    for p, found in zip(p_values, adjusted, strict=True):
        steps = [(len(ranked) - rank) * value for rank, value in enumerate(ranked) if value <= p]
        assert found == pytest.approx(min(1, max(steps)))
    assert all(found >= p for p, found in zip(p_values, adjusted, strict=True))


@given(both=st.integers(0, 50), a=st.integers(0, 40), b=st.integers(0, 40), neither=st.integers(1, 50))
@settings(max_examples=50)
def test_mcnemar_is_the_binomial_test_of_the_disagreements(both, a, b, neither):
    first = np.repeat([True, True, False, False], [both, a, b, neither])
    second = np.repeat([True, False, True, False], [both, a, b, neither])
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second, found.images) == (a, b, both + a + b + neither)
    assert found.p == pytest.approx(scipy.stats.binomtest(a, a + b).pvalue if a + b else 1.0)
    assert found.effect == pytest.approx(first.mean() - second.mean())


def test_equivalence_is_two_one_sided_tests():
    a, b = np.array([0.9941, 0.9946, 0.9943, 0.9949]), np.array([0.9944, 0.9942, 0.9947, 0.9945])
    found = equivalence(numbered(a), numbered(b), margin=0.001)
    above = scipy.stats.ttest_1samp(a - b, -0.001, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(a - b, 0.001, alternative="less").pvalue
    assert found.p == pytest.approx(max(above, below))
    assert found.equivalent
    assert found.sentence.startswith("one and one differ by less than 0.1 points: a difference of")
    low, high = scipy.stats.ttest_1samp(a - b, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((low, high)) and -found.margin < low and high < found.margin
    assert (found.variant, found.baseline, found.seeds, found.test) == ("one", "one", (4, 4), "paired t test")
    assert not equivalence(numbered(a), numbered(b), margin=0.0001).equivalent


def test_equivalence_of_equal_losses_and_of_runs_that_went_wrong():
    same = equivalence(numbered([0.5, 0.6]), numbered([0.5, 0.6]), 0.25, LOSS)
    assert same.equivalent and same.p == 0 and "differ by less than 0.25: a difference of 0.0000 (90 %" in same.sentence
    apart = equivalence(numbered([0.8, 0.9]), numbered([0.5, 0.6]), 0.25, LOSS)
    assert not apart.equivalent and apart.p == 1
    wrong = variant("wrong", [(0, 0.9, "finished"), (1, 0.91, "finished"), (2, None, "failed")])
    assert "wrong: 1 of 3 runs failed" in equivalence(wrong, numbered([0.9, 0.91]), 0.125 / 100).sentence
    assert "less than 0.125 points" in equivalence(wrong, numbered([0.9, 0.91]), 0.125 / 100).sentence


def test_seeds_needed_agrees_with_published_tables():
    # Cohen (1988): d = 0.5, two-sided 5 %, power 0.8: 64 in each group; d = 0.8: 26. Paired, d = 0.5: 34.
    assert seeds_needed(0.5, 1.0, paired=False) == 64
    assert seeds_needed(-0.8, 1.0, paired=False) == 26
    assert seeds_needed(0.5, 1.0, paired=True) == 34
    assert seeds_needed(0.0, 1.0, paired=True) is None
    assert seeds_needed(0.001, 1.0, paired=True) is None
    assert seeds_needed(0.125, 1.0, paired=True) == 505
    assert seeds_needed(1.0, 0.0, paired=False) == 2
    assert seeds_needed(1.0, 1e-6, paired=True) == 2


@given(effect=st.floats(1e-4, 0.1), sd=st.floats(1e-4, 0.02), paired=st.booleans())
def test_a_larger_effect_never_needs_more_seeds(effect, sd, paired):
    few, many = seeds_needed(2 * effect, sd, paired=paired), seeds_needed(effect, sd, paired=paired)
    assert many is None or (few is not None and 2 <= few <= many)


# Simulation: what is promised happens. Accuracies as they are: a share of 10,000 images around a spread of seeds.


def simulated(generator, true, spread, shape):
    return generator.binomial(10_000, np.clip(generator.normal(true, spread, shape), 0, 1)) / 10_000


def test_intervals_over_seeds_cover():
    runs = simulated(np.random.default_rng(1), 0.9943, 0.0006, (STUDIES, 5))
    estimates = [over_seeds(row.tolist()) for row in runs]
    assert 0.93 <= np.mean([e.low <= 0.9943 <= e.high for e in estimates]) <= 0.97


def test_the_next_run_falls_into_its_interval():
    runs = simulated(np.random.default_rng(2), 0.62, 0.008, (STUDIES, 4))
    covered = [low <= row[3] <= high for row in runs for low, high in [one_more_run(row[:3].tolist())]]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_wilson_covers():
    correct = np.random.default_rng(3).binomial(10_000, 0.9943, STUDIES)
    covered = [low <= 0.9943 <= high for low, high in (wilson(int(count), 10_000) for count in correct)]
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(("seeds", "first"), [(5, 100), (3, 100), (2, 100), (5, 0), (2, 0)])
def test_identical_variants_are_rarely_called_different(seeds, first):
    runs = simulated(np.random.default_rng(4), 0.9943, 0.0006, (STUDIES, 2, seeds))
    called = [compare([numbered(a)], numbered(b, first=first))[0].different for a, b in runs]
    assert np.mean(called) <= 0.06


def test_a_family_of_identical_variants_errs_as_a_family_in_few_studies():
    runs = simulated(np.random.default_rng(5), 0.9943, 0.0006, (STUDIES, 4, 5))
    called = []
    for base, *others in runs:
        found = compare([numbered(row, first=10 * k) for k, row in enumerate(others, 1)], numbered(base))
        called.append(any(comparison.different for comparison in found))
    assert np.mean(called) <= 0.06


@pytest.mark.parametrize("paired", [False, True])
def test_a_half_point_gap_is_found_as_often_as_the_stated_seeds_promise(paired, monkeypatch):
    monkeypatch.setattr(resampling, "DRAWS", 10)  # the check beside the t test decides nothing here
    generator, gap, spread = np.random.default_rng(6), 0.005, 0.004
    per_run = math.sqrt(spread**2 + 0.62 * 0.38 / 10_000)
    seeds = seeds_needed(gap, per_run * (math.sqrt(2) if paired else 1), paired=paired)
    ours = simulated(generator, 0.625, spread, (STUDIES, seeds))
    theirs = simulated(generator, 0.620, spread, (STUDIES, seeds))
    first = 0 if paired else 1000
    found = [compare([numbered(a)], numbered(b, first=first))[0].different for a, b in zip(ours, theirs, strict=True)]
    assert 0.77 <= np.mean(found) <= 0.86


# Sentences


def test_one_seed_each_cannot_be_told_apart():
    (found,) = compare([numbered([0.9943])], numbered([0.9947]))
    assert found.sentence == "99.43 and 99.47 cannot be told apart with one seed each"
    assert (found.p, found.different, found.test, found.seeds) == (None, None, "none", (1, 1))
    (found,) = compare([numbered([0.10], name="deep")], numbered([0.9947], name="wide"))
    assert found.sentence == (
        "10.00 and 99.47: these two networks differ by more than chance explains on 10,000 images. One seed each does "
        "not show that deep and wide differ"
    )


def test_a_difference_is_told_with_its_interval():
    a = numbered([0.9951, 0.9953, 0.9950, 0.9955, 0.9952], name="wide")
    b = numbered([0.9941, 0.9944, 0.9943, 0.9943, 0.9941], name="narrow")
    (found,) = compare([a], b)
    assert found.different
    assert found.sentence == (
        "wide is better than narrow: 99.52 % against 99.42 %, a difference of 0.10 points (95 % interval 0.07 to 0.12; "
        "paired t test, 5 shared seeds, p < 0.001)"
    )
    (back,) = compare([b], a)
    assert back.sentence.startswith("narrow is worse than wide: 99.42 % against 99.52 %, a difference of −0.10 points")
    assert compare([b], a, scale=LOSS)[0].sentence.startswith("narrow is better than wide")


def test_what_is_not_different_says_how_many_seeds_would_settle_it():
    a = numbered([0.9947, 0.9941, 0.9950], name="wide")
    b = numbered([0.9943, 0.9946, 0.9940], first=7, name="narrow")
    (found,) = compare([a], b)
    assert not found.different
    assert found.seeds_needed == seeds_needed(found.effect, math.sqrt((a_var() + b_var()) / 2), paired=False)
    assert found.sentence == (
        "wide and narrow cannot be told apart with 3 seeds each: 99.46 % against 99.43 %, a difference of 0.03 points "
        f"(95 % interval −0.06 to 0.12; Welch's t test, p = 0.40); about {found.seeds_needed} seeds each "
        "would decide a difference of this size"
    )


def a_var():
    return np.var([0.9947, 0.9941, 0.9950], ddof=1)


def b_var():
    return np.var([0.9943, 0.9946, 0.9940], ddof=1)


def test_several_comparisons_are_corrected_and_say_so():
    base = numbered([0.60, 0.61, 0.62], name="base")
    near = numbered([0.601, 0.612, 0.62], name="near")
    far = numbered([0.70, 0.71, 0.725], name="far")
    found = compare([near, far], base)
    assert [c.p_adjusted for c in found] == pytest.approx(holm([c.p for c in found]))
    assert "after Holm's correction for 2 comparisons" in found[0].sentence
    assert [c.different for c in found] == [False, True]


def test_values_that_agree_to_the_image_are_not_taken_to_have_no_spread():
    (same,) = compare([numbered([0.1, 0.1, 0.1])], numbered([0.1, 0.1, 0.1]))
    assert (same.effect, same.p, same.different, same.seeds_needed) == (0, 1, False, None)
    (near,) = compare([numbered([0.9944, 0.9945])], numbered([0.9943, 0.9944]))
    assert not near.different
    (far,) = compare([numbered([0.1, 0.1, 0.1])], numbered([0.62, 0.61, 0.63]))
    assert far.different


def test_few_shared_seeds_are_not_paired():
    a = Variant("a", {seed: 0.6 + seed / 1000 for seed in range(10)})
    b = Variant("b", {seed: 0.6 + seed / 1000 for seed in range(8, 18)})
    assert compare([a], b)[0].test == "Welch's t test"
    c = Variant("c", {seed: 0.6 + (seed % 3) / 1000 for seed in range(8)})
    assert (compare([a], c)[0].test, compare([a], c)[0].seeds) == ("paired t test", (8, 8))


def test_runs_that_went_wrong_stay_in_the_denominator_and_are_named():
    runs = [(0, 0.62, "finished"), (1, None, "diverged"), (2, math.nan, "diverged"), (3, 0.1, "did_not_learn")]
    gathered = variant("rate 10", [*runs, (4, None, "failed")], chance=0.1)
    assert gathered.values == {0: 0.62, 1: 0.1, 2: 0.1, 3: 0.1}
    assert gathered.failed == {1: "diverged", 2: "diverged", 3: "did_not_learn", 4: "failed"}
    assert gathered.note == (
        "2 of 5 runs diverged and count at chance, 10.00 %; 1 of 5 runs did not learn and counts with its own value; "
        "1 of 5 runs failed and has no accuracy to count"
    )
    (found,) = compare([gathered], numbered([0.6, 0.61, 0.62, 0.63], name="base"))
    assert found.sentence.endswith("; rate 10: " + gathered.note)
    assert variant("x", [(0, None, "diverged")], scale=LOSS).note == "the one run diverged and has no loss to count"
    with pytest.raises(ValueError, match="x has no run with a value to compare"):
        compare([variant("x", [(0, None, "failed")])], numbered([0.5]))
    with pytest.raises(ValueError, match="two runs with seed 3"):
        variant("x", [(3, 0.5, "finished"), (3, 0.6, "finished")])


def test_estimates_are_told_in_one_sentence():
    assert over_seeds([0.9943]).sentence == "99.43 % (one seed: its spread is not known)"
    assert over_seeds([0.9943, 0.9947, 0.9951]).sentence == (
        "99.47 %, standard deviation 0.04 points, 3 seeds; 95 % interval of the mean 99.37 % to 99.57 %"
    )
    assert over_seeds([0.99, 1.0]).high == 1.0
    assert over_seeds([2.3, 2.5], scale=LOSS).high > 2.5
    with pytest.raises(ValueError, match="at least one value"):
        over_seeds([])
    with pytest.raises(ValueError, match="two runs or more"):
        one_more_run([0.5])


def test_equal_shares_still_leave_one_more_run_what_rounding_to_an_image_hides():
    same = [0.9945, 0.9945]
    assert one_more_run(same) == (0.9945, 0.9945)
    low, high = one_more_run(same, images=10_000)
    assert high - low == pytest.approx(2 * scipy.stats.t.ppf(0.975, 1) / (10_000 * 12**0.5) * 1.5**0.5)
    assert one_more_run([0.99, 0.98], images=10_000) == one_more_run([0.99, 0.98])


def test_equal_shares_still_leave_their_mean_what_rounding_to_an_image_hides():
    same = [0.9941, 0.9941]
    assert (over_seeds(same).low, over_seeds(same).high) == (0.9941, 0.9941)
    estimate = over_seeds(same, images=10_000)
    half = scipy.stats.t.ppf(0.975, 1) / (10_000 * 12**0.5) / 2**0.5
    assert (estimate.low, estimate.high) == pytest.approx((0.9941 - half, 0.9941 + half)) and estimate.sd == 0
    assert over_seeds([0.99, 0.98], images=10_000) == over_seeds([0.99, 0.98])
    assert over_seeds([0.5, 0.5], scale=LOSS, images=10_000).low == 0.5


def test_mcnemar_speaks_of_these_two_networks():
    first = np.repeat([True, True, False], [9900, 30, 70])
    second = np.repeat([True, False, True], [9900, 30, 70])
    assert mcnemar(first, second).sentence == (
        "99.30 % and 99.70 %: these two networks differ, which says nothing yet about other seeds. Of 10,000 images, "
        "the first network alone classifies 30 correctly, and the second alone 70 (exact McNemar test, p < 0.001)"
    )
    same = mcnemar(first, first)
    assert (same.p, same.different) == (1.0, False)
    with pytest.raises(ValueError, match="the same images"):
        mcnemar([True], [True, False])


def test_equivalence_needs_seeds_and_a_margin():
    alone = equivalence(numbered([0.5], name="a"), numbered([0.6], name="b"), margin=0.01)
    assert alone.sentence == "whether a and b differ by less than 1 point cannot be said with one seed each"
    with pytest.raises(ValueError, match="margin must be above 0"):
        equivalence(numbered([0.5]), numbered([0.6]), margin=0)

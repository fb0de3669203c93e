"""What an accuracy is worth, and the checks without a bell curve: by simulation, and against brute force."""

import itertools
import math

import numpy as np
import pytest

from classlab.statistics import Variant, compare
from classlab.statistics.resampling import relabel, sign_flip, together
from classlab.statistics.worth import over_images, split_spread, worth

HARDNESS = np.random.default_rng(1).normal(5, 3, 200_000)  # of all images there are


def share_right(quality):
    """Return the probability that a network of this quality gets each image right."""
    return lambda hardness: 1 / (1 + np.exp(-(hardness + quality)))


def answers(random, seeds, images, spread):
    """Return right or wrong of networks whose quality scatters by `spread`, on images drawn anew."""
    hardness = random.choice(HARDNESS, images)
    quality = random.normal(0, spread, (seeds, 1))
    return random.random((seeds, images)) < share_right(quality)(hardness)


def test_the_interval_over_images_covers_for_one_network_and_for_several():
    true = share_right(0)(HARDNESS).mean()
    for seeds in (1, 5):
        random = np.random.default_rng(100 + seeds)
        covered = [
            low <= true <= high for low, high in (over_images(answers(random, seeds, 1000, 0)) for _ in range(800))
        ]
        assert 0.93 <= np.mean(covered) <= 0.975


def test_of_one_network_the_interval_is_wilsons():
    from classlab.statistics import wilson

    right = np.arange(1000)[None] < 973
    assert over_images(right) == pytest.approx(wilson(973, 1000))


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
def test_the_split_finds_the_true_spread_of_networks_and_covers_it(spread):
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    means = np.array([share_right(spread * node)(HARDNESS).mean() for node in nodes])
    weights /= weights.sum()
    true = math.sqrt(max(0.0, (weights * (means - (weights * means).sum()) ** 2).sum()))
    random = np.random.default_rng(3)
    splits = [split_spread(answers(random, 10, 2000, spread)) for _ in range(400)]
    assert np.mean([split.low <= true + 1e-9 and true <= split.high for split in splits]) >= 0.92
    found = math.sqrt(np.mean([split.sd**2 - split.luck**2 for split in splits]).clip(0))
    assert found == pytest.approx(true, abs=0.0006)


def test_an_accuracy_of_twenty_seeds_is_told_with_both_its_intervals():
    random = np.random.default_rng(0)
    hardness = random.normal(7.5, 3, 10_000)
    right = random.random((20, 10_000)) < share_right(0)(hardness)
    found = worth("net", right)
    assert found.images > found.seeds
    by_seeds = f"± {100 * found.seeds:.2f} by 20 seeds (other seeds would change the mean so)"
    by_images = f"± {100 * found.images:.2f} by the 10,000 test images (other images would change it so)"
    assert found.sentence == f"net: {100 * found.mean:.2f} % is {by_seeds} and {by_images}"
    assert found.split_sentence.startswith("net: the seeds have a standard deviation of ")
    single = worth("net", right[:1])
    assert single.split_sentence == "" and "one seed cannot say what another seed would change" in single.sentence


def test_flipped_signs_are_all_tried_and_the_level_is_kept():
    gaps = np.random.default_rng(0).normal(0.5, 1, 8)
    brute = [abs(np.dot(signs, gaps)) >= abs(gaps.sum()) - 1e-12 for signs in itertools.product((-1, 1), repeat=8)]
    assert sign_flip(gaps) == pytest.approx(np.mean(brute))
    random = np.random.default_rng(2)
    for seeds in (6, 20):
        errors = np.mean([sign_flip(random.standard_t(3, seeds)) < 0.05 for _ in range(300)])
        assert errors <= 0.08


def test_values_dealt_to_other_sides_keep_the_level():
    random = np.random.default_rng(4)
    errors = [relabel(random.normal(0, 1, 8), random.normal(0, 1, 8)) < 0.05 for _ in range(100)]
    assert np.mean(errors) <= 0.11
    assert relabel(random.normal(0, 1, 8), random.normal(5, 1, 8)) < 0.001


def test_a_correlation_of_seeds_is_covered():
    random, covered = np.random.default_rng(5), []
    for _ in range(500):
        shared = random.normal(size=10)
        found = together(*(math.sqrt(0.6) * shared + math.sqrt(0.4) * random.normal(size=10) for _ in range(2)))
        covered.append(found is not None and found[1] <= 0.6 <= found[2])
    assert 0.92 <= np.mean(covered) <= 0.98
    assert together([0.9, 0.9, 0.9, 0.9], [0.8, 0.9, 0.7, 0.8]) is None and together([1, 2], [1, 2]) is None


def test_a_comparison_of_six_seeds_says_whether_the_check_agrees():
    base = Variant("base", dict(enumerate((0.95, 0.951, 0.949, 0.952, 0.95, 0.948))))
    better = Variant("better", {seed: value + 0.004 + 0.0002 * seed for seed, value in base.values.items()})
    (found,) = compare([better], base)
    assert found.checked == pytest.approx(2 / 64) and found.sentence.endswith("; the sign-flip test agrees (p = 0.031)")
    assert found.together is not None and found.together[0] > 0.9
    odd = Variant("odd", {seed: value + 0.002 * (seed < 5) + 0.0015 for seed, value in base.values.items()})
    five = Variant("five", {seed: value for seed, value in odd.values.items() if seed < 5})
    assert compare([five], Variant("base", {s: v for s, v in base.values.items() if s < 5}))[0].checked is None

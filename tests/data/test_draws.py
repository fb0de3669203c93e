"""Numbers that depend on a seed and an image only, and are as random as others."""

import numpy as np
import pytest
import torch
from scipy import stats

from classlab.data.draws import MANY, ImageKeys, normal, uniform

LAWS = {"uniform": (uniform, stats.uniform()), "normal": (normal, stats.norm())}


GENERATORS = {
    "keys": lambda: ImageKeys(3, torch.arange(200)),
    "few from a Generator": lambda: torch.Generator().manual_seed(0),
    "many from a Generator": lambda: torch.Generator().manual_seed(0),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("where", GENERATORS)
def test_numbers_follow_their_law_and_not_each_other(law, where):
    generator, (draw, expected) = GENERATORS[where](), LAWS[law]
    count = 200 if where.startswith("few") else 2000
    assert (200 * count > MANY) == (not where.startswith("few"))
    numbers = draw(generator, 200, count).numpy()
    assert numbers.dtype == np.float32
    assert stats.kstest(numbers.ravel(), expected.cdf).pvalue > 1e-3
    limit = 5 / np.sqrt(numbers.size)
    again = draw(generator, 200, count).numpy()
    for other in (again, np.roll(numbers, 1, axis=1), np.roll(numbers, 1, axis=0), np.roll(numbers, 32, axis=1)):
        assert abs(np.corrcoef(numbers.ravel(), other.ravel())[0, 1]) < limit
        assert abs(np.corrcoef(numbers.ravel() ** 2, other.ravel() ** 2)[0, 1]) < limit


def test_every_bit_of_uniform_numbers_is_set_half_of_the_time_and_independently():
    numbers = uniform(ImageKeys(11, torch.arange(500)), 500, 1000).numpy()
    whole = (numbers.astype(np.float64) * 2**24).astype(np.int64)
    assert np.array_equal(whole / 2**24, numbers)
    bits = np.stack([(whole.ravel() >> bit) & 1 for bit in range(4, 24)]).astype(float)
    limit = 5 / np.sqrt(whole.size)
    assert np.abs(bits.mean(axis=1) - 0.5).max() < limit
    correlations = np.corrcoef(bits) - np.eye(len(bits))
    assert np.abs(correlations).max() < limit


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**48 + 5])
def test_one_number_for_each_of_60_000_images(seed):
    numbers = uniform(ImageKeys(seed, torch.arange(60_000)), 60_000).numpy()
    other = uniform(ImageKeys(seed + 1, torch.arange(60_000)), 60_000).numpy()
    assert stats.kstest(numbers, stats.uniform().cdf).pvalue > 1e-3
    assert abs(np.corrcoef(numbers, other)[0, 1]) < 5 / np.sqrt(60_000)
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 5 / np.sqrt(60_000)


def test_numbers_stay_in_their_range_and_are_finite():
    even = uniform(ImageKeys(5, torch.arange(2000)), 2000, 2000)
    assert even.min() >= 0
    assert even.max() < 1
    bell = normal(ImageKeys(5, torch.arange(2000)), 2000, 2000)
    assert torch.isfinite(bell).all()
    assert 4.5 < bell.max() < 5.5


def test_the_number_of_threads_plays_no_part():
    before = torch.get_num_threads()
    try:
        drawn = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            generator = torch.Generator().manual_seed(4)
            drawn.append((uniform(generator, 64, 3, 32, 32), normal(generator, 64, 3, 32, 32)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(drawn[0][part], other[part]) for other in drawn[1:] for part in range(2))

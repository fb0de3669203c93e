"""Splits: disjoint, complete, the same for the same seed, and stratified to within one image."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from classlab.data.splits import split, split_digest
from classlab.errors import UserError


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    share=st.floats(0.05, 0.9),
    seed=st.integers(0, 2**32 - 1),
    stratified=st.booleans(),
)
def test_a_split_shares_nothing_loses_nothing_and_repeats(counts, share, seed, stratified):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    size = round(share * len(labels))
    assume(size < len(labels))
    train, val = split(labels, size, seed, stratified)
    assert len(val) == size
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(len(labels)))
    again = split(labels, size, seed, stratified)
    assert split_digest(*again) == split_digest(train, val)
    if stratified:
        for label, count in enumerate(counts):
            assert abs((labels[val] == label).sum() - count * size / len(labels)) < 1


def test_another_seed_is_another_split_and_a_fraction_is_a_number():
    labels = np.arange(1000) % 10
    assert not np.array_equal(split(labels, 200, 0)[1], split(labels, 200, 1)[1])
    assert np.array_equal(split(labels, 0.2, 0)[1], split(labels, 200, 0)[1])
    assert len(split(labels, 0, 0)[1]) == 0


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (100, "data.val_size must leave images to train on: there are 100, got 100"),
        (0.999, "data.val_size must leave images to train on: there are 100, got 100"),
        (0.001, "data.val_size 0.001 of 100 images is none; give a larger fraction"),
    ],
)
def test_impossible_sizes_are_told(size, sentence):
    with pytest.raises(UserError, match=sentence):
        split(np.arange(100) % 10, size, 0)

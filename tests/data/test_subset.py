"""Subsets of classes and images, against masks computed here."""

import numpy as np
import pytest

from classlab.data.dataset import Dataset
from classlab.data.subset import subset
from classlab.errors import UserError

NAMES = ("bird", "cat", "deer", "dog", "frog")


def dataset(count=200, seed=0):
    random = np.random.default_rng(seed)
    labels, test_labels = random.integers(0, 5, count), random.integers(0, 5, 60)
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)  # each image is its own number
    test_images = np.arange(60, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Dataset("pets", images, labels, test_images, test_labels, NAMES, (0.5,), (0.2,), "a test")


def test_everything_is_the_dataset_itself():
    whole = dataset()
    assert subset(whole) is whole
    assert subset(whole, classes=[0, 1, 2, 3, 4], max_per_class=1000) is whole


@pytest.mark.parametrize("classes", [[1, 3], ["cat", "dog"], [1, "dog"]])
def test_classes_keep_their_labels_and_their_order(classes):
    whole = dataset()
    part = subset(whole, classes)
    wanted = np.isin(whole.labels, [1, 3])
    assert np.array_equal(part.images, whole.images[wanted])
    assert np.array_equal(part.labels, whole.labels[wanted])
    assert np.array_equal(part.test_labels, whole.test_labels[np.isin(whole.test_labels, [1, 3])])
    assert part.class_names == NAMES
    assert (part.mean, part.std, part.source) == (whole.mean, whole.std, whole.source)
    assert part.labels.dtype == np.int64


def test_renumbered_labels_count_in_the_order_given():
    whole = dataset()
    part = subset(whole, ["frog", "bird"], labels="renumber")
    assert part.class_names == ("frog", "bird")
    wanted = np.isin(whole.labels, [4, 0])
    assert np.array_equal(part.images, whole.images[wanted])
    assert np.array_equal(part.labels, np.where(whole.labels[wanted] == 4, 0, 1))


def test_limits_keep_the_first_of_each_class():
    whole = dataset()
    part = subset(whole, max_per_class=7, max_test_per_class=2)
    assert np.bincount(part.labels).tolist() == [7] * 5
    assert np.bincount(part.test_labels).tolist() == [2] * 5
    for label in range(5):
        first = whole.images[whole.labels == label][:7]
        assert np.array_equal(part.images[part.labels == label], first)
    assert np.all(np.diff(part.images.ravel().astype(int)) > 0)


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (["cat", "dgo"], r"data.classes: pets has no class 'dgo'; did you mean dog\? it has 0 to 4: bird, cat"),
        ([1, 5], "data.classes: pets has no class 5; it has 0 to 4: bird"),
        ([-1, 1], "data.classes: pets has no class -1; it has 0 to 4"),
        ([1, "cat"], "data.classes names 'cat' twice; name each class once"),
        ([2], r"data.classes must name at least two classes, got \[2\]"),
    ],
)
def test_classes_that_are_none_are_told(classes, sentence):
    with pytest.raises(UserError, match=sentence):
        subset(dataset(), classes)

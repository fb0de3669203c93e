"""digits: 1,797 handwritten digits, 8 × 8, grey, packaged by scikit-learn; needs no network.

The 17 grey levels 0 … 16 become 0 … 255. The publisher gives no test set, so classlab fixes one: 36 images of each
class, drawn once with seed 0; the other 1,437 are for training, in their published order.
"""

import importlib.util
from pathlib import Path

import numpy as np

from classlab.data.dataset import Dataset

CLASS_NAMES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
MEAN, STD = (0.3059,), (0.3764,)
SHAPE = (1, 8, 8)
SIZES = {"train": 1_437, "test": 360}
DIGEST = "846dc9330936efa93673d5344344304e0f290b9b3208dde29a56fd70a2e9dcec"
LICENCE = "Creative Commons Attribution 4.0"
CITATION = "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998"
SOURCES = ("scikit-learn",)
TEST_PER_CLASS = 36
read_folder = None  # nothing to fetch, so no files to decode


def load() -> Dataset:
    """Return digits, the offline dataset for a first try and for tests."""
    rows = _rows()
    images = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, *SHAPE)
    labels = rows[:, -1].astype(np.int64)
    test = _is_test(labels)
    arrays = images[~test], labels[~test], images[test], labels[test]
    return Dataset("digits", *arrays, CLASS_NAMES, MEAN, STD, "scikit-learn", LICENCE, CITATION)


def _rows() -> np.ndarray:
    """Return 64 grey levels and the label of each image. The file is read: to import scikit-learn takes seconds."""
    package = importlib.util.find_spec("sklearn")
    assert package and package.origin, "scikit-learn is installed with classlab"
    return np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")


def _is_test(labels: np.ndarray) -> np.ndarray:
    """Mark 36 of each class. NumPy promises that RandomState(0) draws the same numbers in every version."""
    draw = np.random.RandomState(0)
    marked = np.zeros(len(labels), dtype=bool)
    for label in range(len(CLASS_NAMES)):
        marked[draw.permutation(np.flatnonzero(labels == label))[:TEST_PER_CLASS]] = True
    return marked

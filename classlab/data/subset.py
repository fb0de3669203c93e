"""Subsets: some of the classes, some of the images of each, with labels kept or counted again."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from classlab.data.dataset import Dataset
from classlab.errors import UserError, did_you_mean, listing

Labels = Literal["keep", "renumber"]


def subset(
    dataset: Dataset,
    classes: Sequence[int | str] | None = None,
    labels: Labels = "keep",
    max_per_class: int | None = None,
    max_test_per_class: int | None = None,
) -> Dataset:
    """Return the dataset cut down to `classes`, and to the first so many images of each.

    classes: labels or class names, at least two; None keeps them all. labels: keep leaves every label as it is, so that
    a network still has an output for the classes left out; renumber counts 0, 1, … in the order of `classes`.
    max_per_class, max_test_per_class: how many training and test images of each class stay, the first in order.
    The mean and the standard deviation stay those of the whole dataset. Raises UserError.
    """
    chosen = list(range(len(dataset.class_names))) if classes is None else _numbers(dataset, classes)
    train = _indices(dataset.labels, chosen, max_per_class)
    test = _indices(dataset.test_labels, chosen, max_test_per_class)
    if len(train) == len(dataset.labels) and len(test) == len(dataset.test_labels) and labels == "keep":
        return dataset
    renumbered = np.full(len(dataset.class_names), -1, np.int64)
    renumbered[chosen] = np.arange(len(chosen)) if labels == "renumber" else chosen
    names = tuple(dataset.class_names[label] for label in chosen) if labels == "renumber" else dataset.class_names
    return dataclasses.replace(
        dataset,
        images=dataset.images[train],
        labels=renumbered[dataset.labels[train]],
        test_images=dataset.test_images[test],
        test_labels=renumbered[dataset.test_labels[test]],
        class_names=names,
    )


def _numbers(dataset: Dataset, classes: Sequence[int | str]) -> list[int]:
    """Return the labels that `classes` means."""
    names = dataset.class_names
    numbers = []
    for label in classes:
        known = label in names if isinstance(label, str) else 0 <= label < len(names)
        if not known:
            meant = did_you_mean(label, names) if isinstance(label, str) else ""
            raise UserError(
                f"data.classes: {dataset.name} has no class {label!r}{meant or ';'} "
                f"it has 0 to {len(names) - 1}: {listing(names)}"
            )
        numbers.append(names.index(label) if isinstance(label, str) else label)
    repeated = [classes[index] for index, number in enumerate(numbers) if number in numbers[:index]]
    if repeated:
        raise UserError(f"data.classes names {repeated[0]!r} twice; name each class once")
    if len(numbers) < 2:
        raise UserError(f"data.classes must name at least two classes, got {list(classes)}")
    return numbers


def _indices(labels: np.ndarray, classes: Sequence[int], limit: int | None) -> np.ndarray:
    """Return which images stay, in their order."""
    by_class = [np.flatnonzero(labels == label)[:limit] for label in classes]
    return np.sort(np.concatenate(by_class))

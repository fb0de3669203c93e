"""From an experiment's data section to the images it means."""

from typing import Any

import numpy as np

from classlab.data.dataset import Dataset, statistics_of
from classlab.data.splits import split, split_digest
from classlab.data.subset import subset
from classlab.errors import UserError
from classlab.experiment import Data


def prepare(plan: Data, dataset: Dataset | None = None) -> Dataset:
    """Return the dataset that the section names, cut down to the classes and numbers of images that it asks for.

    dataset: taken in the place of the named one, as for the reader's own arrays. Raises UserError, also where no
    training image or no test image is left.
    """
    dataset = dataset or plan.dataset.call("dataset")
    part = subset(dataset, plan.classes, plan.labels, plan.max_per_class, plan.max_test_per_class)
    _check_not_empty("training", len(dataset.images), len(part.images), dataset.name, plan)
    _check_not_empty("test", len(dataset.test_images), len(part.test_images), dataset.name, plan)
    return part


def _check_not_empty(kind: str, whole: int, left: int, name: str, plan: Data) -> None:
    if whole and not left:
        raise UserError(f"data.classes {plan.classes} leaves no {kind} images of {name}; name classes that have some")
    if kind == "test" and not left:
        raise UserError(
            f"{name} has no test images, and a run is judged by them; give it some (those of a folder lie in "
            "test/CLASS/…), or give it no test set at all, then a share of every class becomes one"
        )
    if not left:
        raise UserError(f"{name} has no training images; give it some")


def statistics(dataset: Dataset, plan: Data) -> dict[str, Any]:
    """Return the counts of each class and split, mean, standard deviation and digest, as a program reads them.

    dataset: what `prepare` gave. mean, std: of the training images that the split leaves, without copies.
    """
    train, val = split(dataset.labels, plan.val_size, plan.split_seed, plan.stratified)
    parts = {"train": dataset.labels[train], "val": dataset.labels[val], "test": dataset.test_labels}
    counts = {name: np.bincount(labels, minlength=len(dataset.class_names)) for name, labels in parts.items()}
    mean, std = statistics_of(dataset.images[train])
    copies = max(1, len(plan.expansion))
    return {
        "name": dataset.name,
        "image": list(dataset.input_shape),
        "sizes": {name: len(labels) for name, labels in parts.items()},
        "copies": copies,
        "expanded_train": copies * len(train),
        "classes": [
            {"class": name, **{part: int(count[label]) for part, count in counts.items()}}
            for label, name in enumerate(dataset.class_names)
        ],
        "mean": list(mean),
        "std": list(std),
        "known_mean": list(dataset.mean),
        "known_std": list(dataset.std),
        "split_digest": split_digest(train, val),
        "digest": dataset.digest,
        "source": dataset.source,
        "licence": dataset.licence,
        "citation": dataset.citation,
    }

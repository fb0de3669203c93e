"""From an experiment's data section to the images it means."""

import sys
from typing import Any

import numpy as np

from classlab import lookup, own_code
from classlab.data import reader_functions
from classlab.data.dataset import Dataset, statistics_of
from classlab.data.fetch import NotFetched, offline
from classlab.data.splits import split, split_digest
from classlab.data.subset import subset
from classlab.errors import UserError
from classlab.experiment import Choice, Data

NOT_FETCHED = "not fetched"  # the source of a stand-in


def prepare(plan: Data, dataset: Dataset | None = None, fetch: bool = True) -> Dataset:
    """Return the dataset that the section names, cut down to the classes and numbers of images that it asks for.

    dataset: taken in the place of the named one, as for the reader's own arrays. fetch: whether data may be downloaded.
    If it may not and is not in the cache, the result has the dataset's shape, classes and sizes, black images and the
    source NOT_FETCHED. Raises UserError, also where no training image or no test image is left.
    """
    dataset = dataset or _load(plan.dataset, fetch)
    part = subset(dataset, plan.classes, plan.labels, plan.max_per_class, plan.max_test_per_class)
    _check_not_empty("training", len(dataset.images), len(part.images), dataset.name, plan)
    _check_not_empty("test", len(dataset.test_images), len(part.test_images), dataset.name, plan)
    return part


def _load(choice: Choice, fetch: bool) -> Dataset:
    wanted = "a Dataset, as classlab.data.arrays.from_arrays makes it"
    load = reader_functions.bind("dataset", choice, lambda result, _: isinstance(result, Dataset), wanted)
    if fetch:
        dataset = load()
    else:
        try:
            with offline():
                dataset = load()
        except NotFetched:
            dataset = _stand_in(choice.name)
    subject, like, classes = f"the dataset {choice.name} returned", dataset.images, len(dataset.class_names)
    if classes < 2:
        raise UserError(f"{subject} {classes} class_names; they must name at least two classes")
    _check_part(f"{subject} images", dataset.images, f"{subject} labels", dataset.labels, like, classes)
    _check_part(
        f"{subject} test_images", dataset.test_images, f"{subject} test_labels", dataset.test_labels, like, classes
    )
    return dataset


def _stand_in(name: str) -> Dataset:
    """Return a dataset of the shape, classes and sizes that a published one's own file states, its images black.

    Raises NotFetched for a reader's own function, which states nothing.
    """
    module = sys.modules[lookup.find("dataset", name).__module__]
    if own_code.is_own_code(name):
        raise NotFetched(f"the dataset {name} asks for one that is not in the cache; `classlab data fetch` brings it")
    images = {part: np.zeros((size, *module.SHAPE), np.uint8) for part, size in module.SIZES.items()}
    labels = {part: np.arange(size, dtype=np.int64) % len(module.CLASS_NAMES) for part, size in module.SIZES.items()}
    arrays = images["train"], labels["train"], images["test"], labels["test"]
    return Dataset(name, *arrays, module.CLASS_NAMES, module.MEAN, module.STD, NOT_FETCHED)


def _check_part(subject: str, images: Any, labels_subject: str, labels: Any, like: Any, classes: int) -> None:
    """Check what a Dataset holds, which the reader may have made by hand. like: the training images."""
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.dtype not in (np.uint8, np.float32):
        form = "an array of uint8 or float32, (count, channels, height, width)"
        raise UserError(f"{subject} {reader_functions.kind_of(images)}; they must be {form}")
    if 0 in images.shape[1:]:
        raise UserError(
            f"{subject} {reader_functions.kind_of(images)}; each image must have a channel, a row and a column at least"
        )
    if images.shape[1:] != like.shape[1:] or images.dtype != like.dtype:
        raise UserError(
            f"{subject} {reader_functions.kind_of(images)}; "
            f"they must be like its images, {reader_functions.kind_of(like)}"
        )
    numbers = isinstance(labels, np.ndarray) and np.issubdtype(labels.dtype, np.integer)
    if not numbers or labels.shape != images.shape[:1]:
        form = f"an array of whole numbers, one for each of {len(images):,} images"
        raise UserError(f"{labels_subject} {reader_functions.kind_of(labels)}; they must be {form}")
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise UserError(
            f"{labels_subject} with a {outside[0]}; with {classes} class_names they go from 0 to {classes - 1}"
        )


def _check_not_empty(kind: str, whole: int, left: int, name: str, plan: Data) -> None:
    if whole and not left:
        raise UserError(f"data.classes {plan.classes} leaves no {kind} images of {name}; name classes that have some")
    if kind == "test" and not left:
        raise UserError(
            f"{name} has no test images, and a run is judged by them. Add some (in a folder: test/CLASS/…), or leave "
            "it out; then a share of every class becomes the test set"
        )
    if not left:
        raise UserError(f"{name} has no training images; give it some")


def statistics(dataset: Dataset, plan: Data) -> dict[str, Any]:
    """Return the counts of each class and split, mean, standard deviation and digest, as a program reads them.

    dataset: what `prepare` gave. mean, std: of the training images that the split leaves, without copies.
    """
    train, val = split(dataset.labels, plan.val_size, plan.split_seed_of(0), plan.stratified)
    parts = {"train": dataset.labels[train], "val": dataset.labels[val], "test": dataset.test_labels}
    counts = {name: np.bincount(labels, minlength=len(dataset.class_names)) for name, labels in parts.items()}
    mean, std = statistics_of(dataset.images[train])
    copies = plan.copies
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

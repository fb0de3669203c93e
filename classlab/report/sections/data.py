"""Data: what the images are, how they were split, and samples of each class before and after augmentation."""

from typing import TYPE_CHECKING

import numpy as np

from classlab.drawing.blocks import Column, Fact, Facts, Section, Strip, Strips, Table, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.report.pictures import as_pictures
from classlab.runs.run import Run

if TYPE_CHECKING:
    from classlab.data.dataset import Dataset

SAMPLES = 6  # of each class
CLASSES_SHOWN = 20


def section(run: Run) -> Section:
    """Return the facts of the dataset, the images of each class in each split, and samples."""
    try:
        dataset = run.dataset()
    except UserError as error:
        return Section("Data", (Facts(tuple(_facts(run))), Words(f"The images cannot be shown here: {error}.")))
    facts = [*_facts(run), *_origin(dataset)]
    return Section("Data", (Facts(tuple(facts)), _counts(run, dataset), _samples(run, dataset)))


def _facts(run: Run) -> list[Fact]:
    environment, split = run.environment, run.split()
    channels, height, width = environment["input_shape"]
    sizes = [f"{words.count(len(split['train']), 'image')} for training"]
    if split["val"]:
        sizes.append(f"{len(split['val']):,} for validation")
    sizes.append(f"{split['test']:,} for the test")
    colours = {1: "grey", 3: "red, green and blue"}.get(channels, f"{channels} channels")
    mean, std = environment["normalise"]["mean"], environment["normalise"]["std"]
    return [
        Fact("Dataset", environment["dataset"]["name"]),
        Fact("Split", words.listed(sizes)),
        Fact("One image", f"{height} × {width} pixels, {colours}"),
        Fact("Normalised with", f"mean {_numbers(mean)}, standard deviation {_numbers(std)}, on the 0 … 1 scale"),
        Fact("Source", environment["dataset"]["source"]),
        Fact("SHA-256 of the arrays", environment["dataset"]["digest"]),
    ]


def _origin(dataset: "Dataset") -> list[Fact]:
    told = (("Licence", dataset.licence), ("Citation", dataset.citation))
    return [Fact(label, value) for label, value in told if value]


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _counts(run: Run, dataset: "Dataset") -> Table:
    split = run.split()
    labels = [dataset.labels[split["train"]], dataset.labels[split["val"]], dataset.test_labels]
    names = ["training", "validation", "test"]
    if not split["val"]:
        del labels[1], names[1]
    classes = len(dataset.class_names)
    counts = [np.bincount(part.astype(np.int64), minlength=classes).tolist() for part in labels]
    columns = (Column("class"), *(Column(name, "count") for name in names))
    rows = tuple(zip(dataset.class_names, *counts, strict=True))
    return Table("classes", "Images of each class", columns, rows, ("together", *(sum(part) for part in counts)))


def _samples(run: Run, dataset: "Dataset") -> Strips:
    labels = dataset.labels[run.split()["train"]]
    images = dataset.images[run.split()["train"]]
    first = [np.flatnonzero(labels == label)[:SAMPLES] for label in range(len(dataset.class_names))][:CLASSES_SHOWN]
    chosen = np.concatenate(first)
    ends = np.cumsum([len(index) for index in first])[:-1]
    columns = [("as they are", np.split(as_pictures(images[chosen]), ends))]
    caption = "The first training images of each class"
    if run.experiment.data.augmentations:
        columns.append(("augmented", np.split(as_pictures(_augmented(run, images[chosen])), ends)))
        caption += (
            ", and the same images as the network may meet them in one epoch; in the next they change differently"
        )
    if len(dataset.class_names) > CLASSES_SHOWN:
        caption += f" (the first {CLASSES_SHOWN} of {len(dataset.class_names)} classes)"
    rows = tuple(
        (
            name,
            tuple(
                Strip(strips[label], f"{len(strips[label])} images of class {name}, {how}") for how, strips in columns
            ),
        )
        for label, name in enumerate(dataset.class_names[:CLASSES_SHOWN])
    )
    return Strips(caption, ("class", *(how for how, _ in columns)), rows)


def _augmented(run: Run, images: np.ndarray) -> np.ndarray:
    import torch

    from classlab.data.augment import augment, bind
    from classlab.training.random import generator

    pixels = torch.from_numpy(images).float()
    if images.dtype == np.uint8:
        pixels = pixels / 255
    changed = augment(pixels, bind(run.experiment.data.augmentations), generator(run.seed, 1, "samples in the report"))
    changed = changed.numpy()
    return (changed.clip(0, 1) * 255).round().astype(np.uint8) if images.dtype == np.uint8 else changed

"""Data: what the images are, how they were split, and samples of each class before and after augmentation."""

from typing import TYPE_CHECKING

import numpy as np

from classlab.data.class_samples import samples
from classlab.drawing.blocks import Column, Fact, Facts, Section, Strip, Strips, Table, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.runs.finished import FinishedRun as Run

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
    return Section("Data", (Facts(tuple(facts)), class_counts(run, dataset), class_samples(run, dataset)))


def _facts(run: Run) -> list[Fact]:
    environment, split = run.environment, run.split()
    channels, height, width = environment["input_shape"]
    copies = len(run.experiment.data.expansion)
    times = f" in {copies} copies, {copies * len(split['train']):,} an epoch" if copies > 1 else ""
    sizes = [f"{words.count(len(split['train']), 'image')} for training{times}"]
    if split["val"]:
        sizes.append(f"{len(split['val']):,} for validation")
    sizes.append(f"{split['test']:,} for the test")
    colours = {1: "grey", 3: "red, green and blue"}.get(channels, f"{channels} channels")
    mean, std = environment["normalise"]["mean"], environment["normalise"]["std"]
    return [
        Fact("Dataset", environment["dataset"]["name"]),
        *_classes(run),
        Fact("Split", "; ".join(sizes) if times else words.listed(sizes)),
        Fact("One image", f"{height} × {width} pixels, {colours}"),
        Fact("Normalised with", f"mean {_numbers(mean)}, standard deviation {_numbers(std)}, on the 0 … 1 scale"),
        Fact("Source", environment["dataset"]["source"]),
        Fact("SHA-256 of the arrays", environment["dataset"]["digest"]),
    ]


def _classes(run: Run) -> list[Fact]:
    """Return which classes were taken, where the experiment takes a part of them."""
    plan, names = run.experiment.data, run.environment["class_names"]
    if plan.classes is None:
        return []
    if plan.labels == "keep":
        names = [names[one] if isinstance(one, int) else one for one in plan.classes]
    text = words.listed(names)
    outputs = run.environment["classes"]
    if outputs > len(names) and not run.reconstructs:
        text += f"; their labels are as they were, so the network has {outputs} outputs"
    return [Fact("Classes taken", text)]


def _origin(dataset: "Dataset") -> list[Fact]:
    told = (("Licence", dataset.licence), ("Citation", dataset.citation))
    return [Fact(label, value) for label, value in told if value]


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def class_counts(run: Run, dataset: "Dataset") -> Table:
    """Count the images of each class; classes of which the experiment takes none are left out."""
    split = run.split()
    labels = [dataset.labels[split["train"]], dataset.labels[split["val"]], dataset.test_labels]
    names = ["training", "validation", "test"]
    if not split["val"]:
        del labels[1], names[1]
    classes = len(dataset.class_names)
    counts = [np.bincount(part.astype(np.int64), minlength=classes).tolist() for part in labels]
    columns = (Column("class"), *(Column(name, "count") for name in names))
    rows = tuple(row for row in zip(dataset.class_names, *counts, strict=True) if any(row[1:]))
    return Table("classes", "Images of each class", columns, rows, ("together", *(sum(part) for part in counts)))


def class_samples(run: Run, dataset: "Dataset") -> Strips:
    """Return the first training images of each class, as they are and as they are changed for training."""
    plan = run.experiment.data
    shown = samples(dataset, np.array(run.split()["train"]), plan, SAMPLES, run.seed)
    caption = "The first training images of each class"
    if plan.expansion:
        caption += ", and their copies, which are the same in every epoch"
    if plan.augmentations:
        caption += (
            ", and the same images as the network may meet them in one epoch; in the next they change differently"
        )
    if len(shown.rows) > CLASSES_SHOWN:
        caption += f" (the first {CLASSES_SHOWN} of {len(shown.rows)} classes)"
    headings = [heading.replace("_", " ") for heading in shown.headings]
    rows = tuple(
        (
            name,
            tuple(
                Strip(images, f"{len(images)} images of class {name}, {how}")
                for how, images in zip(headings, strips, strict=True)
            ),
        )
        for name, strips in shown.rows[:CLASSES_SHOWN]
    )
    return Strips(caption, ("class", *headings), rows, name="samples")

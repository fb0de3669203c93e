"""Samples: the first training images of each class, as they are and as they are changed for training."""

import numpy as np

from classlab.data.class_samples import samples
from classlab.drawing.blocks import Block, Strip, Strips
from classlab.report.material import Material, excused
from classlab.runs.finished import FinishedRun

SAMPLES = 6  # of each class
CLASSES_SHOWN = 20


def blocks(material: Material) -> list[Block]:
    """Return the samples of each name."""
    return material.first_of_each(excused(_samples))


def _samples(run: FinishedRun) -> list[Block]:
    """Return the first training images of each class, as they are and as they are changed for training."""
    dataset, plan = run.dataset(), run.experiment.data
    found = samples(dataset, np.array(run.split()["train"]), plan, SAMPLES, run.seed)
    caption = "The first training images of each class"
    if plan.expansion:
        caption += ", and their copies, which are the same in every epoch"
    if plan.augmentations:
        caption += ", and the same images as the network may see them in one epoch; in the next they change differently"
    if len(found.rows) > CLASSES_SHOWN:
        caption += f" (the first {CLASSES_SHOWN} of {len(found.rows)} classes)"
    headings = [heading.replace("_", " ") for heading in found.headings]
    rows = tuple(
        (
            name,
            tuple(
                Strip(images, f"{len(images)} images of class {name}, {how}")
                for how, images in zip(headings, strips, strict=True)
            ),
        )
        for name, strips in found.rows[:CLASSES_SHOWN]
    )
    return [Strips(caption, ("class", *headings), rows, name="samples")]

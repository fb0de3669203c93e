"""Classes: how many images of each there are in each split."""

import numpy as np

from classlab.drawing.blocks import Block, Column, Table
from classlab.report.material import Material, excused
from classlab.runs.finished import FinishedRun


def blocks(material: Material) -> list[Block]:
    """Return the table of classes of each name."""
    return material.first_of_each(excused(_counts))


def _counts(run: FinishedRun) -> list[Block]:
    """Count the images of each class; classes of which the experiment takes none are left out."""
    dataset, split = run.dataset(), run.split()
    labels = [dataset.labels[split["train"]], dataset.labels[split["val"]], dataset.test_labels]
    names = ["training", "validation", "test"]
    if not split["val"]:
        del labels[1], names[1]
    classes = len(dataset.class_names)
    counts = [np.bincount(part.astype(np.int64), minlength=classes).tolist() for part in labels]
    columns = (Column("class"), *(Column(name, "count") for name in names))
    rows = tuple(row for row in zip(dataset.class_names, *counts, strict=True) if any(row[1:]))
    total = ("together", *(sum(part) for part in counts))
    return [Table("classes", "Images of each class", columns, rows, total)]

"""Confidence: whether the network is right as often as it is sure."""

import numpy as np

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.report import outcome
from classlab.report.galleries import meaning
from classlab.report.material import Material
from classlab.report.outcome import Outcome
from classlab.runs.finished import FinishedRun

STEPS = (0.999, 0.99, 0.9, 0.5, 0.0)
COLUMNS = (
    Column("confidence"),
    Column("images", "count"),
    Column("right", "count"),
    Column("wrong", "count"),
    Column("accuracy", "percent"),
)


def blocks(material: Material) -> list[Block]:
    """Return how many test images the first run of each name got right in each band of confidence."""

    def of_run(run: FinishedRun) -> list[Block]:
        result = outcome.of_run(run)
        if result is None:
            return material.lacking(f"There are no predictions: the run {run.sentence()}.")
        return [Words(meaning(run)), _table(result)]

    return material.first_of_each(of_run)


def _table(result: Outcome) -> Table:
    rows = []
    upper = np.inf
    for lower in STEPS:
        inside = (result.confidence >= lower) & (result.confidence < upper)
        name = f"{100 * lower:g} % and more" if upper == np.inf else f"{100 * lower:g} to {100 * upper:g} %"
        rows.append((name, *_counts(result.right[inside])))
        upper = lower
    total = ("together", *_counts(result.right))
    return Table(
        "confidence",
        ("Is the network's confidence calibrated: is it right as often as it claims?"),
        COLUMNS,
        tuple(rows),
        total,
    )


def _counts(right: np.ndarray) -> tuple[int, int, int, float | None]:
    images, known = len(right), int(right.sum())
    return images, known, images - known, known / images if images else None

"""Classes: how many images of each there are in each split."""

from classlab.drawing.blocks import Block
from classlab.report.of_parts import Runs, each_first
from classlab.report.published import Part
from classlab.report.sections import data


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the table of classes."""
    return each_first(runs, lambda run: [data.class_counts(run, run.dataset())])

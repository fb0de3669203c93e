"""Samples: the first training images of each class, as they are and as they are changed for training."""

from classlab.drawing.blocks import Block
from classlab.report.of_parts import Runs, each_first
from classlab.report.published import Part
from classlab.report.sections import data


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the samples of the part's data."""
    return each_first(runs, lambda run: [data.class_samples(run, run.dataset())])

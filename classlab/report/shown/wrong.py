"""Wrong: test images that the network got wrong, the surest first."""

from classlab.drawing.blocks import Block
from classlab.report.galleries import galleries
from classlab.report.of_parts import Runs
from classlab.report.published import Part
from classlab.report.sections import predictions


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the gallery of mistakes."""
    return galleries(runs, predictions.wrong, "wrong")

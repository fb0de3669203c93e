"""Right: test images that the network got right, and those of them that it was least sure of."""

import numpy as np

from classlab.drawing.blocks import Block
from classlab.report.galleries import galleries
from classlab.report.of_parts import Runs
from classlab.report.outcome import Outcome
from classlab.report.published import Part
from classlab.report.sections import predictions


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the gallery of right predictions and the one of doubtful ones."""
    return galleries(runs, _of_one, "right")


def _of_one(result: Outcome, images: np.ndarray) -> list[Block]:
    return [*predictions.right(result, images), *predictions.doubted(result, images)]

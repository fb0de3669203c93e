"""Right: test images that the network got right, and those of them that it was least sure of."""

import numpy as np

from classlab.drawing.blocks import Block
from classlab.report import words
from classlab.report.galleries import galleries, gallery
from classlab.report.material import Material
from classlab.report.outcome import Outcome

COUNT, DOUBTED = 16, 8


def blocks(material: Material) -> list[Block]:
    """Return the gallery of right predictions and the one of doubtful ones."""
    return galleries(material, "The network classifies {right} of the {all} test images correctly.", _galleries)


def _galleries(result: Outcome, images: np.ndarray) -> list[Block]:
    found = np.flatnonzero(result.right)
    if not len(found):
        return []
    doubted = found[np.argsort(result.confidence[found], kind="stable")][:DOUBTED]
    caption = f"Correct predictions with the least confidence: the {words.count(len(doubted), 'least sure one')}"
    return [
        gallery("right", "Correct predictions: the first of the test set", result, images, found[:COUNT], "good"),
        gallery("doubted", caption, result, images, doubted, "good"),
    ]

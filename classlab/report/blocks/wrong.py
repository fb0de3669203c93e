"""Wrong: test images that the network got wrong, the most confident first."""

import numpy as np

from classlab.drawing.blocks import Block
from classlab.report.galleries import galleries, gallery
from classlab.report.material import Material
from classlab.report.outcome import Outcome

COUNT = 16


def blocks(material: Material) -> list[Block]:
    """Return the gallery of mistakes."""
    return galleries(material, "The network misclassifies {wrong} of the {all} test images.", _gallery)


def _gallery(result: Outcome, images: np.ndarray) -> list[Block]:
    found = result.mistakes()
    if not len(found):
        return []
    which = (
        f"the {COUNT} most confident of {len(found):,}, the most confident first"
        if len(found) > COUNT
        else "all, the most confident first"
    )
    return [gallery("wrong", f"Wrong predictions: {which}", result, images, found[:COUNT], "bad")]

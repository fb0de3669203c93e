"""What a network is trained for: to name the class of an image, or to reconstruct the image."""

import inspect
from typing import TYPE_CHECKING

from classlab import lookup
from classlab.experiment import Choice

if TYPE_CHECKING:
    from classlab.network.layer_table import LayerTable


def reconstructs(loss: Choice) -> bool:
    """Say whether the loss compares the output with an image: it asks for inputs or clean, and not for targets."""
    asked = set(inspect.signature(lookup.find("loss", loss.name)).parameters)
    return "targets" not in asked and bool(asked & {"inputs", "clean"})


def compares_with_clean(loss: Choice) -> bool:
    """Say whether the loss may look at the images as they were before noise; one with `denoise` off does not."""
    asked = inspect.signature(lookup.find("loss", loss.name)).parameters
    return "clean" in asked and bool(loss.options.get("denoise", True))


def softmax_twice(table: "LayerTable", loss: Choice) -> str | None:
    """Return a sentence on a network that ends in a softmax before a loss that takes one itself, None for any other."""
    from classlab.network.reconstruction import SHAPING

    last = next((layer for layer in reversed(table.layers) if layer.kind not in SHAPING), None)
    if loss.name != "cross_entropy" or last is None or last.kind != "Softmax":
        return None
    return (
        f"the network ends in a softmax (layer {last.name}), and the loss cross_entropy applies one itself. Two in a "
        "row flatten the gradients, and the network learns slowly. Leave that layer out, or make it a log-softmax "
        "and set training.loss=nll"
    )

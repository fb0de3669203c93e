"""What a network is trained for: to name the class of an image, or to reconstruct the image."""

import inspect

from classlab import lookup
from classlab.experiment import Choice


def reconstructs(loss: Choice) -> bool:
    """Say whether the loss compares the output with an image: it asks for inputs or clean, and not for targets."""
    asked = set(inspect.signature(lookup.find("loss", loss.name)).parameters)
    return "targets" not in asked and bool(asked & {"inputs", "clean"})


def compares_with_clean(loss: Choice) -> bool:
    """Say whether the loss may look at the images as they were before noise; one with `denoise` off does not."""
    asked = inspect.signature(lookup.find("loss", loss.name)).parameters
    return "clean" in asked and bool(loss.options.get("denoise", True))

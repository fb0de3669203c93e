"""Maps over images: what speaks for a class in amber, what speaks against it in blue, over the image in dark grey.

Amber and blue are told apart by every kind of colour vision, and both grow lighter with strength, so that grey print
serves too. The picture holds its own ground, so it reads the same on light and on dark paper.
"""

import numpy as np

FOR, AGAINST = (
    np.array([255, 176, 0.0]),
    np.array([100, 143, 255.0]),
)  # IBM's, for colour-blind readers
DARKEST, LIGHTEST = 18.0, 125.0  # grey levels of the image below the map
COVER = 0.8  # of the image at full strength, so that it can be made out
WHOLE = 99.0  # per cent of the pixels that are drawn within full strength: a few strong ones would hide the others
KEY = "Amber speaks for the class and blue against it, the stronger the lighter; below lies the image in grey."


def over_image(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a map over its image as a picture, uint8 (3, height, width).

    image: uint8 (channels, height, width). values: float (height, width), above zero for the class, below against it.
    Full colour is the strongest value, or that which one pixel in a hundred passes.
    """
    grey = image.astype(np.float64).mean(axis=0)
    ground = (DARKEST + (LIGHTEST - DARKEST) * grey / 255)[None]
    strength = np.abs(np.nan_to_num(values.astype(np.float64)))
    strong = strength[strength > 0]
    full = np.percentile(strong, WHOLE) if strong.size else 1.0
    share = COVER * np.clip(strength / full, 0, 1)[None]
    colour = np.where((values > 0)[None], FOR[:, None, None], AGAINST[:, None, None])
    return (ground * (1 - share) + colour * share).round().astype(np.uint8)

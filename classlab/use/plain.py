"""A picture made ready without any thought of what it shows: resized by its shorter side, its middle cut out."""

import numpy as np


def plain(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the middle of a picture in the network's size, float32 (channels, height, width), 0…1.

    pixels: uint8, (height, width, 3). shape: channels, height, width of the network's input. One channel is grey by the
    weights of ITU-R BT.601; three are red, green and blue. Raises ValueError for any other number of channels.
    """
    from PIL import Image, ImageOps

    channels, height, width = shape
    if channels not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, the network takes {channels}")
    image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32) / 255
    return values[None] if channels == 1 else values.transpose(2, 0, 1)

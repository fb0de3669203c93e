"""A dataset's images as pictures: uint8, small enough for a page that holds many."""

import numpy as np

LARGEST_SIDE = 96  # pixels; a larger image is made smaller, so that a report stays a few hundred kilobytes


def as_pictures(images: np.ndarray) -> np.ndarray:
    """Return images as uint8, (count, channels, height, width), no side longer than LARGEST_SIDE.

    images: uint8, or float on any scale (the reader's own arrays): then black is the smallest value and white the
    largest. Larger images keep every k-th pixel.
    """
    images = smaller(images)
    if images.dtype == np.uint8:
        return images
    low, high = float(images.min()), float(images.max())
    return ((images - low) * (255 / (high - low or 1.0)) + 0.5).astype(np.uint8)


def smaller(pictures: np.ndarray) -> np.ndarray:
    """Return pictures, (…, height, width), with every k-th pixel alone, so that no side is longer than LARGEST_SIDE."""
    every = -(-max(pictures.shape[-2:]) // LARGEST_SIDE)
    return pictures[..., ::every, ::every]

"""Augmentations: random changes of training images. Every public function is one, and changes a whole batch.

images: float32 on the 0…1 scale, (batch, channels, height, width). All randomness comes from `generator`, which lives
on the images' device. A function that returns AffineMaps says where each pixel comes from, and neighbours of its kind
are composed into one resampling; any other returns the changed images. Strength zero returns None: nothing to do.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from classlab.data.affine import AffineMaps, Interpolation

Degrees = Annotated[float, Field(ge=0, le=180)]
Pixels = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, lt=100)]
Probability = Annotated[float, Field(ge=0, le=1)]


def rotate(
    images: Tensor, generator: Generator, degrees: Degrees, interpolation: Interpolation = "bilinear"
) -> AffineMaps | None:
    """Rotate about the centre by an angle drawn evenly from ±degrees."""
    if degrees == 0:
        return None
    angles = torch.deg2rad(_between(images, generator, -degrees, degrees))
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return AffineMaps(_matrices(cos, sin, zero, -sin, cos, zero), interpolation)


def shift(images: Tensor, generator: Generator, pixels: Pixels) -> AffineMaps | None:
    """Shift along each axis by a distance drawn evenly from ±pixels, not rounded to whole pixels."""
    if pixels == 0:
        return None
    across = _between(images, generator, -pixels, pixels)
    down = _between(images, generator, -pixels, pixels)
    one, zero = torch.ones_like(across), torch.zeros_like(across)
    return AffineMaps(_matrices(one, zero, across, zero, one, down))


def zoom(images: Tensor, generator: Generator, percent: Percent) -> AffineMaps | None:
    """Enlarge or shrink about the centre by a factor drawn evenly from 1 ± percent/100, the same along both axes."""
    if percent == 0:
        return None
    inverse = 1 / _between(images, generator, 1 - percent / 100, 1 + percent / 100)
    zero = torch.zeros_like(inverse)
    return AffineMaps(_matrices(inverse, zero, zero, zero, inverse, zero))


def center_crop(
    images: Tensor, generator: Generator, size: Annotated[int, Field(ge=1)], probability: Probability = 1.0
) -> AffineMaps | None:
    """With `probability`, cut the central size × size pixels and enlarge them to the whole image."""
    if probability == 0:
        return None
    height, width = images.shape[2:]
    chosen = torch.rand(len(images), generator=generator, device=images.device) < probability
    zero = torch.zeros(len(images), device=images.device)
    across, down = torch.where(chosen, size / width, 1.0), torch.where(chosen, size / height, 1.0)
    return AffineMaps(_matrices(across, zero, zero, zero, down, zero))


def _between(images: Tensor, generator: Generator, low: float, high: float) -> Tensor:
    """Return one number per image, drawn evenly from low … high."""
    return torch.rand(len(images), generator=generator, device=images.device) * (high - low) + low


def _matrices(*rows: Tensor) -> Tensor:
    return torch.stack(rows, dim=1).reshape(-1, 2, 3)

"""Mixings. Every public function is one: each image of a batch with a part of another image of it, and of its label.

images: float32, (batch, channels, height, width), prepared. others: the same images in another order. random: NumPy's.
Returned are the mixed images and the share of its own label that each keeps, at least a half. (Of a pair it does not
matter which is called the first, so a smaller share is the other's.)
"""

import math
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from torch import Tensor

Alpha = Annotated[float, Field(gt=0)]


class MixedLabels(NamedTuple):
    """The labels of a mixed batch: of each image its own, and another's; share: how much its own counts, ½ … 1."""

    own_labels: Tensor
    other_labels: Tensor
    share: float


def mixup(images: Tensor, others: Tensor, random: np.random.Generator, alpha: Alpha = 0.2) -> tuple[Tensor, float]:
    """A weighted mean of two images (Zhang 2018); the weight is drawn for each batch from Beta(alpha, alpha)."""
    share = _share(random, alpha)
    return share * images + (1 - share) * others, share


def cutmix(images: Tensor, others: Tensor, random: np.random.Generator, alpha: Alpha = 1.0) -> tuple[Tensor, float]:
    """A rectangle of another image in its place (Yun 2019), the same in a batch, its area from Beta(alpha, alpha)."""
    height, width = images.shape[2:]
    side = math.sqrt(1 - _share(random, alpha))
    row, column = random.integers(height), random.integers(width)
    tall, wide = int(height * side), int(width * side)
    top, bottom = np.clip([row - tall // 2, row + tall // 2], 0, height).tolist()
    left, right = np.clip([column - wide // 2, column + wide // 2], 0, width).tolist()
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _share(random: np.random.Generator, alpha: float) -> float:
    drawn = float(random.beta(alpha, alpha))
    return max(drawn, 1 - drawn)

"""Affine maps of a batch of images: composed as matrices, then applied in one resampling."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["bilinear", "nearest"]


@dataclass(frozen=True)
class AffineMaps:
    """One map per image from output to input coordinates, in pixels from the image's centre.

    matrices: float32, (batch, 2, 3), rows x and y: input = matrices[:, :, :2] @ output + matrices[:, :, 2].
    """

    matrices: Tensor
    interpolation: Interpolation = "bilinear"

    def then(self, later: "AffineMaps") -> "AffineMaps":
        """Return the maps that apply these to the image first and `later` to the result."""
        linear = self.matrices[:, :, :2] @ later.matrices
        shift = self.matrices[:, :, 2:]
        return AffineMaps(torch.cat([linear[:, :, :2], linear[:, :, 2:] + shift], dim=2), self.interpolation)


def resample(images: Tensor, maps: AffineMaps | None) -> Tensor:
    """Return the images seen through the maps; what lies outside an image is 0.

    images: float32, (batch, channels, height, width). None leaves them as they are.
    """
    if maps is None:
        return images
    height, width = images.shape[2:]
    # torch counts in half widths and half heights from the centre.
    scale = torch.tensor([[1.0, height / width, 2 / width], [width / height, 1.0, 2 / height]], device=images.device)
    grid = F.affine_grid(maps.matrices * scale, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode=maps.interpolation, padding_mode="zeros", align_corners=False)

"""Affine maps of a batch of images: composed as matrices, then applied in one resampling."""

from dataclasses import dataclass
from enum import Flag, auto
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["bilinear", "nearest"]


class Sampling(Flag):
    """How a map reads an image; a composition needs what its parts need. What is less than RESAMPLE is exact."""

    MIRROR_ACROSS = auto()
    MIRROR_DOWN = auto()
    WHOLE_PIXELS = auto()
    RESAMPLE = auto()


@dataclass(frozen=True)
class AffineMaps:
    """One map per image from output to input coordinates, in pixels from the image's centre.

    matrices: float32, (batch, 2, 3), rows x and y: input = matrices[:, :, :2] @ output + matrices[:, :, 2].
    inside: no map looks outside the image, as when a window is cut out of it.
    """

    matrices: Tensor
    interpolation: Interpolation = "bilinear"
    sampling: Sampling = Sampling.RESAMPLE
    inside: bool = False

    def then(self, later: "AffineMaps") -> "AffineMaps":
        """Return the maps that apply these to the image first and `later` to the result."""
        linear, shift = self.matrices[:, :, :2], self.matrices[:, :, 2:]
        # input = linear @ (later_linear @ output + later_shift) + shift. Two columns of 0 before it let the shift be
        # added to the last column of the product alone, so that one call does both.
        composed = torch.baddbmm(F.pad(shift, (2, 0)), linear, later.matrices)
        interpolation = self.interpolation if Sampling.RESAMPLE in self.sampling else later.interpolation
        return AffineMaps(composed, interpolation, self.sampling | later.sampling, self.inside and later.inside)

    def composes_with(self, later: "AffineMaps") -> bool:
        """Whether one resampling can do both: neither interpolates, or both do so in the same way."""
        both_resample = Sampling.RESAMPLE in self.sampling & later.sampling
        return not both_resample or self.interpolation == later.interpolation


def resample(images: Tensor, maps: AffineMaps | None) -> Tensor:
    """Return the images seen through the maps.

    images: float32, (batch, channels, height, width). Around an image all is 0, and a point less than a pixel outside
    the outermost centres is between the two (SciPy's grid-constant). A window cut out of the image has no such rim: its
    outermost points take the edge's pixels (as in Pillow's resize). None changes nothing.
    """
    if maps is None:
        return images
    # Mirrors and shifts by whole pixels only move pixels: done so, they are exact and cost no interpolation.
    if Sampling.RESAMPLE not in maps.sampling:
        exactly = _gather if Sampling.WHOLE_PIXELS in maps.sampling else _mirror
        return exactly(images, maps)
    # With align_corners=False −1 and 1 are the outer edges of the image, as in `_grid`, not the centres of its
    # outermost pixels.
    around = "border" if maps.inside else "zeros"
    grid = _grid(images, maps.matrices)
    return F.grid_sample(images, grid, mode=maps.interpolation, padding_mode=around, align_corners=False)


def _grid(images: Tensor, matrices: Tensor) -> Tensor:
    """Return the points to look at, (batch, height, width, 2), in half widths and half heights from the centre.

    Two additions give it, where torch's affine_grid multiplies matrices for every image and takes four times as long.
    """
    height, width = images.shape[2:]
    across, down = _centred(width, images), _centred(height, images)
    grid = images.new_empty(len(images), height, width, 2)
    for axis, half in ((0, width / 2), (1, height / 2)):
        row = matrices[:, axis] / half
        along_width = row[:, 0, None] * across
        along_height = row[:, 1, None] * down + row[:, 2, None]
        torch.add(along_width[:, None, :], along_height[:, :, None], out=grid[..., axis])
    return grid


def _mirror(images: Tensor, maps: AffineMaps) -> Tensor:
    for mirror, axis, dimension in ((Sampling.MIRROR_ACROSS, 0, 3), (Sampling.MIRROR_DOWN, 1, 2)):
        if mirror in maps.sampling:
            turned = (maps.matrices[:, axis, axis] < 0).view(-1, 1, 1, 1)
            images = torch.where(turned, images.flip(dimension), images)
    return images


def _gather(images: Tensor, maps: AffineMaps) -> Tensor:
    count, channels, height, width = images.shape
    columns, sees_columns = _whole(maps.matrices[:, 0, 0], maps.matrices[:, 0, 2], width, images)
    rows, sees_rows = _whole(maps.matrices[:, 1, 1], maps.matrices[:, 1, 2], height, images)
    places = (rows[:, :, None] * width + columns[:, None, :]).view(count, 1, height * width)
    seen = images.flatten(2).gather(2, places.expand(count, channels, height * width)).view(images.shape)
    return seen.mul_((sees_rows[:, :, None] & sees_columns[:, None, :])[:, None])


def _whole(direction: Tensor, shift: Tensor, size: int, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return which pixel of an axis each output pixel shows, int64 (batch, size), and whether it exists."""
    centre = (size - 1) / 2
    place = (direction[:, None] * _centred(size, images) + shift[:, None] + centre).round_().long()
    return place.clamp(0, size - 1), (place >= 0) & (place < size)


def _centred(size: int, images: Tensor) -> Tensor:
    """Return the pixels' positions along an axis, counted from its middle."""
    return torch.arange(size, dtype=torch.float32, device=images.device) - (size - 1) / 2

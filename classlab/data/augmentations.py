"""Augmentations: random changes of training images. Every public function is one, and changes a whole batch.

images: float32 on the 0…1 scale, (batch, channels, height, width). All randomness comes from `generator`, which lives
on the images' device. A function that returns AffineMaps says where each pixel comes from, and neighbours of its kind
are composed into one resampling; any other returns the changed images. Strength zero returns None: nothing to do.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from classlab.data.affine import AffineMaps, Interpolation, Sampling
from classlab.data.draws import Draws, normal, uniform
from classlab.errors import UserError

Degrees = Annotated[float, Field(ge=0, le=180)]
Pixels = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, lt=100)]
Probability = Annotated[float, Field(ge=0, le=1)]
Area = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(gt=0)]
Side = Annotated[int, Field(ge=1)]

ATTEMPTS = 10
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


def rotate(
    images: Tensor, generator: Draws, degrees: Degrees, interpolation: Interpolation = "bilinear"
) -> AffineMaps | None:
    """Rotate about the centre by an angle drawn evenly from ±degrees."""
    if degrees == 0:
        return None
    angles = torch.deg2rad(_between(images, generator, -degrees, degrees))
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return AffineMaps(_matrices(cos, sin, zero, -sin, cos, zero), interpolation)


def shift(images: Tensor, generator: Draws, pixels: Pixels) -> AffineMaps | None:
    """Shift along each axis by a distance drawn evenly from ±pixels, not rounded to whole pixels."""
    if pixels == 0:
        return None
    across = _between(images, generator, -pixels, pixels)
    down = _between(images, generator, -pixels, pixels)
    ones, zero = torch.ones_like(across), torch.zeros_like(across)
    return AffineMaps(_matrices(ones, zero, across, zero, ones, down))


def zoom(images: Tensor, generator: Draws, percent: Percent) -> AffineMaps | None:
    """Enlarge or shrink about the centre by a factor drawn evenly from 1 ± percent/100, the same along both axes."""
    if percent == 0:
        return None
    inverse = 1 / _between(images, generator, 1 - percent / 100, 1 + percent / 100)
    zero = torch.zeros_like(inverse)
    return AffineMaps(_matrices(inverse, zero, zero, zero, inverse, zero))


def stretch(images: Tensor, generator: Draws, percent: Percent) -> AffineMaps | None:
    """Enlarge or shrink about the centre by a factor drawn evenly from 1 ± percent/100, for each axis its own."""
    if percent == 0:
        return None
    across, down = (1 / _between(images, generator, 1 - percent / 100, 1 + percent / 100) for _ in range(2))
    zero = torch.zeros_like(across)
    return AffineMaps(_matrices(across, zero, zero, zero, down, zero))


def shear(images: Tensor, generator: Draws, degrees: Annotated[float, Field(ge=0, le=60)]) -> AffineMaps | None:
    """Slant upright lines about the centre by an angle drawn evenly from ±degrees."""
    if degrees == 0:
        return None
    slant = torch.tan(torch.deg2rad(_between(images, generator, -degrees, degrees)))
    ones, zero = torch.ones_like(slant), torch.zeros_like(slant)
    return AffineMaps(_matrices(ones, slant, zero, zero, ones, zero))


def horizontal_flip(images: Tensor, generator: Draws, probability: Probability = 0.5) -> AffineMaps | None:
    """With `probability`, exchange left and right."""
    if probability == 0:
        return None
    turned, ones, zero = _flips(images, generator, probability)
    return AffineMaps(_matrices(turned, zero, zero, zero, ones, zero), sampling=Sampling.MIRROR_ACROSS, inside=True)


def vertical_flip(images: Tensor, generator: Draws, probability: Probability = 0.5) -> AffineMaps | None:
    """With `probability`, exchange top and bottom."""
    if probability == 0:
        return None
    turned, ones, zero = _flips(images, generator, probability)
    return AffineMaps(_matrices(ones, zero, zero, zero, turned, zero), sampling=Sampling.MIRROR_DOWN, inside=True)


def crop(images: Tensor, generator: Draws, size: Side, interpolation: Interpolation = "bilinear") -> AffineMaps | None:
    """Cut size × size pixels anywhere in the image, in whole pixels, and enlarge them to the whole image."""
    height, width = _room_for("crop", images, size)
    if size == height == width:
        return None
    left, top = (_whole_numbers(images, generator, side - size) for side in (width, height))
    sides = torch.full_like(left, size)
    return _window_maps(images, left, top, sides, sides, interpolation)


def center_crop(
    images: Tensor,
    generator: Draws,
    size: Side,
    probability: Probability = 1.0,
    interpolation: Interpolation = "bilinear",
) -> AffineMaps | None:
    """With `probability`, cut the central size × size pixels and enlarge them to the whole image."""
    height, width = _room_for("center_crop", images, size)
    if probability == 0 or size == height == width:
        return None
    chosen = _chosen(images, generator, probability)
    zero = torch.zeros(len(images), device=images.device)
    across, down = torch.where(chosen, size / width, 1.0), torch.where(chosen, size / height, 1.0)
    return AffineMaps(_matrices(across, zero, zero, zero, down, zero), interpolation, inside=True)


def pad_and_crop(images: Tensor, generator: Draws, pixels: Annotated[int, Field(ge=0)]) -> AffineMaps | None:
    """Put `pixels` zeros around the image and cut a window of the image's size anywhere, in whole pixels."""
    if pixels == 0:
        return None
    across, down = (_whole_numbers(images, generator, 2 * pixels) - pixels for _ in range(2))
    ones, zero = torch.ones_like(across), torch.zeros_like(across)
    return AffineMaps(_matrices(ones, zero, across, zero, ones, down), sampling=Sampling.WHOLE_PIXELS)


def random_resized_crop(
    images: Tensor,
    generator: Draws,
    min_area: Area = 0.08,
    max_area: Area = 1.0,
    min_ratio: Ratio = 3 / 4,
    max_ratio: Ratio = 4 / 3,
    interpolation: Interpolation = "bilinear",
) -> AffineMaps | None:
    """Cut a window of random area (a fraction of the image's) and ratio width : height; stretch it to the whole image.

    Windows are drawn as in Szegedy et al., "Going deeper with convolutions", 2015: the area is uniform and the ratio
    uniform in its logarithm. Up to ten windows are drawn until one fits; after that it is the largest central window of
    an allowed ratio.
    """
    _in_order("random_resized_crop", min_area, max_area, min_ratio, max_ratio)
    if min_area == max_area == min_ratio == max_ratio == 1 and images.shape[2] == images.shape[3]:
        return None
    width, height, fits = _window_sizes(images, generator, (min_area, max_area), (min_ratio, max_ratio))
    full_height, full_width = images.shape[2:]
    ratio = min(max(full_width / full_height, min_ratio), max_ratio)
    width = torch.where(fits, width, float(round(min(full_width, full_height * ratio))))
    height = torch.where(fits, height, float(round(min(full_height, full_width / ratio))))
    left, top = _place(width, full_width, generator), _place(height, full_height, generator)
    left = torch.where(fits, left, (full_width - width).div(2).floor())
    top = torch.where(fits, top, (full_height - height).div(2).floor())
    return _window_maps(images, left, top, width, height, interpolation)


def erase(
    images: Tensor,
    generator: Draws,
    probability: Probability = 0.5,
    min_area: Area = 0.02,
    max_area: Area = 0.33,
    min_ratio: Ratio = 0.3,
    max_ratio: Ratio = 3.3,
) -> Tensor | None:
    """With `probability`, set a window of random area and ratio width : height to zero.

    Source: Zhong et al., "Random erasing data augmentation", 2020. Up to ten windows are drawn until one fits; an image
    for which none does stays whole.
    """
    _in_order("erase", min_area, max_area, min_ratio, max_ratio)
    if probability == 0:
        return None
    chosen = _chosen(images, generator, probability)
    width, height, fits = _window_sizes(images, generator, (min_area, max_area), (min_ratio, max_ratio))
    left, top = _place(width, images.shape[3], generator), _place(height, images.shape[2], generator)
    hit = (chosen & fits)[:, None]
    columns, rows = (torch.arange(size, device=images.device) for size in (images.shape[3], images.shape[2]))
    in_columns = ((columns >= left[:, None]) & (columns < (left + width)[:, None]) & hit).float()
    in_rows = ((rows >= top[:, None]) & (rows < (top + height)[:, None])).float()
    # x - x · 1 · 1 is 0 and x - x · 0 is x, and two such products cost half of filling by a mask.
    return torch.addcmul(images, images * in_rows[:, None, :, None], in_columns[:, None, None, :], value=-1)


def cutout(
    images: Tensor,
    generator: Draws,
    size: Side,
    holes: Annotated[int, Field(ge=0, le=100)] = 1,
    probability: Probability = 1.0,
    fill: Literal["mean"] | Probability = "mean",
) -> Tensor | None:
    """With `probability`, fill `holes` squares of size × size pixels whose centres lie anywhere in the image.

    Source: DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017. What of a
    square lies beyond the border is cut off. fill: the image's own mean in each channel, or a number on the 0…1 scale.
    """
    if holes == 0 or probability == 0:
        return None
    chosen = _chosen(images, generator, probability)[:, None, None]
    covered = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool, device=images.device)
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    for _ in range(holes):
        left, top = (_whole_numbers(images, generator, side - 1) - size // 2 for side in (images.shape[3], len(rows)))
        in_columns = (columns >= left[:, None]) & (columns < left[:, None] + size)
        in_rows = (rows >= top[:, None]) & (rows < top[:, None] + size)
        covered |= in_rows[:, :, None] & in_columns[:, None, :] & chosen
    filling = images.mean((2, 3), keepdim=True) if fill == "mean" else images.new_tensor(fill)
    return torch.where(covered[:, None], filling, images)


def gaussian_noise(
    images: Tensor, generator: Draws, std: Annotated[float, Field(ge=0)], clip: bool = True
) -> Tensor | None:
    """Add to every number its own draw from a normal distribution; `clip` keeps the sum in 0 … 1."""
    if std == 0:
        return None
    noisy = torch.add(images, normal(generator, *images.shape), alpha=std)
    return noisy.clamp_(0, 1) if clip else noisy


def uniform_noise(images: Tensor, generator: Draws, high: float, low: float = 0.0, clip: bool = True) -> Tensor | None:
    """Add to every number its own draw from low … high, on the 0…1 scale; `clip` keeps the sum in 0 … 1."""
    if high < low:
        raise UserError(f"uniform_noise: high must not be less than low, got low {low} and high {high}")
    if low == high == 0:
        return None
    noisy = torch.add(images, uniform(generator, *images.shape), alpha=high - low)
    noisy = noisy.add_(low) if low else noisy
    return noisy.clamp_(0, 1) if clip else noisy


def brightness(images: Tensor, generator: Draws, percent: Percent) -> Tensor | None:
    """Multiply the image by a factor drawn evenly from 1 ± percent/100, kept in 0 … 1."""
    if percent == 0:
        return None
    factor = _between(images, generator, 1 - percent / 100, 1 + percent / 100)
    return (images * factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def contrast(images: Tensor, generator: Draws, percent: Percent) -> Tensor | None:
    """Multiply the distance from the image's mean grey by a factor drawn evenly from 1 ± percent/100, kept in 0 … 1.

    The grey of a colour image is its luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
    """
    if percent == 0:
        return None
    factor = _between(images, generator, 1 - percent / 100, 1 + percent / 100).view(-1, 1, 1, 1)
    means = images.mean(dim=(2, 3))
    luma = means.new_tensor(LUMA) if means.shape[1] == 3 else means.new_ones(1) / means.shape[1]
    grey = (means * luma).sum(dim=1).view(-1, 1, 1, 1)
    return (images * factor).add_(grey * (1 - factor)).clamp_(0, 1)


def saturation(images: Tensor, generator: Draws, percent: Percent) -> Tensor | None:
    """Multiply each colour's distance from its own grey by a factor drawn evenly from 1 ± percent/100, in 0 … 1.

    The grey is the luma, as of `contrast`. Raises UserError for images that have no colour.
    """
    if percent == 0:
        return None
    grey = _grey("saturation", images)
    factor = _between(images, generator, 1 - percent / 100, 1 + percent / 100).view(-1, 1, 1, 1)
    return (images * factor).add_(grey * (1 - factor)).clamp_(0, 1)


def hue(images: Tensor, generator: Draws, degrees: Degrees) -> Tensor | None:
    """Turn each colour's hue by an angle drawn evenly from ±degrees; saturation and value (of HSV) stay.

    Raises UserError for images that have no colour.
    """
    if degrees == 0:
        return None
    _check_colour("hue", images)
    turn = _between(images, generator, -degrees, degrees).div_(60).view(-1, 1, 1)
    value, spread = images.amax(1), images.amax(1) - images.amin(1)
    red, green, blue = images.unbind(1)
    divisor = spread.clamp(min=torch.finfo(images.dtype).tiny)
    # The hue in sixths of the circle, by which of the three is the largest.
    sixths = torch.where(
        value == red, (green - blue) / divisor, torch.where(value == green, 2 + (blue - red) / divisor,
                                                             4 + (red - green) / divisor)
    )  # fmt: skip
    colours = []
    for place in (5, 3, 1):
        along = (place + sixths + turn).remainder(6)
        colours.append(value - spread * torch.minimum(along, 4 - along).clamp(0, 1))
    return torch.stack(colours, 1)


def greyscale(images: Tensor, generator: Draws, probability: Probability = 0.1) -> Tensor | None:
    """With `probability`, replace all three colours by the luma. Raises UserError for images that have no colour."""
    if probability == 0:
        return None
    grey = _grey("greyscale", images)
    return torch.where(_chosen(images, generator, probability).view(-1, 1, 1, 1), grey, images)


def _check_colour(name: str, images: Tensor) -> None:
    if images.shape[1] != 3:
        raise UserError(f"{name} needs images of 3 channels, red, green and blue; got {images.shape[1]}")


def _grey(name: str, images: Tensor) -> Tensor:
    """Return the luma, (batch, 1, height, width)."""
    _check_colour(name, images)
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _between(images: Tensor, generator: Draws, low: float, high: float) -> Tensor:
    """Return one number per image, drawn evenly from low … high."""
    return uniform(generator, len(images)) * (high - low) + low


def _chosen(images: Tensor, generator: Draws, probability: float) -> Tensor:
    return uniform(generator, len(images)) < probability


def _whole_numbers(images: Tensor, generator: Draws, most: int) -> Tensor:
    """Return one whole number per image, as float32, drawn evenly from 0, 1, … most."""
    return (uniform(generator, len(images)) * (most + 1)).floor_().clamp_(max=most)


def _flips(images: Tensor, generator: Draws, probability: float) -> tuple[Tensor, Tensor, Tensor]:
    ones = torch.ones(len(images), device=images.device)
    return torch.where(_chosen(images, generator, probability), -ones, ones), ones, torch.zeros_like(ones)


def _window_sizes(
    images: Tensor, generator: Draws, areas: tuple[float, float], ratios: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return width and height, in whole pixels as float32, of the first window drawn that fits, and whether one did."""
    height, width = images.shape[2:]
    drawn = uniform(generator, len(images), 2, ATTEMPTS)
    area = (drawn[:, 0] * (areas[1] - areas[0]) + areas[0]) * (height * width)
    low, high = (math.log(ratio) for ratio in ratios)
    ratio = (drawn[:, 1] * (high - low) + low).exp()
    widths, heights = (area * ratio).sqrt_().round_(), (area / ratio).sqrt_().round_()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    return widths.gather(1, first)[:, 0], heights.gather(1, first)[:, 0], fits.any(dim=1)


def _place(side: Tensor, full: int, generator: Draws) -> Tensor:
    """Return where windows of these sides begin: a whole number, drawn evenly from where they fit."""
    room = (full - side).clamp(min=0)
    return torch.minimum((uniform(generator, len(side)) * (room + 1)).floor_(), room)


def _window_maps(
    images: Tensor, left: Tensor, top: Tensor, width: Tensor, height: Tensor, interpolation: Interpolation
) -> AffineMaps:
    """Return the maps that show a window (in pixels, from the left upper corner) as the whole image."""
    full_height, full_width = images.shape[2:]
    across, down, zero = width / full_width, height / full_height, torch.zeros_like(width)
    to_right, downward = left + (width - full_width) / 2, top + (height - full_height) / 2
    return AffineMaps(_matrices(across, zero, to_right, zero, down, downward), interpolation, inside=True)


def _matrices(*rows: Tensor) -> Tensor:
    return torch.stack(rows, dim=1).reshape(-1, 2, 3)


def _room_for(name: str, images: Tensor, size: int) -> tuple[int, int]:
    height, width = images.shape[2:]
    if size > min(height, width):
        raise UserError(f"{name}: size must not exceed the image's {height} × {width} pixels, got {size}")
    return height, width


def _in_order(name: str, min_area: float, max_area: float, min_ratio: float, max_ratio: float) -> None:
    if min_area > max_area or min_ratio > max_ratio:
        raise UserError(
            f"{name}: min_area and min_ratio must not exceed max_area and max_ratio, "
            f"got areas {min_area} … {max_area} and ratios {min_ratio} … {max_ratio}"
        )

"""Augmentations in a script: every public function writes the augmentation of its name, with its numbers.

A geometric one gives Maps, the expressions of the six numbers of its matrix; neighbours are composed and resampled
once, as data.augment does it. Any other gives lines that change the images. None: it changes nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from classlab.data.affine import Sampling
from classlab.data.augmentations import ATTEMPTS
from classlab.use.export.eject.draw_code import Draws
from classlab.use.export.eject.passages import literal

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Maps:
    """before: lines. numbers: the matrix from output to input, row by row. words: what it does, for the docstring."""

    words: str
    before: tuple[str, ...]
    numbers: Sequence[str]
    interpolation: str = "bilinear"
    sampling: Sampling = Sampling.RESAMPLE
    inside: bool = False


@dataclass(frozen=True)
class Change:
    """lines: that change the pixels. words: what they do."""

    words: str
    lines: tuple[str, ...]


Written = Maps | Change | None


def rotate(draws: Draws, shape: Shape, degrees: float, interpolation: str) -> Written:
    """Write a rotation."""
    if degrees == 0:
        return None
    before = (f"angle = torch.deg2rad({draws.evenly(-degrees, degrees)})", "cos, sin = angle.cos(), angle.sin()")
    return Maps(f"rotate by up to ±{degrees:g}°", before, ("cos", "sin", "0", "-sin", "cos", "0"), interpolation)


def shift(draws: Draws, shape: Shape, pixels: float) -> Written:
    """Write a shift."""
    if pixels == 0:
        return None
    before = tuple(f"{name} = {draws.evenly(-pixels, pixels)}" for name in ("across", "down"))
    return Maps(f"shift by up to ±{pixels:g} pixels", before, ("1", "0", "across", "0", "1", "down"))


def zoom(draws: Draws, shape: Shape, percent: float) -> Written:
    """Write a zoom."""
    if percent == 0:
        return None
    before = (f"inverse = 1 / {draws.evenly(*_around(percent))}",)
    return Maps(f"zoom by up to ±{percent:g} %", before, ("inverse", "0", "0", "0", "inverse", "0"))


def stretch(draws: Draws, shape: Shape, percent: float) -> Written:
    """Write a stretch."""
    if percent == 0:
        return None
    before = tuple(f"{name} = 1 / {draws.evenly(*_around(percent))}" for name in ("across", "down"))
    return Maps(f"stretch by up to ±{percent:g} % along each axis", before, ("across", "0", "0", "0", "down", "0"))


def shear(draws: Draws, shape: Shape, degrees: float) -> Written:
    """Write a shear."""
    if degrees == 0:
        return None
    before = (f"slant = torch.tan(torch.deg2rad({draws.evenly(-degrees, degrees)}))",)
    return Maps(f"shear by up to ±{degrees:g}°", before, ("1", "slant", "0", "0", "1", "0"))


def horizontal_flip(draws: Draws, shape: Shape, probability: float) -> Written:
    """Write a flip."""
    return _flip(draws, probability, "left and right", Sampling.MIRROR_ACROSS)


def vertical_flip(draws: Draws, shape: Shape, probability: float) -> Written:
    """Write a flip."""
    return _flip(draws, probability, "top and bottom", Sampling.MIRROR_DOWN)


def crop(draws: Draws, shape: Shape, size: int, interpolation: str) -> Written:
    """Write a crop, enlarged."""
    if size == shape[1] == shape[2]:
        return None
    before = tuple(
        f"{name} = {draws.evenly(0, side - size + 1)}.floor().clamp(max={side - size})"
        for name, side in (("left", shape[2]), ("top", shape[1]))
    )
    words = f"cut {size} × {size} pixels out anywhere and enlarge them"
    return _window(words, before, shape, str(size), str(size), interpolation)


def center_crop(draws: Draws, shape: Shape, size: int, probability: float, interpolation: str) -> Written:
    """Write a crop of the centre, enlarged."""
    height, width = shape[1:]
    if probability == 0 or size == height == width:
        return None
    before = (
        f"chosen = {draws.evenly(0, 1)} < {probability}",
        f"across = torch.where(chosen, {size} / {width}, 1.0)",
        f"down = torch.where(chosen, {size} / {height}, 1.0)",
    )
    words = f"with probability {probability:g} cut out the central {size} × {size} pixels and enlarge them"
    return Maps(words, before, ("across", "0", "0", "0", "down", "0"), interpolation, inside=True)


def pad_and_crop(draws: Draws, shape: Shape, pixels: int) -> Written:
    """Write a shift by whole pixels."""
    if pixels == 0:
        return None
    before = tuple(
        f"{name} = {draws.evenly(0, 2 * pixels + 1)}.floor().clamp(max={2 * pixels}) - {pixels}"
        for name in ("across", "down")
    )
    numbers = ("1", "0", "across", "0", "1", "down")
    return Maps(f"shift by up to ±{pixels} whole pixels", before, numbers, sampling=Sampling.WHOLE_PIXELS)


def random_resized_crop(
    draws: Draws, shape: Shape, min_area: float, max_area: float, min_ratio: float, max_ratio: float, interpolation: str
) -> Written:
    """Write a crop of random size, enlarged."""
    height, width = shape[1:]
    if min_area == max_area == min_ratio == max_ratio == 1 and height == width:
        return None
    ratio = min(max(width / height, min_ratio), max_ratio)
    full = round(min(width, height * ratio)), round(min(height, width / ratio))
    before = (
        *_sizes(draws, shape, (min_area, max_area), (min_ratio, max_ratio)),
        f"wide, high = torch.where(fits, wide, {float(full[0])}), torch.where(fits, high, {float(full[1])})",
        *_places(draws, shape),
        f"left = torch.where(fits, left, (({width} - wide) / 2).floor())",
        f"top = torch.where(fits, top, (({height} - high) / 2).floor())",
    )
    words = f"cut out a window of {min_area:g} to {max_area:g} of the area and enlarge it"
    return _window(words, before, shape, "wide", "high", interpolation)


def erase(
    draws: Draws, shape: Shape, probability: float, min_area: float, max_area: float, min_ratio: float, max_ratio: float
) -> Written:
    """Write the erasing of a window."""
    if probability == 0:
        return None
    images, (height, width) = draws.images, shape[1:]
    lines = (
        f"chosen = {draws.evenly(0, 1)} < {probability}",
        *_sizes(draws, shape, (min_area, max_area), (min_ratio, max_ratio)),
        *_places(draws, shape),
        f"columns, rows_of = torch.arange({width}), torch.arange({height})",
        "inside = (columns >= left[:, None]) & (columns < (left + wide)[:, None])",
        "inside = (inside & (chosen & fits)[:, None])[:, None, None, :]",
        "between_rows = (rows_of >= top[:, None]) & (rows_of < (top + high)[:, None])",
        "hidden = (inside & between_rows[:, None, :, None]).to(DEVICE)",
        f"{images} = {images}.masked_fill(hidden, 0)",
    )
    return Change(f"with probability {probability:g} set a window to 0", lines)


def gaussian_noise(draws: Draws, shape: Shape, std: float, clip: bool) -> Written:
    """Write noise."""
    if std == 0:
        return None
    noise = draws.pixels("normal", math.prod(shape))
    return _noise(draws.images, noise, std, clip, f"add noise of standard deviation {std:g}")


def uniform_noise(draws: Draws, shape: Shape, high: float, low: float, clip: bool) -> Written:
    """Write noise."""
    if low == high == 0:
        return None
    noise = draws.pixels("uniform", math.prod(shape))
    return _noise(draws.images, noise, high - low, clip, f"add noise of {low:g} to {high:g}", low)


def brightness(draws: Draws, shape: Shape, percent: float) -> Written:
    """Write a change of brightness."""
    if percent == 0:
        return None
    images = draws.images
    lines = (
        f"factor = {draws.evenly(*_around(percent))}.view(-1, 1, 1, 1).to(DEVICE)",
        f"{images} = ({images} * factor).clamp(0, 1)",
    )
    return Change(f"brighten or darken by up to {percent:g} %", lines)


def contrast(draws: Draws, shape: Shape, percent: float) -> Written:
    """Write a change of contrast."""
    if percent == 0:
        return None
    images, channels = draws.images, shape[0]
    luma = "[0.299, 0.587, 0.114]" if channels == 3 else f"[1.0] / {channels}"
    weights = f"grey = ({images}.mean(dim=(2, 3)) * torch.tensor({luma}, device=DEVICE)).sum(1)"
    if channels != 3:
        weights = f"grey = ({images}.mean(dim=(2, 3)) * (torch.ones(1, device=DEVICE) / {channels})).sum(1)"
    lines = (
        f"factor = {draws.evenly(*_around(percent))}.view(-1, 1, 1, 1).to(DEVICE)",
        weights,
        f"{images} = ({images} * factor + grey.view(-1, 1, 1, 1) * (1 - factor)).clamp(0, 1)",
    )
    return Change(f"raise or lower the contrast by up to {percent:g} %", lines)


def _around(percent: float) -> tuple[float, float]:
    return 1 - percent / 100, 1 + percent / 100


def _flip(draws: Draws, probability: float, what: str, sampling: Sampling) -> Written:
    if probability == 0:
        return None
    if probability == 1 and draws.key is not None:  # then nothing is drawn, but the next draw is still another
        draws.count += 1
        before, sign = (), f"-torch.ones(len({draws.images}))"
    else:
        before, sign = (f"turned = {draws.evenly(0, 1)} < {probability}",), "torch.where(turned, -1.0, 1.0)"
    axis = sampling is Sampling.MIRROR_ACROSS
    numbers = (sign, "0", "0", "0", "1", "0") if axis else ("1", "0", "0", "0", sign, "0")
    words = f"exchange {what}" + ("" if probability == 1 else f" with probability {probability:g}")
    return Maps(words, before, numbers, sampling=sampling, inside=True)


def _noise(images: str, noise: str, factor: float, clip: bool, words: str, low: float = 0) -> Change:
    lines = [f"{images} = torch.add({images}, {noise}, alpha={literal(factor)})"]
    if len(lines[0]) > 90:
        lines = [f"noise = {noise}", f"{images} = torch.add({images}, noise, alpha={literal(factor)})"]
    lines += [f"{images} = {images} + {literal(low)}"] if low else []
    lines += [f"{images} = {images}.clamp(0, 1)"] if clip else []
    return Change(words, tuple(lines))


def _sizes(draws: Draws, shape: Shape, areas: tuple[float, float], ratios: tuple[float, float]) -> tuple[str, ...]:
    height, width = shape[1:]
    low, high = (math.log(ratio) for ratio in ratios)
    drawn = draws.uniform(f"2, {ATTEMPTS}", 2 * ATTEMPTS)
    return (
        f"drawn = {drawn}",
        f"area = (drawn[:, 0] * {areas[1] - areas[0]} + {areas[0]}) * {height * width}",
        f"ratio = (drawn[:, 1] * {high - low} + {low}).exp()",
        "wide, high = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()",
        f"fit = (wide >= 1) & (wide <= {width}) & (high >= 1) & (high <= {height})",
        "first, fits = fit.int().argmax(1, keepdim=True), fit.any(1)  # of ten windows",
        "wide, high = wide.gather(1, first)[:, 0], high.gather(1, first)[:, 0]",
    )


def _places(draws: Draws, shape: Shape) -> tuple[str, ...]:
    lines = []
    for name, side, full in (("left", "wide", shape[2]), ("top", "high", shape[1])):
        lines += [f"room = ({full} - {side}).clamp(min=0)",
                  f"{name} = torch.minimum(({draws.evenly(0, 1)} * (room + 1)).floor(), room)"]  # fmt: skip
    return tuple(lines)


def _window(words: str, before: tuple[str, ...], shape: Shape, width: str, height: str, interpolation: str) -> Maps:
    numbers = (
        f"{width} / {shape[2]}", "0", f"left + ({width} - {shape[2]}) / 2",
        "0", f"{height} / {shape[1]}", f"top + ({height} - {shape[1]}) / 2",
    )  # fmt: skip
    return Maps(words, before, numbers, interpolation, inside=True)

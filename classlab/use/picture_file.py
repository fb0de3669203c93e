"""A picture file as pixels in red, green and blue: any size and kind, within bounded memory, turned upright."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.data.bounded_files import BadFile, is_folder
from classlab.data.pictures import ROWS, SUFFIXES, opened, pictures_below, upright
from classlab.errors import UserError
from classlab.files import reason
from classlab.terminal import say

if TYPE_CHECKING:
    from PIL import Image

LONGEST = 2000  # pixels: larger pictures are read smaller; an image that a network sees has 32
WIDE_MODES = {"I", "I;16", "I;16B", "I;16L", "I;16N"}


@dataclass(frozen=True)
class Picture:
    """What a file shows.

    pixels: uint8, (height, width, 3), the longer side at most 2000. note: what had to be decided to read it, or "".
    """

    pixels: np.ndarray
    note: str = ""


def files_of(paths: list[Path]) -> list[Path]:
    """Return the files meant: each one given, and of a folder the picture files in it and below, sorted by name.

    Raises UserError where nothing is given, or a folder holds no picture file.
    """
    if not paths:
        raise UserError("nothing to predict: give picture files or a folder of them")
    files: list[Path] = []
    for path in paths:
        if is_folder(path):
            pictures, _ = pictures_below(path, say)
            if not pictures:
                raise UserError(f"the folder {path} holds no picture file; known: {', '.join(sorted(SUFFIXES))}")
            files += pictures
        else:
            files.append(path)
    return files


def read(path: Path) -> Picture:
    """Return what the file shows.

    A camera's orientation is followed, transparency is laid on a ground that its ink stands out from, of a moving
    picture the first frame is taken. Raises BadFile, one sentence, for a file that is missing, is no picture, is cut
    short, or holds more than 100 million pixels.
    """
    with opened(path, LONGEST) as image:
        moving = getattr(image, "is_animated", False)
        return Picture(from_image(image), "a moving picture: its first frame was taken" if moving else "")


def from_python(name: str, image: Any) -> Picture:
    """Return what a picture shows that was opened or made in Python. Raises BadFile, which names it."""
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise BadFile(f"{name} must be a file, an array or a picture of Pillow's; got {type(image).__name__}")
    if 0 in image.size:
        raise BadFile(f"{name} has no pixels: it is {image.width} × {image.height}")
    try:
        return Picture(from_image(image))
    except Exception as error:  # Pillow reads a file when its pixels are asked for, which is now
        raise BadFile(f"{name} is not a complete image ({reason(error)})") from None


def from_image(image: "Image.Image") -> np.ndarray:
    """Return the pixels of a picture that Pillow opened, uint8, (height, width, 3), upright and opaque."""
    small = upright(image, _small(_eight_bits(image)))
    if small.mode == "RGB":
        return np.asarray(small)
    layer = np.asarray(small).astype(np.float32)
    colour, cover = layer[..., :3], layer[..., 3:] / 255
    return np.rint(colour * cover + _ground(colour, cover) * (1 - cover)).astype(np.uint8)


def _eight_bits(image: "Image.Image") -> Any:
    """Return the picture in RGB, or RGBA where something is transparent."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are fractions, whose scale is not known")
    if image.mode in WIDE_MODES:
        values = np.asarray(image)
        most = int(values.max())
        scale = 255 if most <= 255 else 4095 if most <= 4095 else 65535  # 8, 12 or 16 bits
        grey = np.empty(values.shape, dtype=np.uint8)
        for start in range(0, len(values), ROWS):
            part = values[start : start + ROWS].clip(0, scale).astype(np.float32)
            grey[start : start + ROWS] = np.rint(part * (255 / scale))
        return Image.fromarray(grey)
    return image if image.mode in ("L", "RGB") else image.convert("RGBA" if image.has_transparency_data else "RGB")


def _small(image: Any) -> Any:
    """Return the picture with its longer side at most LONGEST pixels, in RGB or RGBA."""
    factor = -(-max(image.size) // LONGEST)
    if factor > 1:
        # A strip of 20,000 × 1 keeps its one row.
        image = image.reduce((min(factor, image.width), min(factor, image.height)))
    return image if image.mode == "RGBA" else image.convert("RGB")


def _ground(colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return the ground to lay a picture with transparent parts on, (3,).

    Where most of it is opaque, its own commonest colour; else it is ink alone: white below dark ink, black below light.
    """
    if cover.mean() > 0.6:
        return np.median(colour[cover[..., 0] > 0.5], axis=0)
    weight = max(float(cover.sum()), 1e-6)
    brightness = float((colour.mean(axis=2, keepdims=True) * cover).sum()) / weight
    return np.full(3, 255.0 if brightness < 160 else 0.0, dtype=np.float32)

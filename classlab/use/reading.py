"""A picture file as pixels in red, green and blue: any size and kind, within bounded memory, turned upright."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.data.pictures import FORMATS, MAX_PIXELS, SUFFIXES
from classlab.data.reading import BadFile, reason
from classlab.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

LONGEST = 2000  # pixels: larger pictures are read smaller; an image that a network sees has 32
# What a camera notes of how it was held (Exif tag 274) and the turn that mends it, by Pillow's names.
ORIENTATION = 274
TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
    8: "ROTATE_90",
}  # fmt: skip
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
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not found:
                raise UserError(f"the folder {path} holds no picture file; known: {', '.join(sorted(SUFFIXES))}")
            files += found
        else:
            files.append(path)
    return files


def read(path: Path) -> Picture:
    """Return what the file shows.

    A camera's orientation is followed, transparency is laid on a ground that its ink stands out from, of a moving
    picture the first frame is taken. Raises BadFile, one sentence, for a file that is missing, is no picture, is cut
    short, or holds more than 100 million pixels.
    """
    from PIL import Image

    if not path.exists():
        raise BadFile(f"there is no file {path}")
    try:
        # Pillow warns of what it mends and of size; here a picture is whole and within the limit, or it is not taken.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            image.draft("RGB", (LONGEST, LONGEST))  # JPEG is decoded at a half, a quarter, an eighth: little memory
            if image.width * image.height > MAX_PIXELS:
                raise BadFile(f"{path} is too large: {image.width:,} × {image.height:,} pixels")
            moving = getattr(image, "is_animated", False)
            note = "a moving picture: its first frame was taken" if moving else ""
            return Picture(from_image(image), note)
    except BadFile:
        raise
    except (Image.DecompressionBombError, MemoryError):
        raise BadFile(f"{path} is too large: more than {MAX_PIXELS:,} pixels") from None
    except Image.UnidentifiedImageError:
        raise BadFile(f"{path} is no picture of a kind that can be read: {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's readers have many ways to fail on a damaged file; none of them is ours
        raise BadFile(f"{path} is no whole picture ({reason(error)})") from None


def from_image(image: "Image.Image") -> np.ndarray:
    """Return the pixels of a picture that Pillow opened, uint8, (height, width, 3), upright and opaque."""
    from PIL import Image

    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    small = _small(_eight_bits(image))
    if turn:
        small = small.transpose(Image.Transpose[turn])
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
        for start in range(0, len(values), 512):  # a few rows at a time: no second copy of them all
            part = values[start : start + 512].clip(0, scale).astype(np.float32)
            grey[start : start + 512] = np.rint(part * (255 / scale))
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

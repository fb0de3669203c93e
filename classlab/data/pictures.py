"""One picture file, of any kind and size, as an array: turned upright, laid on a background, of the size asked for."""

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from classlab.data.reading import BadFile, reason

Fit = Literal["crop", "pad", "stretch"]
Background = Literal["white", "black"]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}
MAX_PIXELS = 100_000_000


def read_picture(
    path: Path, size: tuple[int, int] | None = None, fit: Fit = "crop", background: Background = "white"
) -> np.ndarray:
    """Return the picture as uint8, (height, width, 3); red, green and blue are equal where it is grey.

    The orientation that a camera noted is followed; what is transparent shows the background; of a moving picture the
    first frame is taken; 16-bit greys lose their lower 8 bits.
    size: height and width. fit: how a picture of another shape gets there: crop cuts its middle, pad puts background
    around it, stretch changes its shape.
    Raises BadFile for a file that is no picture, is cut short, or holds more than 100 million pixels.
    """
    from PIL import Image, ImageOps

    try:
        # Pillow warns of what it mends and of size; here a picture is whole and within the limit, or it is not taken.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadFile(f"{path} is too large: {picture.width:,} × {picture.height:,} pixels")
            upright = ImageOps.exif_transpose(picture)
            flat = _flat(upright, background)
            return np.asarray(flat if size is None else _fitted(flat, size, fit, background))
    except BadFile:
        raise
    except (Image.DecompressionBombError, MemoryError):
        raise BadFile(f"{path} is too large to read") from None
    except Exception as error:  # Pillow's readers have many ways to fail on a damaged file; none of them is ours
        raise BadFile(f"{path} is no whole picture ({reason(error)})") from None


def _flat(picture: Any, background: Background) -> Any:
    """Return the picture in RGB without transparency."""
    from PIL import Image

    if picture.mode in {"I;16", "I;16B", "I;16L", "I"}:
        values = np.asarray(picture).astype(np.int64)
        return Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise ValueError("its pixels are fractions, whose scale is not known")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, background), layer).convert("RGB")


def _fitted(picture: Any, size: tuple[int, int], fit: Fit, background: Background) -> Any:
    from PIL import Image, ImageOps

    wanted = size[1], size[0]
    if picture.size == wanted:
        return picture
    smooth = Image.Resampling.BILINEAR
    if fit == "stretch":
        return picture.resize(wanted, smooth)
    if fit == "pad":
        return ImageOps.pad(picture, wanted, smooth, color=background)
    return ImageOps.fit(picture, wanted, smooth)

"""One picture file, of any kind and size, as an array: turned upright, laid on a background, of the size asked for."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from classlab import limits
from classlab.data import bounded_files
from classlab.data.bounded_files import BadFile, WatchedFile
from classlab.errors import UserError
from classlab.files import reason

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["crop", "pad", "stretch"]
Background = Literal["white", "black"]

# Others that Pillow knows start programs of this machine's (EPS) or are no pictures.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}
CLOSED_FOLDERS = 5  # that cannot be read are named, of more the number is said
# A picture's own parts are read so often, and once more for so many bytes of it: a GIF has two reads to 256 bytes.
READS, BYTES_A_READ = 50_000, 100
# What a camera notes of how it was held (Exif tag 274) and the turn that mends it, by Pillow's names.
ORIENTATION = 274
TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
    8: "ROTATE_90",
}  # fmt: skip
ROWS = 512  # of a picture that are worked on at once, so that there is no second copy of it all


def read_picture(
    path: Path, size: tuple[int, int] | None = None, fit: Fit = "crop", background: Background = "white"
) -> np.ndarray:
    """Return the picture as uint8, (height, width, 3); red, green and blue are equal where it is grey.

    The orientation that a camera noted is followed; what is transparent shows the background; of a moving picture the
    first frame is taken; 16-bit greys lose their lower 8 bits.
    size: height and width. fit: how a picture of another shape gets there: crop cuts its middle, pad puts background
    around it, stretch changes its shape.
    Raises BadFile for a file that is not a picture, is cut short, or holds more than 100 million pixels.
    """
    with opened(path) as picture:
        flat = upright(picture, _flat(picture, background))
        return np.asarray(flat if size is None else _fitted(flat, size, fit, background))


@contextmanager
def opened(path: Path, longest: int | None = None) -> "Iterator[Image.Image]":
    """Open a picture file; its pixels are unpacked when they are first asked for.

    longest: pixels of its longer side that are enough; a JPEG is then unpacked at a half, a quarter or an eighth.
    Raises BadFile, one sentence, where it is not a picture or is too large, also for what goes wrong inside the block.
    """
    from PIL import Image

    try:
        # Pillow warns of what it mends and of size; here a picture is whole and within the limit, or it is not taken.
        with bounded_files.opened(path) as file, warnings.catch_warnings(action="ignore"):
            size = os.fstat(file.fileno()).st_size
            watched: Any = WatchedFile(file, path, READS + size // BYTES_A_READ)
            watched.mark, watched.marks_left = b"Exif\0\0", 20  # notes in many parts are joined one by one
            with Image.open(watched, formats=FORMATS) as picture:
                if longest:
                    picture.draft("RGB", (longest, longest))
                _check(picture, path, size)
                _watch(picture, watched)
                yield picture
    except UserError:
        raise
    except (Image.DecompressionBombError, MemoryError):
        raise BadFile(f"{path} is too large: more than {limits.PIXELS:,} pixels") from None
    except Image.UnidentifiedImageError:
        raise BadFile(f"{path} is not a complete image in a format that can be read: {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's readers have many ways to fail on a damaged file; none of them is ours
        raise BadFile(f"{path} is not a complete image ({reason(error)})") from None


def _check(picture: Any, path: Path, size: int) -> None:
    """Raise BadFile for a picture that would take too much memory or time. Its pixels are still packed."""
    values = picture.width * picture.height * len(picture.getbands())
    if picture.format == "PPM" and picture.tile[0][0] != "raw" and size < values:  # read pixel by pixel, if whole
        raise BadFile(f"{path} is not a complete image ({size:,} bytes cannot hold {values:,} values)")
    if picture.width * picture.height > limits.PIXELS or max(picture.size) > limits.PICTURE_SIDE:
        raise BadFile(f"{path} is too large: {picture.width:,} × {picture.height:,} pixels")
    if len(picture.tile) > limits.PICTURE_PIECES:
        raise BadFile(
            f"{path} is not a picture that is read: it lies there in more than {limits.PICTURE_PIECES:,} pieces"
        )


def _watch(picture: Any, watched: WatchedFile) -> None:
    """Say what unpacking the pixels may ask of the file, and forget a camera's notes that are too long for notes."""
    for name in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"):
        if len(picture.info.get(name) or "") > limits.EXIF_BYTES:
            del picture.info[name]
    watched.mark = b""
    if picture.format in ("JPEG", "MPO"):
        watched.mark, watched.marks_left = b"\xff\xda", limits.PICTURE_SCANS
    if picture.format == "PPM":
        watched.reads_left = None  # some are read pixel by pixel
        if picture.tile[0][0] == "ppm_plain":  # in whose text every remark is cut out by a copy of all the others
            watched.mark, watched.marks_left = b"#", 1_000


def upright(picture: Any, unpacked: Any) -> Any:
    """Return what was unpacked of an opened picture as the camera's note says that it was held; without one as it is.

    Of a TIFF Pillow has done so when it unpacked it, and has forgotten the note.
    """
    from PIL import Image

    picture.load()
    try:
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged note is none, and the picture is whole
        turn = None
    return unpacked.transpose(Image.Transpose[turn]) if turn else unpacked


def pictures_below(folder: Path, left_out: Callable[[str], Any]) -> tuple[list[Path], int]:
    """Return the files in a folder and below it that are named as pictures are, sorted, and how many others there are.

    Regular files, and links to such; links to folders are not followed, so there is no way around in a circle.
    left_out: called with a sentence for each folder below that cannot be read, of many for the first.
    Raises BadFile where the folder itself cannot be.
    """
    paths: list[str] = []
    others = closed = 0
    waiting = [os.fspath(folder)]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    # By its name first: somebody may have named a folder of a million files that are not pictures.
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif os.path.splitext(entry.name)[1].lower() not in SUFFIXES:  # noqa: PTH122 - a Path costs ten times that
                        others += not entry.name.startswith(".") and _is_file(entry)
                    elif _is_file(entry):
                        paths.append(entry.path)
        except OSError as error:
            sentence = f"the folder {place} cannot be read: {reason(error)}"
            if place == os.fspath(folder):
                raise BadFile(sentence) from None
            closed += 1
            if closed <= CLOSED_FOLDERS:
                left_out(sentence)
    if closed > CLOSED_FOLDERS:
        left_out(f"and {closed - CLOSED_FOLDERS:,} more folders in {folder} cannot be read")
    return sorted(map(Path, paths)), others


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _flat(picture: Any, background: Background) -> Any:
    """Return the picture in RGB without transparency."""
    from PIL import Image

    if picture.mode in {"I;16", "I;16B", "I;16L", "I"}:
        values = np.asarray(picture)
        grey = np.empty(values.shape, np.uint8)
        for start in range(0, len(values), ROWS):
            grey[start : start + ROWS] = (values[start : start + ROWS] >> 8).clip(0, 255)
        return Image.fromarray(grey).convert("RGB")
    if picture.mode == "F":
        raise ValueError("its pixels are fractions, whose scale is not known")
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    layer = picture if picture.mode == "RGBA" else picture.convert("RGBA")
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

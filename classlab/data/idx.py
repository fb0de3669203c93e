"""The IDX form of MNIST and Fashion-MNIST: a magic number, the sizes, then the bytes; raw or gzipped.

Source of the form: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from classlab.data.bounded_files import BadFile, find, read_bytes
from classlab.data.dataset import Arrays

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MAX_BYTES = 100_000_000


def folder_reader(*subfolders: str, classes: int = 10) -> Callable[[Path], Arrays]:
    """Return a function that reads the four IDX files in a folder or in the first of `subfolders` that has them."""

    def read(folder: Path) -> Arrays:
        arrays: list[np.ndarray] = []
        for images, labels in (FILES[:2], FILES[2:]):
            paths = [find(folder, ("", *subfolders), (name, f"{name}.gz")) for name in (images, labels)]
            arrays += read_pair(*paths, classes=classes)
        images, labels, test_images, test_labels = arrays
        return images, labels, test_images, test_labels

    return read


def read_pair(images_path: Path, labels_path: Path, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return images (uint8, count × channels × height × width) and labels (int64, count) of two IDX files of one set.

    Images of three dimensions have one channel.

    Raises BadFile when either is damaged, when their counts differ, or when a label is not in 0 … classes - 1.
    """
    images, labels = read_idx(images_path, (3, 4)), read_idx(labels_path, (1,))
    if len(images) != len(labels):
        raise BadFile(f"{images_path} holds {len(images):,} images but {labels_path.name} {len(labels):,} labels")
    if len(labels) and labels.max() >= classes:
        raise BadFile(f"{labels_path} holds the label {labels.max()}; labels run from 0 to {classes - 1}")
    return images if images.ndim == 4 else images[:, None], labels.astype(np.int64)


def read_idx(path: Path, dimensions: tuple[int, ...]) -> np.ndarray:
    """Return the array of unsigned bytes that an IDX file holds, of one of the `dimensions`. Raises BadFile."""
    content = read_bytes(path, MAX_BYTES)
    begins = {struct.pack(">I", 0x0800 + number): number for number in dimensions}
    number = begins.get(content[:4])
    if number is None:
        known = " or ".join(f"0x{magic.hex()}" for magic in begins)
        raise BadFile(f"{path} is no IDX file of bytes: it begins 0x{content[:4].hex()}, not {known}")
    header = 4 + 4 * number
    if len(content) < header:
        raise BadFile(f"{path} is cut short: {len(content)} bytes do not hold the {header} of an IDX header")
    shape = struct.unpack(f">{number}I", content[4:header])
    sizes = " × ".join(f"{size:,}" for size in shape)
    if 0 in shape:
        raise BadFile(f"{path} holds nothing: its header says {sizes} bytes")
    if len(content) - header != math.prod(shape):
        raise BadFile(f"{path} should hold {sizes} bytes after its header; it holds {len(content) - header:,}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()  # a copy may be written to

"""Dataset: images and labels as they are, before any change, with what is known of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # images, labels, test images, test labels


@dataclass(frozen=True)
class Dataset:
    """A training set and a test set of the same kind of image.

    images, test_images: uint8, (count, channels, height, width).
    labels, test_labels: int64, (count,), each in 0 … len(class_names) - 1.
    mean, std: of the training images, per channel, on the 0…1 scale.
    source: where the arrays came from, in words.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    licence: str = ""
    citation: str = ""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def digest(self) -> str:
        """SHA-256 of the four arrays' shapes and bytes, the same whatever source they came from."""
        return digest(self.images, self.labels, self.test_images, self.test_labels)


def digest(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the arrays' shapes, types and bytes, in C order and little-endian."""
    sha = hashlib.sha256()
    for array in arrays:
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        sha.update(f"{plain.shape} {plain.dtype.str};".encode())
        sha.update(plain.data)  # the array's own memory, no copy
    return sha.hexdigest()


def statistics_of(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel, for uint8 images on the 0…1 scale.

    images: uint8 or float, (count, channels, height, width). A few thousand images are looked at at a time, so that no
    second copy of them all is made. A channel that never changes is given the standard deviation 1.
    """
    count, channels = images[:, 0].size, images.shape[1]
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    total, squares = np.zeros(channels), np.zeros(channels)
    for part in _parts(images):
        total += part.sum(axis=(0, 2, 3), dtype=np.float64)
    mean = total / count
    for part in _parts(images):
        squares += ((part - mean[:, None, None]) ** 2).sum(axis=(0, 2, 3))
    std = np.sqrt(squares / count)
    return tuple((mean / scale).tolist()), tuple(np.where(std > 0, std / scale, 1.0).tolist())


def _parts(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a few images at a time, up to about 4 million numbers."""
    step = max(1, 4_000_000 // max(1, images[:1].size))
    for start in range(0, len(images), step):
        yield images[start : start + step]

"""Dataset: images and labels as they are, before any change, with what is known of them."""

import hashlib
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

"""Expansion: a training set several times its size, each image standing in it once for every copy.

The images are stored once. A copy is a list of augmentations. Their random numbers depend only on the expansion's seed,
the copy and the image's position among the training images. So a copy of an image is the same in every epoch and batch,
and in every run on the same training images.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from classlab.data.augment import Augmentation, augment, augment_both, bind
from classlab.data.draws import ImageKeys
from classlab.experiment import Choice

Copied = tuple[Tensor, tuple[Augmentation, ...], ImageKeys]


@dataclass(frozen=True)
class Expansion:
    """How a training set is expanded.

    copies: what is done to every image for each copy; nothing is the original. seed: of all that they draw.
    Image i of copy c stands at place c · count + i of the expanded set, where count is the number of images.
    """

    copies: tuple[tuple[Augmentation, ...], ...]
    seed: int

    def images(self, pixels: Tensor, index: Tensor) -> Tensor:
        """Return the images at places `index` of the expanded set, float32 (batch, channels, height, width).

        pixels: all images once, uint8 (which become 0…1) or float32, (count, channels, height, width).
        index: int64, (batch,), each in 0 … count · len(copies) - 1, on the same device.
        """
        images, copied = self._plain(pixels, index)
        for rows, augmentations, keys in copied:
            images[rows] = augment(images[rows], augmentations, keys)
        return images

    def both(self, pixels: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images at places `index`, as `images` does, and the same with the geometric changes alone."""
        images, copied = self._plain(pixels, index)
        clean = images.clone()
        for rows, augmentations, keys in copied:
            images[rows], clean[rows] = augment_both(images[rows], clean[rows], augmentations, keys)
        return images, clean

    def _plain(self, pixels: Tensor, index: Tensor) -> tuple[Tensor, Iterator[Copied]]:
        """Return the images before anything is done to them, and for each copy its rows, what is done, its draws."""
        count = len(pixels)
        base, copy = index % count, index // count
        images = pixels[base]
        images = images.float().div_(255) if images.dtype == torch.uint8 else images.clone()

        def copied() -> Iterator[Copied]:
            for number, augmentations in enumerate(self.copies):
                if augmentations:
                    rows = (copy == number).nonzero()[:, 0]
                    yield rows, augmentations, ImageKeys(key_of_copy(self.seed, number), base[rows])

        return images, copied()

    def labels(self, labels: Tensor) -> Tensor:
        """Return the labels of the expanded set, (count · copies,)."""
        return labels.repeat(len(self.copies))


def key_of_copy(seed: int, copy: int) -> int:
    """Return what the draws of a copy depend on besides the image: 32 bits, of which seed 65,536 would leave none."""
    if seed < 65_536:
        return seed * 65_536 + copy
    return int.from_bytes(hashlib.sha256(f"{seed}/{copy}".encode()).digest()[:4], "big")


def expansion(copies: Sequence[Sequence[Choice]], seed: int) -> Expansion | None:
    """Return the expansion that an experiment's `data.expansion` declares, or None where it declares none."""
    return Expansion(tuple(tuple(bind(copy)) for copy in copies), seed) if copies else None

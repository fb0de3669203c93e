"""Batches: a split's images on the device, gathered, expanded, augmented and normalised a batch at a time."""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from classlab.data.augment import Augmentation, augment_both
from classlab.data.expansion import Expansion

# Small batches are prepared so many images at a time: at batch 4 preparing each alone would cost more than its step.
BLOCK = 256

Batch = tuple[Tensor, Tensor, Tensor]  # inputs, clean, labels


@dataclass(frozen=True)
class Images:
    """One split on the device.

    pixels: (count, channels, height, width), uint8, or float32 where the reader's own arrays are.
    labels: int64, (count,).
    mean, std: (1, channels, 1, 1), on the 0…1 scale; float32, or float64, which the batches then are as well.
    expansion: makes each image stand for several copies; labels then holds every copy's, pixels each image once.
    wants_clean: whether the images as they were before noise are wanted beside; else the noisy ones stand for them.
    """

    pixels: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    expansion: Expansion | None = None
    wants_clean: bool = True

    def __len__(self) -> int:
        return len(self.labels)

    def batch(
        self, index: Tensor | slice, augmentations: list[Augmentation], random: Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Return images `index`, augmented and normalised: float32, (batch, channels, height, width).

        Twice: as the network is given them, and with the geometric changes alone (one tensor where that is the same).
        """
        if self.expansion:
            places = torch.arange(len(self), device=self.labels.device)[index] if isinstance(index, slice) else index
            if self.wants_clean:
                images, clean = self.expansion.both(self.pixels, places)
            else:
                images = clean = self.expansion.images(self.pixels, places)
        else:
            images = self.pixels[index]
            if images.dtype == torch.uint8 and not (augmentations and random is not None):
                inputs = self._normalised(images.float(), 255)  # one pass less than dividing by 255 first
                return inputs, inputs
            if images.dtype == torch.uint8:
                images = images.float().div_(255)
            clean = images
        if augmentations and random is not None:
            images, clean = augment_both(images, clean, augmentations, random)
        clean = clean if self.wants_clean else images
        normalised = self._normalised(images)
        return normalised, normalised if clean is images else self._normalised(clean)

    def _normalised(self, images: Tensor, scale: int = 1) -> Tensor:
        """Return images, float32 on the scale 0 … `scale`, normalised."""
        # A mean for every pixel, lying in memory as an image does: with three numbers, one a channel, preparing
        # a batch takes almost twice as long (docs/log.md).
        mean, std = (
            torch.empty_like(images[:1], dtype=value.dtype).copy_(scale * value) for value in (self.mean, self.std)
        )
        return torch.sub(images, mean).div_(std)

    def first(self, count: int, layout: torch.memory_format) -> Tensor:
        """Return the first images as a batch that nothing has augmented, to see what a network does with them."""
        return self.batch(slice(0, count), [], None)[0].contiguous(memory_format=layout)

    def batches(
        self,
        order: Tensor,
        batch_size: int,
        augmentations: list[Augmentation],
        random: Generator,
        layout: torch.memory_format,
        ahead: bool = False,
    ) -> Iterator[Batch]:
        """Yield (inputs, clean, labels) of one batch after the other, in the order given; see `batch`.

        The last one holds what is left. Images are prepared by blocks of whole batches. ahead: while one block is
        trained on, a thread prepares the next one, from the same draws in the same order.
        """
        blocks = order.split(max(1, BLOCK // batch_size) * batch_size)
        prepare = functools.partial(
            self._block, batch_size=batch_size, augmentations=augmentations, random=random, layout=layout
        )
        for batches in _ahead(prepare, blocks) if ahead else map(prepare, blocks):
            yield from batches

    def _block(
        self,
        block: Tensor,
        batch_size: int,
        augmentations: list[Augmentation],
        random: Generator,
        layout: torch.memory_format,
    ) -> list[Batch]:
        inputs, clean = self.batch(block, augmentations, random)
        same = clean is inputs
        inputs = inputs.contiguous(memory_format=layout)
        clean = inputs if same else clean.contiguous(memory_format=layout)
        parts = (part.split(batch_size) for part in (inputs, clean, self.labels[block]))
        return list(zip(*parts, strict=True))


def _ahead(prepare: Callable[[Tensor], list[Batch]], blocks: Sequence[Tensor]) -> Iterator[list[Batch]]:
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as thread:
        waiting = thread.submit(prepare, blocks[0])
        for block in blocks[1:]:
            ready, waiting = waiting.result(), thread.submit(prepare, block)
            yield ready
        yield waiting.result()

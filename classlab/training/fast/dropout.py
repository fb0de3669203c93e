"""Dropout on a processor, its mask drawn from 16 random bits a number: torch draws one number in double precision each.

In a network of convolutions with dropout after each of them torch's draws were half of the training step (docs/log.md).
"""

import math

import torch
from torch import Generator, Tensor, nn

LEVELS = 2**16


class Dropout(nn.Dropout):
    """torch's dropout with faster draws; the share dropped is p to the nearest 1/65,536."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with that share of its values 0 and the others larger, in training; else the input."""
        if not self.training or input.device.type != "cpu" or not 0 < self.p < 1:
            return super().forward(input)
        mask = draw(input.shape, self.p, input.dtype, None)
        if input.is_contiguous():
            return input.mul_(mask) if self.inplace else input * mask
        if input.ndim == 4 and input.is_contiguous(memory_format=torch.channels_last):
            mask = channels_last(mask)
        return input.mul_(mask) if self.inplace else input * mask


def draw(shape: tuple[int, ...], probability: float, dtype: torch.dtype, random: Generator | None) -> Tensor:
    """Return a mask of this shape, contiguous: 0 with this probability, else 1 divided by the share that is kept.

    random: None draws from torch's own state. The probability is taken to the nearest 1/65,536, and so is the share.
    """
    count, dropped = math.prod(shape), min(round(probability * LEVELS), LEVELS - 1)
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=random)
    numbers = words.view(torch.int16)[:count]
    # 1 from the lowest number that is kept on, else 0: in whole numbers, for comparing takes many times as long.
    lowest = dropped - LEVELS // 2
    kept = numbers.clamp(lowest - 1, lowest).sub_(lowest - 1) if dropped else torch.ones_like(numbers)
    scale = torch.tensor(LEVELS / (LEVELS - dropped), dtype=dtype)
    if dtype.itemsize == kept.itemsize:  # the bits of 0 are those of the whole number 0
        return kept.mul_(int(scale.view(torch.int16))).view(dtype).view(shape)
    return kept.to(dtype).mul_(scale).view(shape)


def channels_last(mask: Tensor) -> Tensor:
    """Return the mask's numbers as they lie, seen as a channels-last tensor of the same shape; nothing is copied."""
    count, channels, height, width = mask.shape
    return mask.view(count, height, width, channels).permute(0, 3, 1, 2)

"""Random numbers for a batch of images, from either of two places.

A torch Generator gives the next numbers of one stream: another batch, other numbers. ImageKeys give numbers that depend
on a seed and on which image it is, and on nothing else. So a copy of an image is always the same copy, in whatever
batch it is.
"""

import math

import torch
from torch import Generator, Tensor

MANY = 50_000  # numbers; from about here on, computing them from keys on all cores is faster than drawing them
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B - (1 << 32)  # as signed 32-bit numbers


class ImageKeys:
    """Draws that depend on (seed, image index) and on how many draws came before.

    indices: int64, (batch,), which images these are; the draws are made on its device.
    """

    def __init__(self, seed: int, indices: Tensor) -> None:
        self.device = indices.device
        self._draws = 0
        self._first = _mixed(indices.to(torch.int32) ^ _signed(seed))
        self._second = _mixed(self._first + _signed(seed * 0x9E3779B1 + 0x6A09E667))

    def uniform(self, *shape: int) -> Tensor:
        """Return float32 in 0 … 1 (1 excluded), of `shape`, whose first size is the batch's."""
        return self._numbers(shape).mul_(2.0**-24).add_(0.5)

    def normal(self, *shape: int) -> Tensor:
        """Return float32 of a standard normal distribution, of `shape`, whose first size is the batch's."""
        # The inverse of the distribution, at the middle of each of 2^24 equal parts: nothing is beyond 5.4.
        return self._numbers(shape).add_(0.5).mul_(2.0**-23).erfinv_().mul_(math.sqrt(2))

    def _numbers(self, shape: tuple[int, ...]) -> Tensor:
        """Return whole numbers drawn evenly from -2^23 … 2^23 - 1, as float32.

        Keys and positions are mixed already, so one more round is enough, and every pass over a batch counts: the sign
        that its shift brings in costs one bit of 32, which the 24 used do not miss.
        """
        self._draws += 1
        position = torch.arange(math.prod(shape[1:]), dtype=torch.int32, device=self.device)
        position = _mixed(position + _signed(self._draws * 0x85EBCA6B))
        bits = (position[None] ^ self._first[:, None]).mul_(_FIRST).add_(self._second[:, None])
        bits.bitwise_xor_(bits >> 15).mul_(_SECOND).bitwise_right_shift_(8)
        return bits.float().reshape(shape)


Draws = Generator | ImageKeys


def uniform(generator: Draws, *shape: int) -> Tensor:
    """Return float32 numbers drawn evenly from 0 … 1 (1 excluded), of `shape`, on the generator's device."""
    if isinstance(generator, Generator) and not _is_slow(generator, shape):
        return torch.rand(shape, generator=generator, device=generator.device)
    return _keys(generator, shape[0]).uniform(*shape)


def normal(generator: Draws, *shape: int) -> Tensor:
    """Return float32 numbers of a standard normal distribution, of `shape`, on the generator's device."""
    if isinstance(generator, Generator) and not _is_slow(generator, shape):
        return torch.randn(shape, generator=generator, device=generator.device)
    return _keys(generator, shape[0]).normal(*shape)


def _is_slow(generator: Generator, shape: tuple[int, ...]) -> bool:
    """Whether these are many numbers from a processor's Generator, which makes one after the other, on one core."""
    return generator.device.type == "cpu" and math.prod(shape) > MANY


def _keys(generator: Draws, count: int) -> ImageKeys:
    """Return the keys given, or such for `count` images with a seed drawn from the generator."""
    if isinstance(generator, ImageKeys):
        return generator
    return ImageKeys(int(torch.randint(1 << 32, (), generator=generator)), torch.arange(count))


def _mixed(bits: Tensor) -> Tensor:
    """Mix int32 numbers in place, so that every bit depends on every bit given, and return them.

    The constants are those of Wellons, "Prospecting for hash functions", 2018 (lowbias32). Shifts of signed numbers
    bring in copies of the sign, hence the masks.
    """
    moved = bits >> 16
    bits.bitwise_xor_(moved.bitwise_and_(0xFFFF)).mul_(_FIRST)
    torch.bitwise_right_shift(bits, 15, out=moved)
    bits.bitwise_xor_(moved.bitwise_and_(0x1FFFF)).mul_(_SECOND)
    torch.bitwise_right_shift(bits, 16, out=moved)
    return bits.bitwise_xor_(moved.bitwise_and_(0xFFFF))


def _signed(number: int) -> int:
    """Return the signed 32-bit number with the lowest 32 bits of `number`."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)

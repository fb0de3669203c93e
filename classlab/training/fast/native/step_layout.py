"""What a native step works on: its form, the arrays of its memory, and where each of them lies."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from classlab.training.fast.native.stages import CHANNELS_TOGETHER, NotNativeError, Stage

# Images whose linear layers are computed together: as many vectors of sums as registers can hold with room to spare.
CHUNK = 16
FEW = 8  # images of a step so small that linear layers are updated in their backward pass; kernels.c has the same
SLACK = 64  # numbers after each array that a vector may read beyond its end
LARGEST = 2**31 - 2**16  # numbers of an array, for the step counts them with int


@dataclass(frozen=True)
class Form:
    """What the source is written for.

    precision: fp32, bf16 or fp64. threads, batch: the most images of a step. lanes: numbers of the widest vector to
    use, 16 or 8. tile: vectors of sums at once. loss: cross_entropy or squared_error; smoothing: of the labels.
    update: sgd, adam or adamw; momentum, nesterov: whether SGD has them. image: channels, height, width.
    trains: whether it is a training step; else it evaluates the network, which has neither dropout nor gradients then.
    """

    precision: str
    threads: int
    batch: int
    lanes: int
    tile: int
    loss: str
    smoothing: float
    update: str
    momentum: bool
    nesterov: bool
    image: tuple[int, int, int]
    trains: bool = True

    @property
    def pair(self) -> int:
        """How many numbers one instruction multiplies and adds in a lane."""
        return 2 if self.precision == "bf16" else 1

    @property
    def slots(self) -> tuple[str, ...]:
        """What the optimizer remembers of every weight."""
        if not self.trains:
            return ()
        if self.update == "sgd":
            return ("momentum",) if self.momentum else ()
        return ("mean", "square")


@dataclass(frozen=True)
class Array:
    """An array in the step's memory. kind: real, cell, double or int16_t. place: memory, or thread for one a thread.

    added_up: whether each thread adds up a part of its own, from zero in every step.
    """

    name: str
    kind: str
    count: int
    place: str = "memory"
    added_up: bool = False

    def bytes(self, real: int) -> int:
        """Return the bytes of an array of REALs of so many bytes, with what a vector may read beyond its end."""
        return (self.count + SLACK) * real


class Layout:
    """The memory of a step of `stages`. outside: arrays that Python reads and writes; inside: all others."""

    def __init__(self, stages: list[Stage], form: Form) -> None:
        self.stages, self.form = stages, form
        self.names = {stage.name: _plain(stage.name, place) for place, stage in enumerate(stages)}
        # Whether the threads meet for a norm's sums over the batch. Evaluating, a norm has its running statistics.
        self.normed = form.trains and any(stage.norm is not None for stage in stages)
        self.chunk = min(CHUNK, ceil(form.batch / form.threads))
        # Where a norm needs the whole batch, each image's maps are kept; else those of the images at work, which fit
        # the processor's cache.
        self.kept, self.maps = (form.batch, "memory") if self.normed else (self.chunk, "thread")
        self.outside: list[Array] = []
        self.inside: list[Array] = []
        for stage in stages:
            self._declare_weights(stage)
            self._declare_maps(stage)
        if max(array.count for array in self.outside + self.inside) > LARGEST:
            raise NotNativeError("its maps of a whole batch hold more numbers than it can count")

    def name(self, stage: Stage) -> str:
        """Return a stage's name in C."""
        return self.names[stage.name]

    def before(self, stage: Stage) -> Stage | None:
        """Return the stage before one, None before the first."""
        place = self.stages.index(stage)
        return self.stages[place - 1] if place else None

    def few(self, stage: Stage) -> bool:
        """Whether a stage's weights are updated in its backward pass: a linear layer's, in steps of a few images."""
        f = self.form
        return stage.linear and f.trains and f.threads == 1 and f.batch <= FEW and f.pair == 1

    def weights(self, stage: Stage) -> int:
        """Return how many numbers a stage's weights take, those between its outputs and the next eight included."""
        return stage.kernel[0] * stage.kernel[1] * stage.channels * stage.out_stride

    def gradient_frame(self, stage: Stage) -> tuple[int, int]:
        """Return rows and columns of the frame in which the gradient of z lies: with zeros around it where needed."""
        around = 2 * stage.back if self.before(stage) and not stage.linear else 0
        return stage.out_height + around, stage.out_width + around

    def plane(self, stage: Stage) -> int:
        """Return the numbers of a plane: one channel of the padded input, or one input of all images of a chunk."""
        if stage.linear:
            return eights(self.chunk) + CHANNELS_TOGETHER
        return eights((stage.height + 2 * stage.padding) * (stage.width + 2 * stage.padding)) + 2 * CHANNELS_TOGETHER

    def fours(self, stage: Stage) -> int:
        """Return how many 64-bit numbers hold the 16 random bits of each number of a stage's map."""
        return ceil(stage.out_height * stage.out_width * stage.outputs / 4)

    def blocks(self, stride: int) -> Iterator[tuple[int, int]]:
        """Yield start and lanes of the blocks of channels that vectors are of."""
        start = 0
        while start < stride:
            lanes = self.form.lanes if stride - start >= self.form.lanes else CHANNELS_TOGETHER
            yield start, lanes
            start += lanes

    def at(self, stage: Stage, part: str, slot: str = "slot") -> str:
        """Return where an image's map lies, in C. part: z, or arriving, the gradient of what the stage hands on."""
        pixels = stage.out_height * stage.out_width if part == "z" else stage.result[1] * stage.result[2]
        return f"{self._owner}->{self.name(stage)}_{part} + ({slot}) * {pixels * stage.out_stride}"

    def words(self, stage: Stage) -> str:
        """Return where an image's random numbers lie, in C; 0 where there is no dropout."""
        if not stage.dropout:
            return "0"
        return f"{self._owner}->{self.name(stage)}_words + slot * {4 * self.fours(stage)}"

    @property
    def _owner(self) -> str:
        return "m" if self.maps == "memory" else "t"

    def _declare_weights(self, s: Stage) -> None:
        name, f, taps = self.name(s), self.form, s.kernel[0] * s.kernel[1]
        self._declare_trained(f"{name}_weights", self.weights(s), "none" if self.few(s) else "threads")
        if s.layer.bias is not None:
            self._declare_trained(f"{name}_bias", s.out_stride, "threads")
        if s.norm is not None:
            self._declare_norm(s)
        if f.pair == 2:
            self.inside.append(Array(f"{name}_packed", "cell", self.weights(s) + taps * s.out_stride))
        if f.trains and self.before(s) and not self.few(s):
            self.inside.append(Array(f"{name}_back", "cell", taps * s.stride * (s.outputs + 1)))

    def _declare_norm(self, s: Stage) -> None:
        name = self.name(s)
        if not self.form.trains:
            self.outside += [Array(f"{name}_{part}", "real", s.out_stride) for part in ("scale", "shift")]
            return
        for part in ("gamma", "beta"):
            self._declare_trained(f"{name}_{part}", s.out_stride, "one")
        for part in ("running_mean", "running_variance"):
            self.outside.append(Array(f"{name}_{part}", "real", s.out_stride))
        for part in ("scale", "shift", "times_v", "times_u", "constant", "mean", "inverse"):
            self.inside.append(Array(f"{name}_{part}", "real", s.out_stride))
        for part in ("sums", "slopes"):
            count = self.form.threads * 2 * s.out_stride
            self.inside.append(Array(f"{name}_{part}", "double", count, added_up=True))

    def _declare_trained(self, name: str, count: int, gradient: str) -> None:
        """Declare weights, their optimizer's slots and their gradient: none, one, or a part of each thread's."""
        self.outside += [
            Array(name, "real", count),
            *(Array(f"{name}_{slot}", "real", count) for slot in self.form.slots),
        ]
        if not self.form.trains:
            return
        if gradient == "one":
            self.inside.append(Array(f"{name}_slope", "real", count))
        elif gradient == "threads":
            self.inside.append(Array(f"{name}_slope", "real", count * self.form.threads, added_up=True))

    def _declare_maps(self, s: Stage) -> None:
        name, pixels = self.name(s), s.out_height * s.out_width
        if s.dropout:
            self.inside.append(Array(f"{name}_words", "int16_t", self.kept * 4 * self.fours(s), self.maps))
        handed_on = s.result[1] * s.result[2] * s.out_stride
        self.inside.append(
            Array(f"{name}_z", "real" if s.last else "cell", self.kept * pixels * s.out_stride, self.maps)
        )
        images = eights(self.chunk) if s.linear else 1
        frame = images * (s.height + 2 * s.padding) * (s.width + 2 * s.padding) * s.stride
        self.inside.append(Array(f"{name}_frame", "cell", frame + CHANNELS_TOGETHER * s.stride, "thread"))
        if not self.form.trains:
            return
        self.inside.append(Array(f"{name}_arriving", "cell", self.kept * handed_on, self.maps))
        rows, wide = self.gradient_frame(s)
        self.inside.append(Array(f"{name}_gradient", "cell", images * rows * wide * s.out_stride, "thread"))
        if self.form.pair == 2:
            self.inside.append(Array(f"{name}_planes", "cell", eights(s.channels) * self.plane(s), "thread"))
            pairs = 2 * ceil((self.chunk if s.linear else s.out_width) / 2) * s.out_height
            self.inside.append(Array(f"{name}_pairs", "cell", pairs * self.form.lanes, "thread"))


def eights(count: int) -> int:
    """Return a count, rounded up to a multiple of eight."""
    return -(-count // CHANNELS_TOGETHER) * CHANNELS_TOGETHER


def _plain(name: str, place: int) -> str:
    """Return the C name of a layer: its own where that is one, else one made of its place."""
    return name if re.fullmatch("[A-Za-z][A-Za-z0-9]{0,40}", name) else f"layer{place + 1}_"

"""Report 2's networks: two blocks of convolutions that widen and are squeezed by a 1×1, then a small perceptron."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from classlab.errors import UserError

Net = Literal["net2", "net3", "net8", "net8-notebook"]


@dataclass(frozen=True)
class Plan:
    """blocks: of each convolution its filters and kernel; a max pool stands between two blocks.

    norm_first: the blocks whose first convolution has its norm before its ReLU.
    """

    blocks: tuple[tuple[tuple[int, int], ...], ...]
    first_padding: int
    average: int
    widths: tuple[int, ...]
    norm_first: tuple[int, ...] = (1, 2)


PLANS: dict[Net, Plan] = {
    "net2": Plan((((14, 3), (25, 3), (10, 1)), ((10, 3), (16, 3), (25, 3))), 0, 5, (50, 50)),
    "net3": Plan((((16, 3), (32, 3), (10, 1)), ((10, 3), (16, 3), (32, 3))), 0, 5, (64, 64)),
    "net8": Plan((((16, 3), (32, 3), (10, 1)), ((16, 3), (32, 3), (16, 1)), ((32, 3),)), 1, 3, (64,)),
}
# The author's notebook has ReLU and then the norm after the second pool, unlike after the first.
PLANS["net8-notebook"] = replace(PLANS["net8"], norm_first=(1,))


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    net: Net = "net8",
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
) -> nn.Module:
    """Return net2 (14,026 parameters on MNIST), net3 (19,174) or net8 (19,310), as described or as its notebook has it.

    The average pool is as wide as published, so that net2 and net3 leave out the last row and column of their 6×6 map.
    Input (batch, *input_shape), output log-probabilities (batch, classes): train it with the nll loss.
    Raises UserError for images too small.
    """
    plan = PLANS[net]
    rest = [_left(plan, side) for side in input_shape[1:]]
    if min(rest) < 1:
        height, width = input_shape[1:]
        raise UserError(
            f"model eva7 {net} needs larger images than {height}×{width}: nothing is left at its average pool"
        )
    layers = OrderedDict(_convolutions(plan, input_shape[0], dropout))
    layers["average"] = nn.AvgPool2d(plan.average)
    layers["flatten"] = nn.Flatten()
    features = plan.blocks[-1][-1][0] * prod(rest)
    convolutions = sum(len(block) for block in plan.blocks)
    for number, width in enumerate(plan.widths, start=1):
        layers[f"linear{number}"] = nn.Linear(features, width)
        layers[f"relu{convolutions + number}"] = nn.ReLU()
        features = width
    layers[f"linear{len(plan.widths) + 1}"] = nn.Linear(features, classes)
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)


def _convolutions(plan: Plan, channels: int, dropout: float) -> Iterator[tuple[str, nn.Module]]:
    """Each convolution is followed by ReLU, norm and dropout; the first after a pool by norm and ReLU, no dropout."""
    number = 0
    for block, convolutions in enumerate(plan.blocks):
        if block > 0:
            yield f"pool{block}", nn.MaxPool2d(2)
        for place, (filters, kernel) in enumerate(convolutions):
            number += 1
            padding = plan.first_padding if block == 0 and kernel == 3 else 0
            yield f"conv{number}", nn.Conv2d(channels, filters, kernel, padding=padding, bias=False)
            first = block > 0 and place == 0
            both = [(f"relu{number}", nn.ReLU()), (f"norm{number}", nn.BatchNorm2d(filters))]
            yield from reversed(both) if first and block in plan.norm_first else both
            if not first:
                yield f"dropout{number}", nn.Dropout(dropout)
            channels = filters


def _left(plan: Plan, side: int) -> int:
    for block, convolutions in enumerate(plan.blocks):
        side = side // 2 if block > 0 else side
        padding = plan.first_padding if block == 0 else 0
        side -= sum(kernel - 1 - (2 * padding if kernel == 3 else 0) for _, kernel in convolutions)
    return side // plan.average

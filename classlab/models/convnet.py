"""Convolutions with pools between them, then a perceptron: LeNet and its kind."""

from collections import OrderedDict
from math import prod
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from classlab import limits
from classlab.errors import UserError
from classlab.models.parts import Activation, activation_layer

Count = Annotated[int, Field(ge=1, le=100_000)]
Counts = Annotated[list[Count], Field(max_length=limits.LAYERS)]


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    filters: Counts = [6, 16],  # noqa: B006 - read only, and shown as the default in the experiment
    kernel: Count = 5,
    padding: Annotated[int, Field(ge=0, le=100_000)] = 0,
    pool_after: Counts = [1, 2],  # noqa: B006
    pooling: Literal["max", "average"] = "max",
    widths: Counts = [120, 84],  # noqa: B006
    activation: Activation = "relu",
) -> nn.Module:
    """Return the network; the default is report 5's LeNet, 62,006 parameters on CIFAR-10.

    filters: of each convolution. pool_after: the convolutions, counted from 1, that a 2×2 pool follows. widths: of the
    hidden linear layers. The activation follows every layer but the last.
    Input (batch, *input_shape), output logits (batch, classes). Raises UserError where nothing of the image is left.
    """
    if missing := [number for number in pool_after if number > len(filters)]:
        raise UserError(f"model convnet: pool_after names convolution {missing[0]}, there are {len(filters)}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, *sides = input_shape
    for number, count in enumerate(filters, start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, count, kernel, padding=padding)
        layers[f"{activation}{number}"] = activation_layer(activation)
        sides = [side + 2 * padding - kernel + 1 for side in sides]
        if number in pool_after:
            layers[f"pool{number}"] = nn.MaxPool2d(2) if pooling == "max" else nn.AvgPool2d(2)
            sides = [side // 2 for side in sides]
        if min(sides) < 1:
            height, width = input_shape[1:]
            raise UserError(f"model convnet: nothing of a {height}×{width} image is left after convolution {number}")
        channels = count
    layers["flatten"] = nn.Flatten()
    features = channels * prod(sides)
    for number, width in enumerate(widths, start=1):
        layers[f"linear{number}"] = nn.Linear(features, width)
        layers[f"{activation}{len(filters) + number}"] = activation_layer(activation)
        features = width
    layers[f"linear{len(widths) + 1}"] = nn.Linear(features, classes)
    return nn.Sequential(layers)

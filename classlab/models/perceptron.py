"""Fully connected networks: flatten, then linear layers with an activation between them."""

from collections import OrderedDict
from math import prod
from typing import Annotated

from pydantic import Field
from torch import nn

from classlab import limits
from classlab.models.parts import Activation, activation_layer

Width = Annotated[int, Field(ge=1, le=1_000_000)]


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    widths: Annotated[list[Width], Field(max_length=limits.LAYERS)] = [64, 32],  # noqa: B006 - read only, and shown as the default in the experiment
    activation: Activation | None = "relu",
) -> nn.Module:
    """Return a perceptron with the hidden `widths`; the default is report 3's, 52,650 parameters on MNIST.

    No widths make one linear layer. Without an activation (null) the layers collapse to one linear map.
    Input (batch, *input_shape), output logits (batch, classes).
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    features = prod(input_shape)
    for number, width in enumerate(widths, start=1):
        layers[f"linear{number}"] = nn.Linear(features, width)
        if activation:
            layers[f"{activation}{number}"] = activation_layer(activation)
        features = width
    layers[f"linear{len(widths) + 1}"] = nn.Linear(features, classes)
    return nn.Sequential(layers)

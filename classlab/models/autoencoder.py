"""Autoencoders of linear layers: squeeze an image to a short code and reconstruct it from the code."""

from collections import OrderedDict
from collections.abc import Sequence
from math import prod
from typing import Annotated

from pydantic import Field
from torch import nn

from classlab import limits
from classlab.models.parts import Activation, activation_layer

Width = Annotated[int, Field(ge=1, le=1_000_000)]


def build(
    input_shape: tuple[int, int, int],
    *,
    widths: Annotated[list[Width], Field(min_length=1, max_length=limits.LAYERS)] = [392, 196, 98, 32],  # noqa: B006 - read only
    activation: Activation | None = "relu",
    output_activation: Activation | None = "relu",
) -> nn.Module:
    """Return an encoder and its mirror image; the default is report 4's, 815,196 parameters on Fashion-MNIST.

    widths: of the encoder, the last one is the code's. A ReLU at the output cannot draw what is below zero; sigmoid
    fits images on the 0…1 scale. The model's `encoder` and `decoder` can be used by themselves.
    Input and output (batch, *input_shape); code (batch, widths[-1]).
    """
    sizes = [prod(input_shape), *widths]
    decoder = _linears(sizes[::-1], activation, output_activation)
    decoder["image"] = nn.Unflatten(1, input_shape)
    parts: OrderedDict[str, nn.Module] = OrderedDict(encoder=encoder_of(input_shape, widths, activation))
    parts["decoder"] = nn.Sequential(decoder)
    return nn.Sequential(parts)


def encoder_of(
    input_shape: tuple[int, int, int], widths: Sequence[int], activation: Activation | None
) -> nn.Sequential:
    """Return the encoder alone: flatten, then linear layers, each followed by the activation."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    layers.update(_linears([prod(input_shape), *widths], activation, activation))
    return nn.Sequential(layers)


def _linears(
    sizes: Sequence[int], activation: Activation | None, last: Activation | None
) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, len(sizes)):
        layers[f"linear{number}"] = nn.Linear(sizes[number - 1], sizes[number])
        follows = last if number == len(sizes) - 1 else activation
        if follows:
            layers[f"{follows}{number}"] = activation_layer(follows)
    return layers

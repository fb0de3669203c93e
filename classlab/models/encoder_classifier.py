"""A classifier on the code of an autoencoder: its encoder, fresh or of a trained run, then a small perceptron."""

from collections import OrderedDict
from typing import Annotated

from pydantic import Field
from torch import nn

from classlab import limits
from classlab.models.autoencoder import Width, encoder_of
from classlab.models.parts import Activation, activation_layer


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    widths: Annotated[list[Width], Field(min_length=1, max_length=limits.LAYERS)] = [392, 196, 98, 32],  # noqa: B006 - read only
    hidden: Annotated[list[Width], Field(max_length=limits.LAYERS)] = [256],  # noqa: B006
    activation: Activation = "relu",
) -> nn.Module:
    """Return the encoder with hidden layers behind its code; the default is report 4's, 418,240 parameters.

    The weights of a trained autoencoder's encoder are taken over with `training.start_from`, layers: encoder.
    Input (batch, *input_shape), output logits (batch, classes).
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(encoder=encoder_of(input_shape, widths, activation))
    features = widths[-1]
    for number, width in enumerate(hidden, start=1):
        layers[f"linear{number}"] = nn.Linear(features, width)
        layers[f"{activation}{number}"] = activation_layer(activation)
        features = width
    layers[f"linear{len(hidden) + 1}"] = nn.Linear(features, classes)
    return nn.Sequential(layers)

"""What several model families are built of."""

from collections.abc import Callable
from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]

_ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def activation_layer(name: Activation) -> nn.Module:
    """Return a new activation layer."""
    return _ACTIVATIONS[name]()


def own_reset(layer: nn.Module) -> Callable[[], object] | None:
    """Return what draws a layer's weights as torch does; nn.MultiheadAttention has it under a name of its own."""
    found = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
    return found if callable(found) else None

"""Initial weights. Every public function is an initialisation: it fills a module's parameters in place.

The named ones draw the weights of linear and convolution layers; biases become zero, or with `biases: default` what
torch draws for them. Every other layer is reset as torch does it. Sources: He et al. 2015 (he), Glorot and Bengio 2010
(xavier), Saxe et al. 2014 (orthogonal).
"""

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from classlab.models.parts import own_reset

Gain = Annotated[float, Field(gt=0)]
Biases = Literal["zero", "default"]
_MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def default(module: nn.Module, generator: Generator) -> None:
    """Torch's own initialisation: every layer's `reset_parameters`, drawn from `generator`'s seed."""
    for layer in _layers(module):
        _reset(layer)


def keep(module: nn.Module, generator: Generator) -> None:
    """Leave the weights as the module was given, for example to go on from trained ones."""


def he_normal(module: nn.Module, generator: Generator, gain: Gain = math.sqrt(2), biases: Biases = "zero") -> None:
    """Normal with standard deviation gain / √fan_in; the default gain is ReLU's."""
    _fill(
        module, lambda weight, fan_in, fan_out: weight.normal_(0, gain / math.sqrt(fan_in), generator=generator), biases
    )


def he_uniform(module: nn.Module, generator: Generator, gain: Gain = math.sqrt(2), biases: Biases = "zero") -> None:
    """Uniform with the standard deviation of he_normal: ±gain · √(3 / fan_in)."""

    def draw(weight: Tensor, fan_in: int, fan_out: int) -> Tensor:
        bound = gain * math.sqrt(3 / fan_in)
        return weight.uniform_(-bound, bound, generator=generator)

    _fill(module, draw, biases)


def xavier_normal(module: nn.Module, generator: Generator, gain: Gain = 1.0, biases: Biases = "zero") -> None:
    """Normal with standard deviation gain · √(2 / (fan_in + fan_out))."""

    def draw(weight: Tensor, fan_in: int, fan_out: int) -> Tensor:
        return weight.normal_(0, gain * math.sqrt(2 / (fan_in + fan_out)), generator=generator)

    _fill(module, draw, biases)


def xavier_uniform(module: nn.Module, generator: Generator, gain: Gain = 1.0, biases: Biases = "zero") -> None:
    """Uniform with the standard deviation of xavier_normal: ±gain · √(6 / (fan_in + fan_out))."""

    def draw(weight: Tensor, fan_in: int, fan_out: int) -> Tensor:
        bound = gain * math.sqrt(6 / (fan_in + fan_out))
        return weight.uniform_(-bound, bound, generator=generator)

    _fill(module, draw, biases)


def orthogonal(module: nn.Module, generator: Generator, gain: Gain = 1.0, biases: Biases = "zero") -> None:
    """Rows (or columns, whichever are fewer) orthogonal and of length `gain`, each filter taken as one row."""
    _fill(module, lambda weight, *_: nn.init.orthogonal_(weight, gain, generator=generator), biases)


def _fill(module: nn.Module, draw: Callable[[Tensor, int, int], Tensor], biases: Biases) -> None:
    for layer in _layers(module):
        matrix = isinstance(layer, _MATRICES)
        if not matrix or biases == "default":
            _reset(layer)
        if not matrix:
            continue
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        if "Transpose" in type(layer).__name__:  # these hold their weights the other way round
            fan_in, fan_out = fan_out, fan_in
        with torch.no_grad():
            draw(layer.weight, fan_in, fan_out)
            if layer.bias is not None and biases == "zero":
                layer.bias.zero_()


def _reset(layer: nn.Module) -> None:
    reset = own_reset(layer)
    if reset is not None:
        reset()


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the module and its parts."""
    yield module
    for part in module.children():
        yield from _layers(part)

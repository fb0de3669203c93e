"""block_network: blocks of convolutions in which norm, stride, dilation, depth and shortcuts are settings to sweep."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from classlab import limits
from classlab.errors import UserError
from classlab.models.norms import Norm, Residual, SqueezeExcite, norm_layer
from classlab.models.parts import Activation, activation_layer

Count = Annotated[int, Field(ge=1, le=100_000)]
Counts = Annotated[list[Count], Field(max_length=limits.LAYERS)]
Blocks = bool | Counts  # all of them or none, or those with these numbers, from 1
NAME = "block_network"


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    widths: Annotated[Counts, Field(min_length=1)] = [16, 32, 64],  # noqa: B006 - read only, and shown as the default
    convolutions: Annotated[int, Field(ge=1, le=limits.LAYERS)] = 2,
    kernel: Count = 3,
    norm: Norm = "batch",
    groups: Count = 4,
    activation: Activation = "relu",
    strides: Counts = [],  # noqa: B006
    dilations: Counts = [],  # noqa: B006
    pool_after: Counts = [1, 2],  # noqa: B006
    pooling: Literal["max", "average"] = "max",
    separable: Blocks = False,
    residual: Blocks = False,
    squeeze_excite: Blocks = False,
    reduction: Count = 4,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    head: Literal["linear", "convolution"] = "linear",
) -> nn.Module:
    """Return the network: blocks of convolutions, then the mean of each map, then the scores.

    widths: channels of each block. convolutions: in each. norm: after every convolution; groups: of the norm group.
    strides: of each block's first convolution, dilations: of all in each block; both 1 where left empty. pool_after:
    the blocks that a 2×2 pool follows. separable, residual, squeeze_excite: in which blocks (true: in all, else by
    number from 1). They mean: each convolution depthwise and then 1×1 (the first of channels alone stays as it is). A
    shortcut around the block; factors for its channels, from a layer `reduction` times as narrow. head: convolution: a
    1×1 before the mean, so that no layer is fully connected. Convolutions are padded to keep the size of their maps.
    Input (batch, *input_shape), output scores (batch, classes). Raises UserError for settings that do not fit together.
    """
    if kernel % 2 == 0:
        raise UserError(f"model {NAME}: kernel must be odd, so that maps keep their size; got {kernel}")
    stride_of, dilation_of = _for_each("strides", strides, widths), _for_each("dilations", dilations, widths)
    chosen = {
        name: _numbers(name, value, len(widths))
        for name, value in (("separable", separable), ("residual", residual), ("squeeze_excite", squeeze_excite),
                            ("pool_after", pool_after))
    }  # fmt: skip
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, sides = input_shape[0], input_shape[1:]
    for number, width in enumerate(widths, start=1):
        block = _Block(channels, width, kernel, stride_of[number - 1], dilation_of[number - 1], number in
                       chosen["separable"], norm, groups, activation)  # fmt: skip
        layers[f"block{number}"] = block.layers(
            convolutions, number in chosen["residual"], reduction if number in chosen["squeeze_excite"] else 0
        )
        if number in chosen["pool_after"]:
            layers[f"pool{number}"] = nn.MaxPool2d(2) if pooling == "max" else nn.AvgPool2d(2)
        if dropout:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        channels, sides = width, _left(sides, stride_of[number - 1], number in chosen["pool_after"])
        if min(sides) < 1:
            height, across = input_shape[1:]
            raise UserError(f"model {NAME}: nothing of a {height}×{across} image is left after block {number}")
    if head == "convolution":
        layers["scores"] = nn.Conv2d(channels, classes, 1)
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    if head == "linear":
        layers["linear"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)


class _Block:
    """What the convolutions of one block have in common."""

    def __init__(
        self, channels: int, width: int, kernel: int, stride: int, dilation: int, separable: bool, norm: Norm,
        groups: int, activation: Activation,
    ) -> None:  # fmt: skip
        self.channels, self.width, self.kernel, self.stride, self.dilation = channels, width, kernel, stride, dilation
        self.separable, self.norm, self.groups, self.activation = separable, norm, groups, activation

    def layers(self, convolutions: int, residual: bool, reduction: int) -> nn.Module:
        """Return the block; reduction: of squeeze and excitation, 0 without."""
        branch: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, convolutions + 1):
            first, last = number == 1, number == convolutions
            inputs, stride = (self.channels, self.stride) if first else (self.width, 1)
            branch |= self._convolution(str(number), inputs, stride)
            if not (last and residual):
                branch[f"{self.activation}{number}"] = activation_layer(self.activation)
        if reduction:
            branch["squeeze_excite"] = SqueezeExcite(self.width, reduction)
        if not residual:
            return nn.Sequential(branch)
        shortcut: nn.Module = nn.Identity()
        if self.stride > 1 or self.channels != self.width:
            plain = nn.Conv2d(self.channels, self.width, 1, self.stride, bias=self.norm == "none")
            shortcut = nn.Sequential(OrderedDict([("conv", plain), *self._norm("norm", self.width)]))
        return Residual(nn.Sequential(branch), shortcut, activation_layer(self.activation))

    def _convolution(self, number: str, inputs: int, stride: int) -> OrderedDict[str, nn.Module]:
        padding, biased = self.dilation * (self.kernel - 1) // 2, self.norm == "none"
        apart = inputs if self.separable and inputs > 1 else 1
        found: OrderedDict[str, nn.Module] = OrderedDict()
        if apart > 1:
            found[f"depthwise{number}"] = nn.Conv2d(
                inputs, inputs, self.kernel, stride, padding, self.dilation, groups=inputs, bias=False
            )
            found[f"conv{number}"] = nn.Conv2d(inputs, self.width, 1, bias=biased)
        else:
            found[f"conv{number}"] = nn.Conv2d(
                inputs, self.width, self.kernel, stride, padding, self.dilation, bias=biased
            )
        return OrderedDict([*found.items(), *self._norm(f"norm{number}", self.width)])

    def _norm(self, name: str, channels: int) -> list[tuple[str, nn.Module]]:
        return [] if self.norm == "none" else [(name, norm_layer(self.norm, channels, self.groups, NAME))]


def _for_each(name: str, given: Sequence[int], widths: Sequence[int]) -> Sequence[int]:
    if given and len(given) != len(widths):
        raise UserError(f"model {NAME}: {name} needs a number for each of the {len(widths)} blocks, got {len(given)}")
    return given or [1] * len(widths)


def _numbers(name: str, given: Blocks, blocks: int) -> set[int]:
    if isinstance(given, bool):
        return set(range(1, blocks + 1)) if given else set()
    if missing := [number for number in given if number > blocks]:
        raise UserError(f"model {NAME}: {name} names block {missing[0]}, there are {blocks}")
    return set(given)


def _left(sides: Sequence[int], stride: int, pooled: bool) -> list[int]:
    return [(side - 1) // stride + 1 if not pooled else ((side - 1) // stride + 1) // 2 for side in sides]

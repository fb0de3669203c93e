"""resnet: residual networks for small images, of 9 layers (as in the records of 2018) and of 18."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from classlab.errors import UserError
from classlab.models.norms import Norm, Residual, norm_layer

NAME = "resnet"
NormOf = Callable[[int], nn.Module]  # the norm of so many channels


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    depth: Literal[9, 18] = 9,
    width: Annotated[int, Field(ge=1, le=1024)] = 64,
    norm: Norm = "batch",
    groups: Annotated[int, Field(ge=1, le=1024)] = 8,
) -> nn.Module:
    """Return the network; width: channels of the first layer, 8 times as many at the end. groups: of the norm group.

    9: Page, "How to train your ResNet", 2018: 6,573,130 parameters on CIFAR-10. 18: He et al., 2016, with a 3×3 first
    layer of stride 1 and no first pool, as is usual for 32×32 images: 11,173,962 parameters there.
    Input (batch, *input_shape), output scores (batch, classes). Raises UserError for images below 8×8.
    """
    if min(input_shape[1:]) < 8:
        height, across = input_shape[1:]
        raise UserError(f"model {NAME} needs images of at least 8×8 pixels; got {height}×{across}")
    make = _nine if depth == 9 else _eighteen
    layers = make(input_shape[0], width, lambda channels: norm_layer(norm, channels, groups, NAME))
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(8 * width, classes)
    return nn.Sequential(layers)


def _nine(channels: int, width: int, norm: NormOf) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict(prepare=_convolution(channels, width, norm))
    for number, factor in enumerate((2, 4, 8), start=1):
        layers[f"layer{number}"] = _convolution(factor // 2 * width, factor * width, norm)
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        if number != 2:
            branch = nn.Sequential(*(_convolution(factor * width, factor * width, norm) for _ in range(2)))
            layers[f"residual{number}"] = Residual(branch, nn.Identity(), nn.Identity())
    layers["pool"] = nn.AdaptiveMaxPool2d(1)
    return layers


def _eighteen(channels: int, width: int, norm: NormOf) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict(prepare=_convolution(channels, width, norm))
    inputs = width
    for number, factor in enumerate((1, 2, 4, 8), start=1):
        for block in (1, 2):
            stride = 2 if block == 1 and number > 1 else 1
            layers[f"block{number}_{block}"] = _basic(inputs, factor * width, stride, norm)
            inputs = factor * width
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    return layers


def _basic(inputs: int, outputs: int, stride: int, norm: NormOf) -> nn.Module:
    """Two 3×3 convolutions and a shortcut, which a 1×1 convolution makes fit where the shape changes."""
    branch = OrderedDict(
        conv1=nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        norm1=norm(outputs),
        relu=nn.ReLU(),
        conv2=nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
        norm2=norm(outputs),
    )
    shortcut: nn.Module = nn.Identity()
    if stride > 1 or inputs != outputs:
        shortcut = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm=norm(outputs))
        )
    return Residual(nn.Sequential(branch), shortcut, nn.ReLU())


def _convolution(inputs: int, outputs: int, norm: NormOf) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), norm=norm(outputs), relu=nn.ReLU())
    )

"""squeeze: convolutional networks for a parameter budget; `width` is the one dial for size."""

from typing import Annotated

from pydantic import Field
from torch import nn


def build(
    input_shape: tuple[int, int, int], classes: int, width: Annotated[int, Field(ge=1, le=1024)] = 16
) -> nn.Module:
    channels, height, _ = input_shape
    layers = [*_conv(channels, width, 5, 0 if height >= 20 else 2)]
    layers += [nn.MaxPool2d(2)]
    layers += _conv(width, width, 3, 1)
    layers += _conv(width, width, 3, 1)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*layers)


def _conv(i, o, k, p):
    return [nn.Conv2d(i, o, k, padding=p, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]

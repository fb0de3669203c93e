"""squeeze: a convolutional network for a parameter budget that works on small maps, where work is cheap."""

from collections import OrderedDict
from typing import Annotated

from pydantic import Field
from torch import nn

# Below this side an image is too small to lose its border and to be halved twice.
SMALL = 20


def build(
    input_shape: tuple[int, int, int], classes: int, *, width: Annotated[int, Field(ge=2, le=1024)] = 16
) -> nn.Module:
    """Return the network; `width` is the one dial for size: 16 gives 14,426 parameters for MNIST.

    A 5×5 convolution and a pool reduce 28×28 to 12×12 at once. Two 3×3 convolutions follow, and one widens by half.
    After a second pool and one more 3×3 convolution, a 1×1 convolution squeezes back to `width`, and each map is
    averaged to one number. Every convolution is without bias and followed by batch normalisation and ReLU. Input
    (batch, *input_shape), output logits (batch, classes). Images smaller than 20×20 are padded and pooled once.
    """
    channels, height, side = input_shape
    small = min(height, side) < SMALL
    wide = width * 3 // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    _convolve(layers, 1, channels, width, kernel=5, padding=2 if small else 0)
    layers["pool1"] = nn.MaxPool2d(2)
    _convolve(layers, 2, width, width, kernel=3, padding=1)
    _convolve(layers, 3, width, width, kernel=3, padding=1)
    _convolve(layers, 4, width, wide, kernel=3, padding=1 if small else 0)
    if not small:
        layers["pool2"] = nn.MaxPool2d(2)
    _convolve(layers, 5, wide, wide, kernel=3, padding=1)
    _convolve(layers, 6, wide, width, kernel=1, padding=0)
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(width, classes)
    return nn.Sequential(layers)


def _convolve(
    layers: OrderedDict[str, nn.Module], number: int, inputs: int, outputs: int, *, kernel: int, padding: int
) -> None:
    layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
    layers[f"norm{number}"] = nn.BatchNorm2d(outputs)
    layers[f"relu{number}"] = nn.ReLU(inplace=True)

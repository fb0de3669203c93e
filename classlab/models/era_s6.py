"""Report 1's network: nine convolutions, one max pool, global average pooling; 16,976 parameters at width 16."""

from collections import OrderedDict
from typing import Annotated

from pydantic import Field
from torch import nn

from classlab.errors import UserError

# Of each convolution: kernel, padding, whether dropout follows. One max pool halves the map after the third.
CONVOLUTIONS = (
    (3, 0, False),
    (3, 0, False),
    (3, 0, False),
    (1, 0, True),
    (3, 0, True),
    (3, 0, True),
    (3, 0, True),
    (3, 1, True),
    (3, 1, True),
)
POOL_AFTER = 3


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: Annotated[int, Field(ge=1, le=10_000)] = 16,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05,
) -> nn.Module:
    """Return the network; the average pool takes the whole map that is left, 5×5 of a 28×28 image.

    Input (batch, *input_shape), output log-probabilities (batch, classes): train it with the nll loss.
    Raises UserError for images too small for its seven unpadded layers.
    """
    channels, height, width_of_map = input_shape
    rest = ((height - 6) // 2 - 6, (width_of_map - 6) // 2 - 6)
    if min(rest) < 1:
        raise UserError(f"model era_s6 needs images of at least 20×20 pixels; got {height}×{width_of_map}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (kernel, padding, dropped) in enumerate(CONVOLUTIONS, start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, width, kernel, padding=padding, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm2d(width)
        layers[f"relu{number}"] = nn.ReLU()
        if dropped:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        if number == POOL_AFTER:
            layers["pool"] = nn.MaxPool2d(2)
        channels = width
    layers["average"] = nn.AvgPool2d(rest)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(width, classes, bias=False)
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)

"""A convolution of few channels on a processor, two columns at a time: half of a register would be idle otherwise.

In a channels-last image two neighbouring pixels are one pixel of twice the channels, and two neighbouring outputs one
of twice the kernels, so neither is copied: the kernels alone are written down twice, the second time moved by a column.
That is up to twice as fast, forward and for the weight's gradient (docs/log.md). The sums are the same, in another
order of adding; but where a pixel is infinite, zeros in the kernels make it NaN one column further too.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Channels in and out up to which it was measured to pay: with 16 out, a register is full.
MOST_IN, MOST_OUT = 3, 12
LEAST_WIDE = 3  # columns of a kernel: narrower ones would spend much of their work on zeros


class Conv2d(nn.Conv2d):
    """torch's convolution, two columns at a time where images lie channels-last, and they and the outputs are even."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution: (batch, channels, h, w) to (batch, kernels, h', w')."""
        if not self._suits(input):
            return super().forward(input)
        count, channels, height, width = input.shape
        kernels, length = self.weight.shape[0], self.weight.shape[3]
        padding = (int(self.padding[0]), math.ceil(int(self.padding[1]) / 2))
        before = 2 * padding[1] - int(self.padding[1])  # columns that padding by whole pairs begins too early
        pairs = math.ceil((before + length + 1) / 2)
        moved = [
            F.pad(self.weight, (before + place, 2 * pairs - before - place - length)).unflatten(3, (pairs, 2))
            for place in (0, 1)
        ]
        weight = torch.cat(moved).permute(0, 4, 1, 2, 3).flatten(1, 2)
        bias = None if self.bias is None else torch.cat([self.bias, self.bias])
        images = input.permute(0, 2, 3, 1).reshape(count, height, width // 2, 2 * channels).permute(0, 3, 1, 2)
        output = F.conv2d(images, weight.contiguous(memory_format=torch.channels_last), bias, padding=padding)
        rows, places = output.shape[2], 2 * output.shape[3]
        return output.permute(0, 2, 3, 1).reshape(count, rows, places, kernels).permute(0, 3, 1, 2)

    def _suits(self, input: Tensor) -> bool:
        if input.ndim != 4 or input.device.type != "cpu" or input.shape[1] != self.in_channels:
            return False
        if not input.is_contiguous(memory_format=torch.channels_last):
            return False
        width, outputs = input.shape[3], input.shape[3] + 2 * int(self.padding[1]) - self.weight.shape[3] + 1
        return width % 2 == 0 and outputs % 2 == 0 and outputs > 0


def is_plain(layer: nn.Conv2d) -> bool:
    """Whether a convolution is set to what this form does, and has few enough channels to gain by it."""
    return (
        layer.in_channels <= MOST_IN
        and layer.out_channels <= MOST_OUT
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and layer.kernel_size[1] >= LEAST_WIDE
    )

"""A convolution of few channels on a processor, two columns at a time: half of a register would be idle otherwise.

In a channels-last image two neighbouring pixels are one pixel of twice the channels, and two neighbouring outputs one
output of twice the kernels. So no image is copied: the kernels alone are written down twice, the second time moved by a
column. That is up to twice as fast, forward and for the weight's gradient (docs/log.md). The same products are added in
another order; but where a pixel is infinite, the zeros beside the moved kernels make it NaN some columns further too.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Channels in and out up to which it was measured to pay: with 16 out, a register is full.
MOST_IN, MOST_OUT = 3, 12
LEAST_WIDE = 3  # columns of a kernel: narrower ones would spend much of their work on zeros


class Conv2d(nn.Conv2d):
    """torch's convolution, two columns at a time where images lie channels-last and their widths are even."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution: (batch, channels, h, w) to (batch, kernels, h', w')."""
        if not self._goes_by_two(input):
            return super().forward(input)
        columns = 2
        count, channels, height, width = input.shape
        kernels, length = self.weight.shape[0], self.weight.shape[3]
        # Padding, too, comes in whole groups of columns. Where it begins earlier than was asked for, the kernels start
        # with as many columns of zeros.
        padding = (int(self.padding[0]), math.ceil(int(self.padding[1]) / columns))
        early = columns * padding[1] - int(self.padding[1])
        groups = math.ceil((early + length + columns - 1) / columns)
        # One copy of the kernels for each column of the group: the copy for column c stands c columns further right.
        moved = [
            F.pad(self.weight, (early + column, columns * groups - early - column - length))
            for column in range(columns)
        ]
        weight = torch.cat(moved).unflatten(3, (groups, columns)).permute(0, 4, 1, 2, 3).flatten(1, 2)
        weight = weight.contiguous(memory_format=torch.channels_last)
        bias = None if self.bias is None else self.bias.repeat(columns)
        # Of a channels-last image the reshape is a view: neighbouring columns become channels without being copied.
        images = input.permute(0, 2, 3, 1).reshape(count, height, width // columns, columns * channels)
        output = F.conv2d(images.permute(0, 3, 1, 2), weight, bias, padding=padding)
        out_height, out_width = output.shape[2], columns * output.shape[3]
        return output.permute(0, 2, 3, 1).reshape(count, out_height, out_width, kernels).permute(0, 3, 1, 2)

    def _goes_by_two(self, input: Tensor) -> bool:
        if input.ndim != 4 or input.device.type != "cpu" or input.shape[1] != self.in_channels:
            return False
        if not input.is_contiguous(memory_format=torch.channels_last):
            return False
        width, outputs = input.shape[3], input.shape[3] + 2 * int(self.padding[1]) - self.weight.shape[3] + 1
        return width % 2 == outputs % 2 == 0 and outputs > 0


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

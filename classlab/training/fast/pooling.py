"""Max pooling of 2 × 2 on a processor, as two maxima of halves: torch's own looks at one value after the other.

Without gradients that is 2 to 12 times as fast. With them torch's own is better where it works on many channels at
once. It does so on channels-last images of at least 8 channels, if the gradient is channels last too (docs/log.md). The
values are the same, bit for bit, and so are the gradients: of equal values the first has it all. Only where zeros of
both signs meet may it be the second.
"""

from typing import Any

import torch
from torch import Tensor, nn

WIDE = 8  # channels
WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # bytes of a number -> whole numbers of that size


class MaxPool2d(nn.MaxPool2d):
    """torch's max pooling, 2 × 2 without overlap."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the largest of every four: (batch, channels, h, w) to (batch, channels, h // 2, w // 2)."""
        if input.ndim != 4 or input.device.type != "cpu" or min(input.shape[2:]) < 2:
            return super().forward(input)
        if not (torch.is_grad_enabled() and input.requires_grad):
            return _halve(input)[1]
        wide = input.shape[1] >= WIDE and not input.is_contiguous()
        return _AsItLies.apply(super().forward(input)) if wide else _Pool.apply(input)


def is_plain(layer: nn.MaxPool2d) -> bool:
    """Whether a max pooling is set to what this form does: 2 × 2 without overlap or padding."""
    two = (2, (2, 2))
    return (
        layer.kernel_size in two
        and layer.stride in two
        and layer.padding in (0, (0, 0))
        and layer.dilation in (1, (1, 1))
        and not (layer.return_indices or layer.ceil_mode)
    )


def _halve(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the larger of every two columns, and of that the larger of every two rows; an odd last one is left out."""
    height, width = (side // 2 * 2 for side in images.shape[2:])
    columns = torch.maximum(images[:, :, :height, 0:width:2], images[:, :, :height, 1:width:2])
    return columns, torch.maximum(columns[:, :, 0::2], columns[:, :, 1::2])


class _AsItLies(torch.autograd.Function):
    """Nothing, but that the gradient comes back channels-last: a flattening's does not, and is slow to read so."""

    @staticmethod
    def forward(ctx: Any, pooled: Tensor) -> Tensor:
        return pooled.view_as(pooled)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].contiguous(memory_format=torch.channels_last)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        columns, pooled = _halve(images)
        ctx.save_for_backward(images, columns, pooled)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        images, columns, pooled = ctx.saved_tensors
        height, width = (side // 2 * 2 for side in images.shape[2:])
        layout = torch.contiguous_format if images.is_contiguous() else torch.channels_last
        gradient = _bits(gradients[0].contiguous(memory_format=layout))
        images, columns, pooled = (_bits(values) for values in (images, columns, pooled))
        above = torch.empty_like(columns)
        _share(gradient, columns[:, :, 0::2], pooled, above[:, :, 0::2], above[:, :, 1::2])
        whole = torch.empty_like(images) if images.shape[2:] == (height, width) else torch.zeros_like(images)
        left, right = (whole[:, :, :height, place:width:2] for place in (0, 1))
        _share(above, images[:, :, :height, 0:width:2], columns, left, right)
        return whole.view(gradients[0].dtype)


def _bits(values: Tensor) -> Tensor:
    return values.view(WHOLE[values.element_size()])


def _share(gradient: Tensor, first: Tensor, largest: Tensor, to_first: Tensor, to_second: Tensor) -> None:
    """Write the gradient to `to_first` where the first of two was the largest, else to `to_second`; 0 to the other.

    All are bits of floating-point numbers, for processors compare whole numbers faster than 16-bit floating-point ones:
    by what equal numbers differ is 0, and x | -x has the sign bit of any other x.
    """
    other = first ^ largest
    other.bitwise_or_(other.neg()).bitwise_right_shift_(8 * other.element_size() - 1)  # all bits, or none
    torch.bitwise_and(gradient, other, out=to_second)
    torch.bitwise_xor(gradient, to_second, out=to_first)

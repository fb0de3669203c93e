"""Max pooling of 2 × 2 on a processor, as two maxima of halves: torch's own looks at one value after the other.

Without gradients that is 2 to 12 times as fast. With them torch's own is better where it works on many channels at
once, which it does on channels-last images of at least 8 channels (docs/log.md). The values are the same, bit for bit,
and so are the gradients: of equal values the first has it all.
"""

from typing import Any

import torch
from torch import Tensor, nn

WIDE = 8  # channels


class MaxPool2d(nn.MaxPool2d):
    """torch's max pooling, 2 × 2 without overlap."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the largest of every four: (batch, channels, h, w) to (batch, channels, h // 2, w // 2)."""
        if input.ndim != 4 or input.device.type != "cpu" or min(input.shape[2:]) < 2:
            return super().forward(input)
        if not (torch.is_grad_enabled() and input.requires_grad):
            return _halve(input)[1]
        wide = input.shape[1] >= WIDE and not input.is_contiguous()
        return super().forward(input) if wide else _Pool.apply(input)


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


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        columns, pooled = _halve(images)
        ctx.save_for_backward(images, columns)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        images, columns = ctx.saved_tensors
        two, one, none = [2, 2], [1, 1], [0, 0]
        places = _places(images, columns)
        return torch.ops.aten.max_pool2d_with_indices_backward(gradients[0], images, two, two, none, one, False, places)


def _places(images: Tensor, columns: Tensor) -> Tensor:
    """Return where in its image each pooled value stood, row · width + column: int64, in the pooled shape."""
    height, width = (side // 2 * 2 for side in images.shape[2:])
    right = (images[:, :, :height, 1:width:2] > images[:, :, :height, 0:width:2]).view(torch.uint8)
    low = (columns[:, :, 1::2] > columns[:, :, 0::2]).view(torch.uint8)
    above, below = right[:, :, 0::2], right[:, :, 1::2]
    column = above ^ (low & (above ^ below))
    row_length = images.shape[3]
    within = column.add_(low, alpha=row_length) if row_length < 255 else column.long().add_(low, alpha=row_length)
    corners = torch.arange(0, height, 2)[:, None] * row_length + torch.arange(0, width, 2)
    return within + corners

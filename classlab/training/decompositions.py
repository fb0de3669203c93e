"""What a compiled step of a few images computes in another form than torch: the same numbers, but for their rounding.

A library's product of 1 × 120 with 1 × 400 takes longer to call than to compute, and its result is written and read
again before the update. As an outer product it becomes a part of the compiled update. One image's convolution is one
short matrix product of its unfolded image, which costs less than a library's convolution takes to set up.
Measured in docs/log.md.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_OUTER = 4  # images in a batch, up to which a weight's gradient is a sum of outer products
Table = dict[Any, Callable[..., Any]]


def table(batch: int) -> Table:
    """Return the decompositions for a batch of so many images, by aten operator; empty where torch's own are best."""
    aten = torch.ops.aten
    made: Table = {}
    if batch <= MAX_OUTER:
        made |= {aten.mm.default: _product, aten.addmm.default: _product_and_sum}
    if batch == 1:
        made |= {aten.convolution.default: _convolution, aten.convolution_backward.default: _convolution_backward}
    return made


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Return a·b, (rows, k) by (k, columns), as a sum of k outer products where k is small."""
    if a.shape[1] > MAX_OUTER:
        return NotImplemented
    return sum((a[:, k : k + 1] * b[k : k + 1] for k in range(1, a.shape[1])), a[:, :1] * b[:1])


def _product_and_sum(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    if a.shape[1] > MAX_OUTER or beta != 1 or alpha != 1:
        return NotImplemented
    return _product(a, b) + bias


def _is_plain(image: Tensor, stride: list[int], dilation: list[int], transposed: bool, groups: int) -> bool:
    """Whether it is one image's convolution in two dimensions, of the kind that a product of matrices can do."""
    single = image.ndim == 4 and len(image) == 1 and groups == 1
    return single and list(stride) == [1, 1] and list(dilation) == [1, 1] and not transposed


def _unfold(image: Tensor, kernel: tuple[int, int], padding: list[int]) -> Tensor:
    """Return what the kernel sees at every place: (1, channels, h, w) to (channels · kernel area, places)."""
    padded = F.pad(image, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else image
    seen = padded.unfold(2, kernel[0], 1).unfold(3, kernel[1], 1)  # (1, channels, out h, out w, kernel h, kernel w)
    return seen.permute(0, 1, 4, 5, 2, 3).reshape(image.shape[1] * kernel[0] * kernel[1], -1)


def _convolution(
    image: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], dilation: list[int],
    transposed: bool, output_padding: list[int], groups: int,
) -> Tensor:  # fmt: skip
    """Return the convolution of one image, (1, channels, h, w), as a product of the weight with the unfolded image."""
    if not _is_plain(image, stride, dilation, transposed, groups):
        return NotImplemented
    kernel = weight.shape[2], weight.shape[3]
    places = [side + 2 * pad - size + 1 for side, pad, size in zip(image.shape[2:], padding, kernel, strict=True)]
    out = torch.mm(weight.reshape(len(weight), -1), _unfold(image, kernel, padding))
    out = out.reshape(1, len(weight), *places)
    return out if bias is None else out + bias[:, None, None]


def _convolution_backward(
    gradient: Tensor, image: Tensor, weight: Tensor, bias_sizes: list[int] | None, stride: list[int],
    padding: list[int], dilation: list[int], transposed: bool, output_padding: list[int], groups: int,
    wanted: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Return the gradients that are wanted of the image, the weight and the bias, from that of the output."""
    if not _is_plain(image, stride, dilation, transposed, groups):
        return NotImplemented
    kernel = weight.shape[2], weight.shape[3]
    around = [size - 1 - pad for size, pad in zip(kernel, padding, strict=True)]
    if min(around) < 0:
        return NotImplemented
    of_image = of_weight = of_bias = None
    if wanted[0]:  # the convolution of the gradient with the kernel turned round, from outputs to inputs
        turned = weight.flip(2, 3).transpose(0, 1)
        of_image = _convolution(gradient, turned, None, stride, around, dilation, False, output_padding, groups)
    if wanted[1]:
        seen = _unfold(image, kernel, padding)
        of_weight = torch.mm(gradient.reshape(len(weight), -1), seen.t()).reshape(weight.shape)
    if wanted[2]:
        of_bias = gradient.sum((0, 2, 3))
    return of_image, of_weight, of_bias

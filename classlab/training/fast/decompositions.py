"""What a compiled step of a few images computes in another form than torch: the same numbers, up to rounding.

A library's product of 120 × 1 with 1 × 400 takes longer to call than to compute, and the update then reads its result
from memory. Written as an outer product, the compiler makes it a part of the update itself. The convolution of one to
four images becomes one short matrix product of the unfolded images, because setting up a library's convolution costs
more than that. One image is unfolded channel by channel. Two to four images lie channels-last and are unfolded place by
place, a place being where the kernel stands. docs/log.md has the times.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Images in a batch, up to which a weight's gradient is a sum of outer products, and convolutions are matrix products.
FEW = 4
FULL = 16  # numbers in a register: with fewer kernels a product place by place is slower than the library's convolution
MOST_SEEN = 400_000  # numbers of unfolded images: more of them leave the cache before they are used
Table = dict[Any, Callable[..., Any]]


def table(batch: int) -> Table:
    """Return the decompositions for a batch of so many images, by aten operator; empty where torch's own are best."""
    # The tracer calls an entry instead of the operator. One that returns NotImplemented leaves the call as it was, so
    # that every function below may refuse what it does not do, or would do more slowly than the library.
    aten = torch.ops.aten
    entries: Table = {}
    if batch <= FEW:
        entries |= {aten.mm.default: _product, aten.addmm.default: _product_and_sum}
    if batch == 1:
        entries |= {aten.convolution.default: _convolution, aten.convolution_backward.default: _convolution_backward}
    elif batch <= FEW:
        entries |= {aten.convolution.default: _by_places, aten.convolution_backward.default: _by_places_backward}
    return entries


def columns(batch: int) -> int:
    """Return how many columns a convolution of few channels takes at a time, see training.fast.columns.

    With four, the products by which a few images are convolved fill whole registers.
    """
    return 4 if 1 < batch <= FEW else 2


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Return a·b, (rows, k) by (k, columns), as a sum of k outer products where k is small."""
    # k is the batch where a and b are gradients and activations: this is the weight's gradient. The compiler fuses
    # products of numbers with the update, which a call of the library would end.
    if a.shape[1] > FEW:
        return NotImplemented
    return sum((a[:, k : k + 1] * b[k : k + 1] for k in range(1, a.shape[1])), a[:, :1] * b[:1])


def _product_and_sum(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    if a.shape[1] > FEW or beta != 1 or alpha != 1:
        return NotImplemented
    return _product(a, b) + bias


def _is_plain(images: Tensor, stride: list[int], dilation: list[int], transposed: bool, groups: int) -> bool:
    """Whether it is a convolution in two dimensions of the kind that a product of matrices can do."""
    plain = images.ndim == 4 and groups == 1
    return plain and list(stride) == [1, 1] and list(dilation) == [1, 1] and not transposed


def _places(image: Tensor, kernel: tuple[int, int], padding: list[int]) -> list[int]:
    """Return at how many places the kernel stands, down and across."""
    return [side + 2 * pad - size + 1 for side, pad, size in zip(image.shape[2:], padding, kernel, strict=True)]


def _unfold(image: Tensor, kernel: tuple[int, int], padding: list[int]) -> Tensor:
    """Return what the kernel sees at every place: (1, channels, h, w) to (channels · kernel area, places)."""
    padded = F.pad(image, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else image
    patches = padded.unfold(2, kernel[0], 1).unfold(3, kernel[1], 1)  # (1, channels, out h, out w, kernel h, kernel w)
    return patches.permute(0, 1, 4, 5, 2, 3).reshape(image.shape[1] * kernel[0] * kernel[1], -1)


def _convolution(
    image: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], dilation: list[int],
    transposed: bool, output_padding: list[int], groups: int,
) -> Tensor:  # fmt: skip
    """Return the convolution of one image, (1, channels, h, w), as a product of the weight with the unfolded image."""
    if not _is_plain(image, stride, dilation, transposed, groups) or len(image) > 1:
        return NotImplemented
    kernel = weight.shape[2], weight.shape[3]
    places = _places(image, kernel, padding)
    out = torch.mm(weight.reshape(len(weight), -1), _unfold(image, kernel, padding))
    out = out.reshape(1, len(weight), *places)
    return out if bias is None else out + bias[:, None, None]


def _convolution_backward(
    gradient: Tensor, image: Tensor, weight: Tensor, bias_sizes: list[int] | None, stride: list[int],
    padding: list[int], dilation: list[int], transposed: bool, output_padding: list[int], groups: int,
    wanted: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Return the gradients that are wanted of the image, the weight and the bias, from that of the output."""
    if not _is_plain(image, stride, dilation, transposed, groups) or len(image) > 1:
        return NotImplemented
    kernel = weight.shape[2], weight.shape[3]
    around = [size - 1 - pad for size, pad in zip(kernel, padding, strict=True)]
    if min(around) < 0:
        return NotImplemented
    image_gradient = weight_gradient = bias_gradient = None
    if wanted[0]:
        # Every pixel gathers from the outputs it took part in. That is a convolution of the output's gradient with the
        # kernel turned round, from outputs to inputs, and so again one product.
        turned = weight.flip(2, 3).transpose(0, 1)
        image_gradient = _convolution(gradient, turned, None, stride, around, dilation, False, output_padding, groups)
    if wanted[1]:
        patches = _unfold(image, kernel, padding)
        weight_gradient = torch.mm(gradient.reshape(len(weight), -1), patches.t()).reshape(weight.shape)
    if wanted[2]:
        bias_gradient = gradient.sum((0, 2, 3))
    return image_gradient, weight_gradient, bias_gradient


def _unfold_by_places(images: Tensor, kernel: tuple[int, int], padding: list[int]) -> Tensor:
    """Return what the kernel sees at every place: (batch, channels, h, w) to (places, kernel area · channels).

    A row of the kernel, with all its channels, is one stretch of memory in a channels-last image.
    """
    padded = F.pad(images, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else images
    count, channels, height, width = padded.shape
    lines = padded.permute(0, 2, 3, 1).reshape(count, height, width * channels)
    patches = lines.unfold(2, kernel[1] * channels, channels).unfold(1, kernel[0], 1).permute(0, 1, 2, 4, 3)
    # contiguous and as_strided instead of reshape: so the compiler has to write down an array of five dimensions, and
    # copies whole stretches. Of a reshape to two dimensions it makes a loop that divides for every number, which takes
    # six times as long (docs/log.md, 2026-11-21).
    patches, area = patches.contiguous(), kernel[0] * kernel[1] * channels
    return patches.as_strided((patches.numel() // area, area), (area, 1))


def _pays_by_places(
    images: Tensor,
    weight: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    groups: int,
) -> bool:
    if not _is_plain(images, stride, dilation, transposed, groups) or len(weight) < FULL:
        return False
    places = len(images) * math.prod(_places(images, (weight.shape[2], weight.shape[3]), padding))
    return places * weight[0].numel() <= MOST_SEEN and images.is_contiguous(memory_format=torch.channels_last)


def _by_places(
    images: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], dilation: list[int],
    transposed: bool, output_padding: list[int], groups: int,
) -> Tensor:  # fmt: skip
    """Return the convolution of channels-last images, (batch, channels, h, w), as a product with the weight."""
    if not _pays_by_places(images, weight, stride, padding, dilation, transposed, groups):
        return NotImplemented
    kernel = weight.shape[2], weight.shape[3]
    patches, flat = _unfold_by_places(images, kernel, padding), weight.permute(0, 2, 3, 1).reshape(len(weight), -1).t()
    out = torch.mm(patches, flat) if bias is None else torch.addmm(bias, patches, flat)
    return out.reshape(len(images), *_places(images, kernel, padding), len(weight)).permute(0, 3, 1, 2)


def _by_places_backward(
    gradient: Tensor, images: Tensor, weight: Tensor, bias_sizes: list[int] | None, stride: list[int],
    padding: list[int], dilation: list[int], transposed: bool, output_padding: list[int], groups: int,
    wanted: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Return the gradients that are wanted, from that of the output."""
    if not wanted[1] or not _pays_by_places(images, weight, stride, padding, dilation, transposed, groups):
        return NotImplemented
    images_gradient = None
    if wanted[0]:
        # The library's own: as a product it is fast, but adding up what overlaps is not (docs/log.md, 2026-11-21).
        images_gradient = torch.ops.aten.convolution_backward(
            gradient, images, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups,
            [True, False, False],
        )[0]  # fmt: skip
    kernel = weight.shape[2], weight.shape[3]
    flat, patches = gradient.permute(0, 2, 3, 1).reshape(-1, len(weight)), _unfold_by_places(images, kernel, padding)
    weight_gradient = torch.mm(flat.t(), patches).reshape(len(weight), *kernel, images.shape[1]).permute(0, 3, 1, 2)
    return images_gradient, weight_gradient, flat.sum(0) if wanted[2] else None

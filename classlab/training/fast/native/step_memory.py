"""The memory of a native step or evaluation: a network's tensors between torch's layout and that of the kernels."""

import ctypes
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from classlab.training.fast.native.library import Library
from classlab.training.fast.native.stages import NotNativeError, Stage
from classlab.training.fast.native.step_layout import Layout

ALIGNED = 64


class Memory:
    """What the function `name` of a library works with: its address, and its arrays as tensors by name.

    library: of the source that was written for `layout`. order: how the images lie that the function is given.
    Raises NotNativeError where the library is of another source, or the system gives it no threads.
    """

    def __init__(self, library: Library, layout: Layout, name: str) -> None:
        handle, count, numbers = library.handle, 1 + len(layout.outside), ctypes.c_int64
        self.layout = layout
        self.dtype = torch.float64 if layout.form.precision == "fp64" else torch.float32
        self.order = torch.contiguous_format if layout.stages[0].linear else torch.channels_last
        offsets, sizes = ((numbers * count).in_dll(handle, part) for part in ("offsets", "sizes"))
        expected = [len(layout.outside), *(array.bytes(self.dtype.itemsize) for array in layout.outside)]
        if list(sizes) != expected:
            raise NotNativeError("the library has other arrays than its source")
        # One block for all that there is, aligned as its vectors are.
        block = torch.zeros(offsets[0] + ALIGNED, dtype=torch.uint8)
        start = -block.data_ptr() % ALIGNED
        self.arrays = {
            array.name: block[start + offset : start + offset + array.count * self.dtype.itemsize].view(self.dtype)
            for array, offset in zip(layout.outside, offsets[1:], strict=True)
        }
        self.address = ctypes.c_void_p(block.data_ptr() + start)
        self.call: Any = getattr(handle, name)
        self.call.restype = None
        if handle.begin(self.address):
            raise NotNativeError("the system gives it no threads")
        # Its threads end with it; the block must outlive them.
        self.end = weakref.finalize(self, _end, handle, self.address, block)

    def check(self, inputs: Tensor) -> int:
        """Return how many images there are. Raises ValueError for more than it was built for, or another order."""
        count, most = len(inputs), self.layout.form.batch
        if not 0 < count <= most or not inputs.is_contiguous(memory_format=self.order):
            raise ValueError(f"it is built for 1 to {most} images that lie in one block, got {count}")
        return count

    def weights(self) -> Iterator[tuple[str, Tensor, Stage]]:
        """Yield the array, the network's tensor and the stage of every layer's weights and bias."""
        for stage in self.layout.stages:
            name = self.layout.name(stage)
            yield f"{name}_weights", stage.layer.weight, stage
            if stage.layer.bias is not None:
                yield f"{name}_bias", stage.layer.bias, stage

    def seen(self, array: str, like: Tensor, stage: Stage) -> Tensor:
        """Return an array as a tensor of the shape that torch's has, or for a flattened map of that map's shape."""
        values = self.arrays[array]
        if like.ndim == 1:
            return values[: len(like)]
        lines = values.view(-1, stage.out_stride)[:, : stage.outputs]
        if like.ndim == 4:
            return lines.view(*stage.kernel, stage.channels, stage.outputs).permute(3, 2, 0, 1)
        if stage.flattened:
            channels, height, width = stage.flattened
            return lines.view(height * width, -1, stage.outputs)[:, :channels].permute(2, 1, 0)
        return lines.T

    @torch.no_grad()
    def take(self, array: str, tensor: Tensor, stage: Stage) -> None:
        """Write a tensor of torch's layout into an array."""
        seen = self.seen(array, tensor, stage)
        seen.copy_(tensor.detach().reshape(seen.shape))


def _end(handle: ctypes.CDLL, address: ctypes.c_void_p, block: Tensor) -> None:
    handle.end(address)
    del block

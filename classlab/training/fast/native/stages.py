"""A network as stages: each a convolution or linear layer, and what is done to each number of its output."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import nn

from classlab.training.fast import columns, dropout, pooling

# Maps are kept channels-last, their channels filled up with zeros to a multiple of so many.
CHANNELS_TOGETHER = 8
MOST_WINDOW = 16  # pixels of a max pool's window: the step writes its comparisons out one by one


class NotNativeError(Exception):
    """This network cannot be trained by the native step; the message says why."""


@dataclass
class Stage:
    """A convolution or a linear layer, and what follows it up to the next one.

    name: of the layer. channels, height, width: of the map that it is given; a linear layer's is one pixel of all its
    inputs. stride: numbers from one pixel of that map to the next. kernel: its side, 1 of a linear layer.
    flattened: the map (channels, height, width) that a linear layer's inputs were before they were flattened.
    before, after: whether a ReLU comes before, or after, the norm; with no norm, before. pool: max or average,
    over windows high × wide. dropout: the share dropped. last: its outputs go to the loss, log_softmax: through that.
    """

    name: str
    layer: nn.Conv2d | nn.Linear
    channels: int
    height: int
    width: int
    stride: int
    kernel: tuple[int, int] = (1, 1)
    padding: int = 0
    flattened: tuple[int, int, int] | None = None
    before: bool = False
    norm_name: str = ""
    norm: nn.BatchNorm1d | nn.BatchNorm2d | None = None
    after: bool = False
    dropout_name: str = ""
    dropout: float = 0.0
    pool: str = ""
    high: int = 1
    wide: int = 1
    last: bool = False
    log_softmax: bool = False
    done: list[str] = field(default_factory=list)

    @property
    def linear(self) -> bool:
        """Whether it is a linear layer."""
        return isinstance(self.layer, nn.Linear)

    @property
    def outputs(self) -> int:
        """Its output channels."""
        return self.layer.out_features if isinstance(self.layer, nn.Linear) else self.layer.out_channels

    @property
    def out_stride(self) -> int:
        """Numbers from one pixel of its output to the next."""
        return -(-self.outputs // CHANNELS_TOGETHER) * CHANNELS_TOGETHER

    @property
    def out_height(self) -> int:
        """Rows of its output, before the pool."""
        return self.height + 2 * self.padding - self.kernel[0] + 1

    @property
    def out_width(self) -> int:
        """Columns of its output, before the pool."""
        return self.width + 2 * self.padding - self.kernel[1] + 1

    @property
    def result(self) -> tuple[int, int, int]:
        """Channels, height and width of what it hands on."""
        return self.outputs, self.out_height // self.high, self.out_width // self.wide

    @property
    def back(self) -> int:
        """Zeros around the gradient of its output from which the gradient of its input is made."""
        return self.kernel[0] - 1 - self.padding


def read(network: nn.Module, input_shape: tuple[int, int, int]) -> list[Stage]:
    """Return a network's stages, in order. Raises NotNativeError for one that has other layers, or in another order."""
    stages: list[Stage] = []
    closing: list[str] = []
    shape, flat = input_shape, False
    for name, layer in _layers(network, ""):
        if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
            raise NotNativeError(f"layer {name} has hooks")
        if isinstance(layer, nn.Flatten):
            if layer.start_dim != 1 or layer.end_dim != -1:
                raise NotNativeError(f"layer {name} flattens only some of the dimensions")
            flat = True
        elif isinstance(layer, nn.Conv2d) and type(layer) in (nn.Conv2d, columns.Conv2d):
            stages.append(_convolution(name, layer, shape, stages))
            shape = stages[-1].result
        elif type(layer) is nn.Linear:
            stages.append(_linear(name, layer, shape, flat, stages))
            shape, flat = stages[-1].result, True
        elif isinstance(layer, nn.LogSoftmax) and layer.dim in (1, -1) and stages:
            closing.append(name)  # the step's loss is of what comes before it
        elif closing:
            raise NotNativeError(f"layer {closing[0]} (LogSoftmax) is not the last one")
        elif not stages:
            raise NotNativeError(f"the network begins with {type(layer).__name__}")
        else:
            _follow(stages[-1], name, layer, flat)
            shape = stages[-1].result
    if not stages or not stages[-1].linear or stages[-1].done:
        raise NotNativeError("the network does not end with a linear layer")
    layers = [part for stage in stages for part in (stage.layer, stage.norm) if part is not None]
    if len({id(layer) for layer in layers}) < len(layers):
        raise NotNativeError("the network uses a layer twice")
    for parameter in network.parameters():
        if not parameter.requires_grad:
            raise NotNativeError("some of the weights are not trained")
    stages[-1].last, stages[-1].log_softmax = True, bool(closing)
    return stages


def _layers(network: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of nested sequences in order, by name."""
    if type(network) is not nn.Sequential:
        yield prefix or "network", network
        return
    for name, layer in network.named_children():
        yield from _layers(layer, f"{prefix}.{name}" if prefix else name)


def _convolution(name: str, layer: nn.Conv2d, shape: tuple[int, int, int], stages: list[Stage]) -> Stage:
    plain = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1 and layer.padding_mode == "zeros"
    padding: Any = layer.padding
    if not plain or not isinstance(padding, tuple) or padding[0] != padding[1]:
        raise NotNativeError(f"layer {name} is a convolution with a stride, groups, dilation or unequal padding")
    channels, height, width = shape
    stage = Stage(
        name, layer, channels, height, width,
        stages[-1].out_stride if stages else channels, _two(layer.kernel_size), int(padding[0]),
    )  # fmt: skip
    if layer.kernel_size[0] != layer.kernel_size[1]:
        raise NotNativeError(f"layer {name} has a kernel that is not square")
    if stages and stage.back < 0:
        raise NotNativeError(f"layer {name} is padded by more than its kernel")
    if stage.out_height < 1 or stage.out_width < 1:
        raise NotNativeError(f"layer {name} has a kernel larger than its map")
    return stage


def _linear(name: str, layer: nn.Linear, shape: tuple[int, int, int], flat: bool, stages: list[Stage]) -> Stage:
    if not flat and shape[1:] != (1, 1):
        raise NotNativeError(f"layer {name} is linear, and the map before it is not flattened")
    if prod(shape) != layer.in_features:
        raise NotNativeError(f"layer {name} does not fit what comes before it")
    if not stages:
        return Stage(name, layer, layer.in_features, 1, 1, layer.in_features)
    inputs = stages[-1].out_stride * shape[1] * shape[2]
    return Stage(name, layer, inputs, 1, 1, inputs, flattened=shape)


_POOLS = (nn.MaxPool2d, pooling.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)

# What may stand where: of each kind of step the ones that must not have come before it.
_AFTER = {
    "before": {"before", "norm", "after", "dropout", "pool"},
    "norm": {"norm", "after", "dropout", "pool"},
    "after": {"after", "dropout", "pool"},
    "dropout": {"dropout", "pool"},
    "pool": {"pool"},
}

_SAID = {"before": "a ReLU", "norm": "a norm", "after": "a ReLU", "dropout": "a dropout", "pool": "a pool"}


def _follow(stage: Stage, name: str, layer: nn.Module, flat: bool) -> None:
    """Add a layer to what is done to a stage's output."""
    kind = ""
    if type(layer) is nn.ReLU:
        kind = "after" if stage.norm is not None else "before"
        setattr(stage, kind, True)
    elif type(layer) in (nn.BatchNorm2d, nn.BatchNorm1d):
        assert isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d)
        kind = "norm"
        _check_norm(name, layer)
        stage.norm_name, stage.norm = name, layer
    elif type(layer) is dropout.Dropout:
        kind = "dropout"
        if layer.p >= 1:
            raise NotNativeError(f"layer {name} drops everything")
        stage.dropout_name, stage.dropout = name, layer.p
    elif type(layer) in _POOLS and not flat:
        kind = "pool"
        stage.pool, stage.high, stage.wide = _pool(name, layer, stage)
    if not kind:
        raise NotNativeError(f"layer {name} is of a kind that it does not have ({type(layer).__name__})")
    if _AFTER[kind] & set(stage.done):
        raise NotNativeError(
            f"layer {name} ({type(layer).__name__}) stands where it does not have it, after {_SAID[stage.done[-1]]}"
        )
    stage.done.append(kind)


def _check_norm(name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    if layer.momentum is None or layer.running_mean is None or not layer.affine:
        raise NotNativeError(f"layer {name} is a batch norm without weights or the usual running statistics")


def _pool(name: str, layer: nn.Module, stage: Stage) -> tuple[str, int, int]:
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        if layer.output_size not in (1, (1, 1)):
            raise NotNativeError(f"layer {name} averages to more than one pixel")
        return "average", stage.out_height, stage.out_width
    high, wide = _two(layer.kernel_size)
    plain = _two(layer.stride) == (high, wide) and _two(layer.padding) == (0, 0) and not layer.ceil_mode
    if not plain or (high > stage.out_height or wide > stage.out_width):
        raise NotNativeError(f"layer {name} pools over windows that overlap, are padded or larger than the map")
    if isinstance(layer, nn.AvgPool2d):
        if layer.divisor_override:
            raise NotNativeError(f"layer {name} divides by a number of its own")
        return "average", high, wide
    assert isinstance(layer, nn.MaxPool2d)
    if layer.dilation != 1 or layer.return_indices or high * wide > MOST_WINDOW:
        raise NotNativeError(f"layer {name} is a max pool of another kind, or over more than {MOST_WINDOW} pixels")
    return "max", high, wide


def _two(value: Any) -> tuple[int, int]:
    """Return a size of torch's layers, one number or two, as two."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])

"""What a layer does to shapes, receptive fields and work, whether it is a module or a plain function call.

Receptive fields follow from a rule for each kind of layer. A gradient through the network would find what is seen
without rules, but not the sizes that are printed here. Those go beyond the image's border (the last layer of era-s6
sees 36 of 28 pixels), so the network would have to run on a larger image. A linear layer behind `flatten` or `view`
refuses that, and an adaptive pool becomes a larger one. Activations, max pools and norms would have to be replaced by
kind all the same. The tests do just that where it can be done, and the rules agree; docs/log.md (2026-11-30) has times.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from torch import nn

from classlab.network import receptive
from classlab.network.receptive import Axis, Field

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One layer at work. kind: its module class's name, whatever form it has. options: what it was given."""

    kind: str
    options: Mapping[str, Any]
    inputs: tuple[Shape, ...]
    output: Shape


# A function's name -> the module that does the same, and the names of its arguments after the input.
FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "linear": ("Linear", ("weight", "bias")),
    "conv1d": ("Conv1d", ("weight", "bias", "stride", "padding", "dilation", "groups")),
    "conv2d": ("Conv2d", ("weight", "bias", "stride", "padding", "dilation", "groups")),
    "conv_transpose2d": (
        "ConvTranspose2d",
        ("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    ),
    "max_pool2d": ("MaxPool2d", ("kernel_size", "stride", "padding", "dilation")),
    "max_pool2d_with_indices": ("MaxPool2d", ("kernel_size", "stride", "padding", "dilation")),
    "avg_pool2d": ("AvgPool2d", ("kernel_size", "stride", "padding")),
    "lp_pool2d": ("LPPool2d", ("norm_type", "kernel_size", "stride")),
    "adaptive_avg_pool2d": ("AdaptiveAvgPool2d", ("output_size",)),
    "adaptive_max_pool2d": ("AdaptiveMaxPool2d", ("output_size",)),
    "adaptive_max_pool2d_with_indices": ("AdaptiveMaxPool2d", ("output_size",)),
    "interpolate": ("Upsample", ("size", "scale_factor", "mode", "align_corners")),
    "pixel_shuffle": ("PixelShuffle", ("upscale_factor",)),
    "pixel_unshuffle": ("PixelUnshuffle", ("downscale_factor",)),
    "pad": ("Pad", ("padding",)),
    "flatten": ("Flatten", ()),
    "unflatten": ("Unflatten", ()),
    "softmax": ("Softmax", ("dim",)),
    "log_softmax": ("LogSoftmax", ("dim",)),
    "normalize": ("normalize", ("p", "dim")),
    "batch_norm": ("BatchNorm2d", ()),
    "layer_norm": ("LayerNorm", ("normalized_shape",)),
    "rms_norm": ("RMSNorm", ("normalized_shape",)),
    "group_norm": ("GroupNorm", ()),
    "instance_norm": ("InstanceNorm2d", ()),
    "relu": ("ReLU", ()),
    "relu6": ("ReLU6", ()),
    "leaky_relu": ("LeakyReLU", ()),
    "elu": ("ELU", ()),
    "gelu": ("GELU", ()),
    "silu": ("SiLU", ()),
    "sigmoid": ("Sigmoid", ()),
    "tanh": ("Tanh", ()),
    "hardtanh": ("Hardtanh", ()),
    "hardswish": ("Hardswish", ()),
    "softplus": ("Softplus", ()),
    "dropout": ("Dropout", ("p",)),
    "dropout2d": ("Dropout2d", ("p",)),
    "alpha_dropout": ("AlphaDropout", ("p",)),
    "permute": ("permute", ("dims",)),
    "transpose": ("transpose", ("dim0", "dim1")),
    "cat": ("cat", ("dim",)),
    "concat": ("cat", ("dim",)),
    "concatenate": ("cat", ("dim",)),
    "chunk": ("chunk", ("chunks", "dim")),
    "split": ("split", ("sections", "dim")),
    **{name: (name, ("dim", "keepdim")) for name in ("mean", "sum", "amax", "amin", "max", "min", "logsumexp", "std")},
}
WINDOWS = {"Conv2d", "MaxPool2d", "AvgPool2d", "LPPool2d", "ConvTranspose2d"}
NORMS = {"LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm2d", "normalize"}
_RESHAPES = {"Flatten", "Unflatten", "view", "reshape", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel"}
_REDUCTIONS = {"mean", "sum", "amax", "amin", "max", "min", "logsumexp", "std"}
_PADS = {"Pad", "ZeroPad2d", "ConstantPad2d", "ReflectionPad2d", "ReplicationPad2d"}
_MODULE_OPTIONS = (
    *("kernel_size", "stride", "padding", "dilation", "groups", "output_size", "scale_factor", "mode", "padding_mode"),
    *("align_corners", "upscale_factor", "downscale_factor", "dim", "normalized_shape", "weight", "p"),
    "running_mean",
)
# Each output value depends on the values at its own place only.
_POINTWISE = {
    *("ReLU", "ReLU6", "LeakyReLU", "PReLU", "RReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh"),
    *("Hardtanh", "Hardswish", "Hardsigmoid", "Softplus", "Softsign", "Hardshrink", "Softshrink", "Tanhshrink"),
    *("LogSigmoid", "Threshold", "Identity", "Dropout", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout"),
    *("BatchNorm1d", "BatchNorm2d", "SyncBatchNorm", "LocalResponseNorm", "ChannelShuffle"),
    *("add", "sub", "mul", "div", "true_divide", "neg", "pow", "abs", "exp", "log", "sqrt", "rsqrt", "square", "clamp"),
    *("clip", "clamp_min", "clamp_max", "maximum", "minimum", "where", "lerp", "addcmul", "erf", "sin", "cos", "sign"),
    *("float", "half", "bfloat16", "double", "to", "type", "contiguous", "detach", "clone", "data", "chunk", "split"),
    *("hardsigmoid", "mish", "selu", "celu", "prelu", "logsigmoid", "rsub", "reciprocal", "expand", "multiply"),
    *("subtract", "divide", "sgn", "round", "floor", "ceil", "feature_dropout", "rrelu", "softsign", "threshold"),
}
_OPERATORS = {"iadd": "add", "radd": "add", "isub": "sub", "imul": "mul", "rmul": "mul", "itruediv": "div"}
_OPERATORS |= {"truediv": "div", "rdiv": "div", "rtruediv": "div", "rpow": "pow", "ipow": "pow"}
# Views and bookkeeping do no work and are no layers to a reader.
SILENT = {"float", "half", "bfloat16", "double", "to", "type", "contiguous", "detach", "clone", "data", "requires_grad"}


def of_module(module: nn.Module, inputs: Sequence[Shape], output: Shape) -> Operation:
    """Return what a module of torch.nn does."""
    bases = [kind for kind in type(module).__mro__ if kind.__module__.startswith("torch.nn.modules")]
    kinds = [kind.__name__ for kind in bases if kind is not nn.Module]
    options = {key: getattr(module, key) for key in _MODULE_OPTIONS if hasattr(module, key)}
    kind = _kind(kinds[0] if kinds else type(module).__name__, options)
    return Operation(kind, options, tuple(inputs), output)


def of_function(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], inputs: Sequence[Shape], output: Shape
) -> Operation:
    """Return what a call of a torch function or tensor method does."""
    name = name.strip("_")
    name = _OPERATORS.get(name, name)
    kind, names = FUNCTIONS.get(name, (name, ()))
    options = dict(zip(names, args[1:], strict=False)) | dict(kwargs)
    if name == "permute" and len(args) > 2:
        options["dims"] = args[1:]
    if name == "getitem":
        options["index"] = args[1]
    return Operation(_kind(kind, options), options, tuple(inputs), output)


def _kind(kind: str, options: Mapping[str, Any]) -> str:
    """Return what a layer is at work: a dropout that drops nothing is an identity."""
    return "Identity" if "Dropout" in kind and options.get("p") == 0 else kind


def window(operation: Operation) -> dict[str, tuple[int, int]] | None:
    """Return the kernel, stride, padding and dilation of a convolution or pool, each (vertical, horizontal)."""
    if operation.kind not in WINDOWS:
        return None
    options = operation.options
    weight = options.get("weight")
    kernel = _pair(options["kernel_size"] if weight is None else weight.shape[2:])
    stride = kernel if options.get("stride") in (None, []) and "Pool" in operation.kind else options.get("stride")
    dilation = _pair(options.get("dilation", 1))
    padding = options.get("padding", 0)
    if padding == "same":
        padding = tuple(space * (places - 1) // 2 for space, places in zip(dilation, kernel, strict=True))
    return {
        "kernel": kernel,
        "stride": _pair(1 if stride is None else stride),
        "padding": _pair(0 if padding == "valid" else padding),
        "dilation": dilation,
    }


def multiply_adds(operation: Operation) -> int | None:
    """Return the multiplications (each with its addition) for one image; None where they are not known.

    Only convolutions, linear layers and matrix products count, as is usual: the rest is cheap beside them.
    """
    batch, weight = operation.output[:1], operation.options.get("weight")
    outputs = prod(operation.output) // max(prod(batch), 1)
    if operation.kind in {"Linear", "Conv1d", "Conv2d", "Conv3d"} and weight is not None:
        return outputs * prod(weight.shape[1:])
    if operation.kind.startswith("ConvTranspose") and weight is not None:
        return prod(operation.inputs[0][1:]) * prod(weight.shape[1:])
    if operation.kind in {"matmul", "bmm", "mm", "addmm"}:
        return outputs * operation.inputs[0][-1]
    known = operation.kind in _RULES or operation.kind in _POINTWISE
    return 0 if known or operation.kind in {"expand", "permute", "stack"} else None


def field(operation: Operation, fields: Sequence[Field | None]) -> Field | None:
    """Return the receptive field of the output from those of the inputs that depend on the image; None: unknown.

    It is followed twice where something reaches further than the windows: a norm, or a factor for each channel that was
    made of whole maps (squeeze and excitation). Once that is left out, for the sizes; once all of it is kept.
    """
    known = [seen for seen in fields if seen is not None]
    if len(known) < len(fields) or not known:
        return None
    rule = _RULES.get(operation.kind, _pointwise if operation.kind in _POINTWISE else None)
    maps = [place for place, shape in enumerate(operation.inputs) if shape[2:] != (1, 1)]
    gated = operation.kind == "mul" and len(operation.output) == 4 and 0 < len(maps) < len(known)
    if gated:
        alone = replace(operation, inputs=tuple(operation.inputs[place] for place in maps))
        seen = _followed(rule, alone, [known[place] for place in maps])
    else:
        seen = _followed(_pointwise if operation.kind in NORMS else rule, operation, known)
    if seen is None or not (gated or operation.kind in NORMS or any(before.mixed for before in known)):
        return seen
    mixed = _followed(rule, operation, [before.mixed or before for before in known])
    if mixed is None:  # what the norm reaches is unknown, and so it is whether every output sees the whole image
        return replace(seen, exact=False)
    pairs = ((seen.rows, mixed.rows), (seen.columns, mixed.columns))
    alike = all(np.array_equal(plain.cover, reached.cover) for plain, reached in pairs)
    return replace(seen, mixed=None if alike else mixed)


def _followed(rule: "Rule | None", operation: Operation, known: list[Field]) -> Field | None:
    known = [replace(seen, mixed=None) for seen in known]
    if rule is None or (rule is not _pointwise and rule is not _concatenated and len(known) > 1):
        return None
    try:
        return rule(operation, known)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError):
        return None  # an unusual form of the call, whose arguments the rule does not find


def _both(operation: Operation, seen: Field, change: Callable[[int, Axis], Axis]) -> Field | None:
    """Change the two axes of a map (batch, channels, height, width)."""
    if (seen.rows.dim, seen.columns.dim) != (2, 3) or len(operation.output) != 4:
        return None
    return replace(seen, rows=change(0, seen.rows), columns=change(1, seen.columns))


def _window(operation: Operation, fields: list[Field]) -> Field | None:
    place = window(operation) or {}
    move = receptive.spread if operation.kind == "ConvTranspose2d" else receptive.slide

    def change(side: int, axis: Axis) -> Axis:
        kernel, stride, padding, dilation = (sides[side] for sides in place.values())
        return move(axis, kernel, stride, padding, operation.output[2 + side], dilation)

    return _both(operation, fields[0], change)


def _adaptive(operation: Operation, fields: list[Field]) -> Field | None:
    return _both(operation, fields[0], lambda side, axis: receptive.adaptive(axis, operation.output[2 + side]))


def _enlarged(operation: Operation, fields: list[Field]) -> Field | None:
    mode, options = operation.options.get("mode") or "nearest", operation.options
    if mode not in {"nearest", "bilinear"} or options.get("align_corners") or options.get("antialias"):
        return None
    return _both(
        operation, fields[0], lambda side, axis: receptive.enlarge(axis, operation.output[2 + side], mode == "bilinear")
    )


def _shuffled(operation: Operation, fields: list[Field]) -> Field | None:
    factor = operation.options.get("upscale_factor")
    if factor:
        return _both(
            operation, fields[0], lambda side, axis: receptive.read(axis, [[0]] * factor, 1, axis.length * factor)
        )
    factor = operation.options["downscale_factor"]
    return _both(
        operation, fields[0], lambda side, axis: receptive.slide(axis, factor, factor, 0, axis.length // factor)
    )


def _padded(operation: Operation, fields: list[Field]) -> Field | None:
    left, _, top, *_ = (*operation.options["padding"], 0, 0, 0)
    return _both(
        operation,
        fields[0],
        lambda side, axis: receptive.slide(axis, 1, 1, (top, left)[side], operation.output[2 + side]),
    )


def _reshaped(operation: Operation, fields: list[Field]) -> Field | None:
    """Follow the image's axes through flatten, view and the like, where they can be followed."""
    seen, before, after = fields[0], operation.inputs[0], operation.output
    axes = (seen.rows, seen.columns)
    if before == after:
        return seen
    if all(axis.length == 1 for axis in axes):
        if len(after) == 4:
            return replace(seen, rows=_laid_out(seen.rows, after, 2), columns=_laid_out(seen.columns, after, 3))
        return _placed(seen, None, None)
    if len(before) == 4 and (axes[0].dim, axes[1].dim) == (2, 3):
        if after == (before[0], prod(before[1:])):
            return _placed(seen, 1, 1)
        if after == (before[0], before[1], prod(before[2:])):
            return _placed(seen, 2, 2)
    merged = axes[0].dim is not None and axes[0].dim == axes[1].dim
    if merged and len(after) == 4 and after[2:] == (axes[0].length, axes[1].length):
        return _placed(seen, 2, 3)
    return None


def _laid_out(axis: Axis, after: Shape, dim: int) -> Axis:
    return receptive.spread_point(axis, after[dim], dim)


def _placed(seen: Field, rows: int | None, columns: int | None) -> Field:
    return replace(seen, rows=replace(seen.rows, dim=rows), columns=replace(seen.columns, dim=columns))


def _permuted(operation: Operation, fields: list[Field]) -> Field | None:
    rank = len(operation.output)
    if operation.kind == "permute":
        order = [dim % rank for dim in operation.options["dims"]]
    else:
        first, second = operation.options["dim0"] % rank, operation.options["dim1"] % rank
        order = list(range(rank))
        order[first], order[second] = second, first
    seen = fields[0]
    rows, columns = (None if axis.dim is None else order.index(axis.dim) for axis in (seen.rows, seen.columns))
    return _placed(seen, rows, columns)


def _linear(operation: Operation, fields: list[Field]) -> Field | None:
    """Mix the last dimension; positions that lie in it are gone afterwards."""
    last, seen = len(operation.output) - 1, fields[0]

    def change(axis: Axis) -> Axis:
        return receptive.collapse(axis, 1, None) if axis.dim == last else axis

    return replace(seen, rows=change(seen.rows), columns=change(seen.columns))


def _reduced(operation: Operation, fields: list[Field]) -> Field | None:
    rank, dims = len(operation.inputs[0]), operation.options.get("dim")
    if dims is None:
        return None
    gone = {dim % rank for dim in (dims if isinstance(dims, tuple | list) else [dims])}
    keep = len(operation.output) == rank
    seen = fields[0]

    def change(axis: Axis) -> Axis:
        if axis.dim in gone:
            return receptive.collapse(axis, axis.length, axis.dim if keep else None)
        if axis.dim is None or keep:
            return axis
        return replace(axis, dim=axis.dim - sum(dim < axis.dim for dim in gone))

    return replace(seen, rows=change(seen.rows), columns=change(seen.columns))


def _mingled(operation: Operation, fields: list[Field]) -> Field | None:
    """Softmax and normalisations: every place along certain dimensions comes to depend on all of them."""
    rank, options = len(operation.output), operation.options
    if operation.kind in {"GroupNorm", "InstanceNorm2d"}:
        # With the statistics of training an instance norm takes none from the image.
        dims = set() if options.get("running_mean") is not None else set(range(1, rank))
    elif "normalized_shape" in options:
        dims = set(range(rank - len(tuple(options["normalized_shape"])), rank))
    else:
        dims = {(options["dim"] if options.get("dim") is not None else 1) % rank}
    seen = fields[0]

    def change(axis: Axis) -> Axis:
        return receptive.mingle(axis) if axis.dim in dims else axis

    return replace(seen, rows=change(seen.rows), columns=change(seen.columns))


def _sliced(operation: Operation, fields: list[Field]) -> Field | None:
    """Plain slices, x[:, :, 1:-1, ::2]; anything cleverer is unknown."""
    index = operation.options["index"]
    index = index if isinstance(index, tuple) else (index,)
    seen = fields[0]
    if any(part is None for part in index) and prod(operation.output) == prod(operation.inputs[0]):
        return _reshaped(operation, fields)
    if any(not isinstance(part, slice) for part in index) or len(operation.output) != 4:
        return None

    def change(side: int, axis: Axis) -> Axis:
        start, _, step = index[2 + side].indices(axis.length) if len(index) > 2 + side else (0, 0, 1)
        return receptive.slide(axis, 1, step, -start, operation.output[2 + side])

    return _both(operation, seen, change)


def _pointwise(operation: Operation, fields: list[Field]) -> Field | None:
    """Every place by itself; several inputs are branches that meet, smaller ones repeated to fit."""
    rank = len(operation.output)
    together: Field | None = None
    for seen, shape in zip(fields, operation.inputs, strict=True):
        fitted = _fitted(seen, rank - len(shape), operation.output)
        together = fitted if together is None else receptive.join(together, fitted)
        if together is None:
            return None
    return together


def _fitted(seen: Field, added: int, output: Shape) -> Field:
    def change(axis: Axis) -> Axis:
        if axis.dim is None:
            return axis
        dim = axis.dim + added
        if axis.length == 1 and output[dim] > 1 and seen.rows.dim != seen.columns.dim:
            return receptive.spread_point(axis, output[dim], dim)
        return replace(axis, dim=dim)

    return replace(seen, rows=change(seen.rows), columns=change(seen.columns))


def _concatenated(operation: Operation, fields: list[Field]) -> Field | None:
    together = fields[0]
    dim = operation.options.get("dim", 0) % len(operation.output)
    for seen in fields:
        axes = (seen.rows, seen.columns)
        if dim in {axis.dim for axis in axes} and seen.rows.dim != seen.columns.dim:
            return None
    for seen in fields[1:]:
        joined = receptive.join(together, seen)
        if joined is None:
            return None
        together = joined
    return together


Rule = Callable[[Operation, list[Field]], Field | None]
_RULES: dict[str, Rule] = {
    **dict.fromkeys(WINDOWS, _window),
    **dict.fromkeys(("AdaptiveAvgPool2d", "AdaptiveMaxPool2d"), _adaptive),
    **dict.fromkeys(("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), _enlarged),
    **dict.fromkeys(("PixelShuffle", "PixelUnshuffle"), _shuffled),
    **dict.fromkeys(_PADS, _padded),
    **dict.fromkeys(_RESHAPES, _reshaped),
    **dict.fromkeys(("permute", "transpose", "swapaxes"), _permuted),
    "Linear": _linear,
    **dict.fromkeys(_REDUCTIONS, _reduced),
    **dict.fromkeys(("Softmax", "LogSoftmax", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm2d"), _mingled),
    "normalize": _mingled,
    "getitem": _sliced,
    "cat": _concatenated,
}


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, *rest = (int(part) for part in value)
    return first, rest[0] if rest else first

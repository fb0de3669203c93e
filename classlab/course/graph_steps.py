"""What a node of an ONNX graph computes, by torch's own functions: https://onnx.ai/onnx/operators, version 20.

A value is a tensor of numbers or, for sizes and places, an array of NumPy's: so shapes are worked out beside the
network and are no layers of it. Whatever is not listed raises Broken.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from classlab import limits

Value = Tensor | np.ndarray | None
Attributes = Mapping[str, Any]
FLOAT = 1  # ONNX's number for float32


class Broken(ValueError):
    """A node that is not done here: an operation or a form of it that is not listed."""


def step(kind: str, given: Sequence[Any], attributes: Attributes) -> list[Any]:
    """Return the outputs of a node. given: its inputs in their order, None for one that is left out. Raises Broken."""
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise Broken(f"{kind} with automatic padding")
    if given and all(isinstance(value, np.ndarray) for value in given):
        return [_of_sizes(kind, given, attributes)]
    done = OPERATIONS.get(kind)
    if done is None:
        raise Broken(kind)
    result = done(given, attributes)
    return result if isinstance(result, list) else [result]


def _of_sizes(kind: str, given: Sequence[np.ndarray], attributes: Attributes) -> np.ndarray:
    """Return what is computed from sizes and places alone."""
    value = given[0]
    match kind:
        case "Squeeze":
            return value.squeeze(tuple(given[1].tolist()) if len(given) > 1 else None)
        case "Unsqueeze":
            return np.expand_dims(value, tuple(given[1].tolist()))
        case "Reshape":
            return value.reshape(given[1])
        case "Concat":
            return np.concatenate([np.atleast_1d(part) for part in given])
        case "Gather":
            return value[given[1]]
        case "Slice":
            return value[_slices(given, value.ndim)]
        case "Add" | "Sub" | "Mul":
            return {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[kind](*given)
        case "Div":
            return value // given[1]
        case "Cast" | "Identity":
            return value
    raise Broken(f"{kind} of sizes")


def _conv(given: Sequence[Any], attributes: Attributes) -> Tensor:
    images, weights, bias = _filled(given, 3)
    images, padding = _padded(images, attributes, weights.dim() - 2, 0.0)
    function = {1: F.conv1d, 2: F.conv2d}[weights.dim() - 2]
    return function(
        images, weights, bias, stride=_list(attributes, "strides", 1), padding=padding,
        dilation=_list(attributes, "dilations", 1), groups=attributes.get("group", 1),
    )  # fmt: skip


def _conv_transposed(given: Sequence[Any], attributes: Attributes) -> Tensor:
    images, weights, bias = _filled(given, 3)
    pads, sides = attributes.get("pads") or [0, 0, 0, 0], weights.dim() - 2
    strides = attributes.get("strides") or [1] * sides
    if sides != 2 or pads[:sides] != pads[sides:] or "output_shape" in attributes:
        raise Broken("ConvTranspose with uneven padding")
    _refuse_large([*images.shape[:1], weights.shape[1], *(size * by for size, by in zip(images.shape[2:], strides,
                                                                                     strict=True))])  # fmt: skip
    return F.conv_transpose2d(
        images, weights, bias, stride=strides, padding=pads[:sides], groups=attributes.get("group", 1),
        output_padding=_list(attributes, "output_padding", 0), dilation=_list(attributes, "dilations", 1),
    )  # fmt: skip


def _gemm(given: Sequence[Any], attributes: Attributes) -> Tensor:
    rows, weights, bias = _filled(given, 3)
    if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
        raise Broken("Gemm with factors")
    return F.linear(rows, weights if attributes.get("transB", 0) else weights.T, bias)


def _matmul(given: Sequence[Any], attributes: Attributes) -> Tensor:
    rows, weights = given
    return (
        F.linear(rows, weights.T) if isinstance(weights, torch.nn.Parameter) and weights.dim() == 2 else rows @ weights
    )


def _max_pool(given: Sequence[Any], attributes: Attributes) -> Tensor:
    kernel = attributes["kernel_shape"]
    images, padding = _padded(given[0], attributes, len(kernel), -math.inf)
    if len(kernel) != 2:
        raise Broken("MaxPool over other than two sides")
    return F.max_pool2d(
        images, kernel, stride=_list(attributes, "strides", 1), padding=padding,
        dilation=_list(attributes, "dilations", 1), ceil_mode=bool(attributes.get("ceil_mode", 0)),
    )  # fmt: skip


def _average_pool(given: Sequence[Any], attributes: Attributes) -> Tensor:
    kernel, pads = attributes["kernel_shape"], attributes.get("pads") or [0, 0, 0, 0]
    if len(kernel) != 2 or pads[:2] != pads[2:] or set(attributes.get("dilations") or [1]) != {1}:
        raise Broken("AveragePool with uneven padding")
    return F.avg_pool2d(
        given[0], kernel, stride=_list(attributes, "strides", 1), padding=pads[:2],
        ceil_mode=bool(attributes.get("ceil_mode", 0)), count_include_pad=bool(attributes.get("count_include_pad", 0)),
    )  # fmt: skip


def _batch_norm(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, scale, shift, mean, variance = given
    if attributes.get("training_mode", 0):
        raise Broken("BatchNormalization in training")
    return F.batch_norm(values, mean, variance, scale, shift, False, 0.0, attributes.get("epsilon", 1e-5))


def _layer_norm(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, scale, shift = _filled(given, 3)
    over = values.shape[attributes.get("axis", -1) :]
    return F.layer_norm(values, over, scale, shift, attributes.get("epsilon", 1e-5))


def _instance_norm(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, scale, shift = given
    return F.instance_norm(values, weight=scale, bias=shift, eps=attributes.get("epsilon", 1e-5))


def _clip(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, low, high = _filled(given, 3)
    bounds = [None if bound is None else float(bound) for bound in (low, high)]
    if bounds == [0.0, 6.0]:
        return F.relu6(values)
    if None not in bounds:
        return F.hardtanh(values, *bounds)  # pyrefly: ignore[bad-argument-type]
    return torch.clamp(values, *bounds)


def _reduced(function: Callable[..., Tensor]) -> Callable[[Sequence[Any], Attributes], Tensor]:
    def reduce(given: Sequence[Any], attributes: Attributes) -> Tensor:
        axes = given[1].tolist() if len(given) > 1 and given[1] is not None else list(range(given[0].dim()))
        return function(given[0], dim=tuple(np.atleast_1d(axes).tolist()), keepdim=bool(attributes.get("keepdims", 1)))

    return reduce


def _reshape(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, sizes = given
    kept = [values.shape[place] if size == 0 and not attributes.get("allowzero", 0) else size
            for place, size in enumerate(np.atleast_1d(sizes).tolist())]  # fmt: skip
    return values.reshape(kept)


def _flatten(given: Sequence[Any], attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 1)
    if axis != 1:
        raise Broken("Flatten over the images")
    return given[0].flatten(1)


def _squeeze(given: Sequence[Any], attributes: Attributes) -> Tensor:
    return given[0].squeeze() if len(given) < 2 else given[0].squeeze(tuple(np.atleast_1d(given[1]).tolist()))


def _unsqueeze(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, sides = given[0], given[0].dim() + np.size(given[1])
    for axis in sorted(axis % sides for axis in np.atleast_1d(given[1]).tolist()):
        values = values.unsqueeze(axis)
    return values


def _expand(given: Sequence[Any], attributes: Attributes) -> Tensor:
    sizes = np.broadcast_shapes(tuple(given[0].shape), tuple(given[1].tolist()))
    _refuse_large(sizes)
    return given[0].expand(sizes)


def _tile(given: Sequence[Any], attributes: Attributes) -> Tensor:
    times = given[1].tolist()
    _refuse_large([size * by for size, by in zip(given[0].shape, times, strict=True)])
    return given[0].repeat(times)


def _slice(given: Sequence[Any], attributes: Attributes) -> Tensor:
    return given[0][_slices(given, given[0].dim())]


def _slices(given: Sequence[Any], sides: int) -> tuple[slice, ...]:
    starts, ends = (np.atleast_1d(part).tolist() for part in given[1:3])
    axes = np.atleast_1d(given[3]).tolist() if len(given) > 3 and given[3] is not None else list(range(len(starts)))
    steps = np.atleast_1d(given[4]).tolist() if len(given) > 4 and given[4] is not None else [1] * len(starts)
    if any(by < 1 for by in steps):
        raise Broken("Slice that goes backwards")
    cut = [slice(None)] * sides
    for axis, start, end, by in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, end, by)
    return tuple(cut)


def _gather(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, places = given
    if not isinstance(places, np.ndarray):
        raise Broken("Gather by computed places")
    axis = attributes.get("axis", 0)
    if places.ndim == 0:
        return values.select(axis, int(places))
    return values.index_select(axis, torch.from_numpy(places.reshape(-1)))


def _split(given: Sequence[Any], attributes: Attributes) -> list[Tensor]:
    axis = attributes.get("axis", 0)
    if len(given) > 1 and given[1] is not None:
        return list(given[0].split(np.atleast_1d(given[1]).tolist(), dim=axis))
    return list(given[0].chunk(attributes["num_outputs"], dim=axis))


def _pad(given: Sequence[Any], attributes: Attributes) -> Tensor:
    values, pads = given[0], np.atleast_1d(given[1]).tolist()
    axes = np.atleast_1d(given[3]).tolist() if len(given) > 3 and given[3] is not None else list(range(values.dim()))
    both = {axis % values.dim(): (pads[place], pads[place + len(axes)]) for place, axis in enumerate(axes)}
    widths = [width for axis in reversed(range(values.dim())) for width in both.get(axis, (0, 0))]
    _refuse_large([size + sum(both.get(axis, (0, 0))) for axis, size in enumerate(values.shape)])
    mode = attributes.get("mode", b"constant").decode()
    fill = float(given[2]) if len(given) > 2 and given[2] is not None else 0.0
    if mode == "constant":
        return F.pad(values, widths, value=fill)
    if mode not in ("reflect", "edge") or any(widths[4:]):
        raise Broken(f"Pad in the mode {mode}")
    return F.pad(values, widths[:4], mode="replicate" if mode == "edge" else mode)


def _cast(given: Sequence[Any], attributes: Attributes) -> Tensor:
    if attributes["to"] != FLOAT:
        raise Broken("Cast to other numbers than float32")
    return given[0].float()


def _prelu(given: Sequence[Any], attributes: Attributes) -> Tensor:
    return F.prelu(given[0], given[1].flatten())


def _local_norm(given: Sequence[Any], attributes: Attributes) -> Tensor:
    return F.local_response_norm(
        given[0], attributes["size"], attributes.get("alpha", 1e-4), attributes.get("beta", 0.75),
        attributes.get("bias", 1.0),
    )  # fmt: skip


def _depth_to_space(given: Sequence[Any], attributes: Attributes) -> Tensor:
    if attributes.get("mode", b"DCR") != b"CRD":
        raise Broken("DepthToSpace in the order DCR")
    return F.pixel_shuffle(given[0], attributes["blocksize"])


def _padded(images: Tensor, attributes: Attributes, sides: int, fill: float) -> tuple[Tensor, list[int]]:
    """Return images and the padding that is left to the operation: where it is uneven it is done before, with fill."""
    pads = attributes.get("pads") or [0] * 2 * sides
    if pads[:sides] == pads[sides:]:
        return images, list(pads[:sides])
    widths = [width for side in reversed(range(sides)) for width in (pads[side], pads[side + sides])]
    return F.pad(images, widths, value=fill), [0] * sides


def _list(attributes: Attributes, name: str, default: int) -> Any:
    return attributes.get(name) or default


def _filled(given: Sequence[Any], count: int) -> tuple[Any, ...]:
    """Return as many inputs as an operation can have, None for those that are left out."""
    return (*given, *[None] * count)[:count]


def _refuse_large(sizes: Sequence[int]) -> None:
    if math.prod(sizes) > limits.GRAPH_NUMBERS:
        raise Broken(f"a value of {math.prod(sizes):,} numbers")


def _of_one(function: Callable[..., Tensor]) -> Callable[[Sequence[Any], Attributes], Tensor]:
    return lambda given, attributes: function(given[0])


def _of_all(function: Callable[..., Tensor]) -> Callable[[Sequence[Any], Attributes], Tensor]:
    def operation(given: Sequence[Any], attributes: Attributes) -> Tensor:
        return function(
            *(torch.from_numpy(value).float() if isinstance(value, np.ndarray) else value for value in given)
        )

    return operation


OPERATIONS: dict[str, Callable[[Sequence[Any], Attributes], Any]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transposed,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda given, _: F.adaptive_avg_pool2d(given[0], 1),
    "GlobalMaxPool": lambda given, _: F.adaptive_max_pool2d(given[0], 1),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNorm": lambda given, how: F.group_norm(given[0], how["num_groups"], eps=how.get("epsilon", 1e-5)),
    "LRN": _local_norm,
    "Relu": _of_one(F.relu),
    "LeakyRelu": lambda given, how: F.leaky_relu(given[0], how.get("alpha", 0.01)),
    "PRelu": _prelu,
    "Elu": lambda given, how: F.elu(given[0], how.get("alpha", 1.0)),
    "Selu": _of_one(F.selu),
    "Celu": lambda given, how: F.celu(given[0], how.get("alpha", 1.0)),
    "Gelu": lambda given, how: F.gelu(given[0], approximate=how.get("approximate", b"none").decode()),
    "Sigmoid": _of_one(torch.sigmoid),
    "HardSigmoid": lambda given, how: torch.clamp(how.get("alpha", 0.2) * given[0] + how.get("beta", 0.5), 0, 1),
    "HardSwish": _of_one(F.hardswish),
    "Tanh": _of_one(torch.tanh),
    "Softplus": _of_one(F.softplus),
    "Softsign": _of_one(F.softsign),
    "Mish": _of_one(F.mish),
    "Clip": _clip,
    "Softmax": lambda given, how: F.softmax(given[0], dim=how.get("axis", -1)),
    "LogSoftmax": lambda given, how: F.log_softmax(given[0], dim=how.get("axis", -1)),
    "Add": _of_all(torch.add),
    "Sub": _of_all(torch.sub),
    "Mul": _of_all(torch.mul),
    "Div": _of_all(torch.div),
    "Pow": _of_all(torch.pow),
    "Max": _of_all(torch.maximum),
    "Min": _of_all(torch.minimum),
    "Neg": _of_one(torch.neg),
    "Abs": _of_one(torch.abs),
    "Sign": _of_one(torch.sign),
    "Exp": _of_one(torch.exp),
    "Log": _of_one(torch.log),
    "Sqrt": _of_one(torch.sqrt),
    "Reciprocal": _of_one(torch.reciprocal),
    "Erf": _of_one(torch.erf),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMin": _reduced(torch.amin),
    "Shape": lambda given, how: np.array(given[0].shape[how.get("start", 0) : how.get("end")], dtype=np.int64),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda given, how: given[0].permute(how.get("perm") or tuple(reversed(range(given[0].dim())))),
    "Expand": _expand,
    "Tile": _tile,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Concat": lambda given, how: torch.cat(list(given), dim=how["axis"]),
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "Cast": _cast,
    "CastLike": lambda given, how: given[0],
    "Identity": lambda given, how: given[0],
    "Dropout": lambda given, how: given[0],
}

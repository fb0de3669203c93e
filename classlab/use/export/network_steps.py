"""A network as a list of steps that a page can compute: what torch really did with two images, written down.

The network runs once while every operation of torch's is watched, so branches, in-place operations and plain function
calls are all met as they happen. A batch norm right behind a convolution or a linear layer is folded into its weights.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from classlab import readers_code
from classlab.errors import UserError
from classlab.network.trace import is_layer

COUNT = 2  # images that go through: an operation that mixes the images of a batch changes the first of their dimensions
SAME = ("detach", "clone", "alias", "_to_copy", "contiguous", "native_dropout")
SHAPED = ("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "flatten", "_reshape_alias")
ACTIVATIONS = (
    "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "hardtanh", "hardswish", "hardsigmoid", "softplus",
    "mish",
)  # fmt: skip
ARITHMETIC = {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "_prelu_kernel": "prelu"}


@dataclass(frozen=True)
class Step:
    """One operation on one image.

    kind: the name of a function in forward.js. name: the layer whose output this is, as torch names the parts of the
    network; names: all the layers in it, more than one where a norm was folded. inputs: the numbers of the steps that
    it takes from; 0 is the image, the first step is 1. shape: of its output, without the batch. settings: what else the
    function is given, numbers and lists of them. weights: arrays by their name there.
    """

    kind: str
    names: tuple[str, ...]
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The layer whose output this is."""
        return self.names[-1]


def steps_of(network: nn.Module, images: Tensor) -> list[Step]:
    """Return the network as steps, the last of which gives its answer.

    images: two of them as the network takes them, float32 (2, channels, height, width). Raises UserError, which names
    the operation, for a network that needs one which the page cannot compute.
    """
    recorder = _Recorder(network, images)
    with torch.no_grad(), recorder.watching(), readers_code.running(), recorder:
        output = network(images)
    if not isinstance(output, Tensor) or id(output) not in recorder.known:
        raise UserError(
            "the network's answer must be one tensor that depends on the image; a page can compute no other"
        )
    steps = _needed(recorder.steps, recorder.known[id(output)][1])
    for step in steps:
        if not step.kind:
            known = "convolutions, linear layers, norms, pools, activations, sums, products, cat and softmax"
            raise UserError(f"the demo cannot compute {step.settings['operation']} of {step.name}; it knows {known}")
    return _folded(steps)


class _Recorder(TorchDispatchMode):
    """Sees every operation while the network runs; hooks on its modules tell where in the network that is."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.network = network
        self.steps: list[Step] = []
        self.paths: list[tuple[str, bool]] = []
        # By id, each held so that its id stays its own. An operation in place returns the tensor that it was given.
        self.known: dict[int, tuple[Tensor, int]] = {id(images): (images, 0)}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep hooks on every module while the network runs."""
        with ExitStack() as stack:
            for path, module in self.network.named_modules():
                enter = module.register_forward_pre_hook(self._entering(path))
                leave = module.register_forward_hook(lambda *_: self.paths.pop() and None)
                stack.callback(enter.remove)
                stack.callback(leave.remove)
            yield

    def _entering(self, path: str) -> Callable[[nn.Module, Any], None]:
        def enter(module: nn.Module, _: Any) -> None:
            inside = bool(self.paths) and self.paths[-1][1]
            self.paths.append(self.paths[-1] if inside else (path, is_layer(module)))

        return enter

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _bound(func, args, kwargs or {})
        inputs = [self.known[id(value)][1] for value in _tensors(given) if id(value) in self.known]
        output = func(*args, **(kwargs or {}))
        result = output[0] if isinstance(output, tuple | list) and output else output
        if not inputs or not isinstance(result, Tensor) or not result.is_floating_point():
            return output
        name = func.overloadpacket.__name__
        name = name if name.startswith("_") or not name.endswith("_") else name[:-1]
        if name in SAME:
            self.known[id(result)] = (result, inputs[0])
            return output
        self.steps.append(self._step(name, given, result))
        self.known[id(result)] = (result, len(self.steps))
        return output

    def _step(self, operation: str, given: dict[str, Any], result: Tensor) -> Step:
        """Return the step of one operation; of kind "" where the page cannot compute it."""
        path, layer = self.paths[-1] if self.paths else ("", False)
        plain = operation.strip("_").removesuffix("_with_indices").removeprefix("native_")
        names = (path if layer else f"{path}.{plain}".lstrip("."),)
        found = _written(operation, given, result)
        if found is None:
            inputs = [self.known[id(value)][1] for value in _tensors(given) if id(value) in self.known]
            return Step("", names, tuple(inputs), tuple(result.shape[1:]), {"operation": plain})
        kind, operands, settings, weights = found
        arrays = {key: value.detach().numpy().copy() for key, value in weights.items() if value is not None}
        inputs = [self._number(operand, result, names) for operand in operands]
        return Step(kind, names, tuple(inputs), tuple(result.shape[1:]), settings, arrays)

    def _number(self, operand: Any, result: Tensor, names: tuple[str, ...]) -> int:
        """Return the number of the step that an operand comes from; a constant becomes a step of its own."""
        if isinstance(operand, Tensor) and id(operand) in self.known:
            return self.known[id(operand)][1]
        values = operand.detach().float() if isinstance(operand, Tensor) else torch.tensor(float(operand))
        shape = tuple(values.shape[1:] if values.dim() == result.dim() else values.shape)
        self.steps.append(Step("constant", names, (), shape, {}, {"values": values.numpy().copy()}))
        return len(self.steps)


def _bound(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Return all arguments of an operation by their names, defaults included."""
    arguments = func._schema.arguments
    given = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    return given | dict(zip((argument.name for argument in arguments), args, strict=False)) | kwargs


def _tensors(given: dict[str, Any]) -> list[Tensor]:
    values = [part for value in given.values() for part in (value if isinstance(value, list | tuple) else [value])]
    return [value for value in values if isinstance(value, Tensor)]


Written = tuple[str, list[Any], dict[str, Any], dict[str, Any]]


def _written(operation: str, given: dict[str, Any], result: Tensor) -> Written | None:
    """Return an operation as forward.js knows it: kind, operands, settings, weights. None where it does not."""
    if result.dim() < 2 or result.shape[0] != COUNT:
        return None
    image = given.get("self", given.get("input"))
    if operation in SHAPED:
        return "reshape", [image], {}, {}
    if operation in ACTIVATIONS:
        names = ("negative_slope", "alpha", "scale", "approximate", "min_val", "max_val", "beta", "threshold")
        return "activation", [image], {"function": operation} | {key: given[key] for key in names if key in given}, {}
    if operation in ARITHMETIC:
        return _arithmetic(operation, given)
    return OPERATIONS[operation](given, result) if operation in OPERATIONS else None


def _arithmetic(operation: str, given: dict[str, Any]) -> Written | None:
    operands = [given["self"], given.get("other", given.get("weight"))]
    if given.get("alpha", 1) != 1 or given.get("rounding_mode") is not None:
        return None
    return "arithmetic", operands, {"function": ARITHMETIC[operation]}, {}


def _pair(value: Any) -> list[int]:
    return [int(part) for part in (value if len(value) == 2 else [value[0], value[0]])]


def _convolution(given: dict[str, Any], result: Tensor) -> Written | None:
    if given["transposed"] or result.dim() != 4 or given["weight"].dim() != 4:
        return None
    settings: dict[str, Any] = {key: _pair(given[key]) for key in ("stride", "padding", "dilation")}
    settings |= {"groups": given["groups"], "kernel": list(given["weight"].shape[2:])}
    return "convolution", [given["input"]], settings, {"weight": given["weight"], "bias": given["bias"]}


def _linear(given: dict[str, Any], result: Tensor) -> Written | None:
    image, matrix = given.get("mat1", given.get("self")), given["mat2"]
    if given.get("beta", 1) != 1 or given.get("alpha", 1) != 1 or image.dim() != 2 or image.shape[0] != COUNT:
        return None
    bias = given["self"] if "mat1" in given else None
    return "linear", [image], {}, {"weight": matrix.t().contiguous(), "bias": bias}


def _norm(given: dict[str, Any], result: Tensor) -> Written | None:
    if given.get("training", False) or given["running_mean"] is None:
        return None
    mean, variance = given["running_mean"].double(), given["running_var"].double()
    scale = 1 / torch.sqrt(variance + given["eps"])
    scale = scale if given["weight"] is None else scale * given["weight"].double()
    shift = -mean * scale if given["bias"] is None else given["bias"].double() - mean * scale
    return "norm", [given["input"]], {}, {"scale": scale, "shift": shift}


def _group_norm(given: dict[str, Any], result: Tensor) -> Written | None:
    weights = {"weight": given["weight"], "bias": given["bias"]}
    return "groupNorm", [given["input"]], {"groups": given["group"], "eps": given["eps"]}, weights


def _pool(kind: str) -> Callable[[dict[str, Any], Tensor], Written | None]:
    def pool(given: dict[str, Any], result: Tensor) -> Written | None:
        if result.dim() != 4 or any(part != 1 for part in given.get("dilation", ())):
            return None
        kernel = _pair(given["kernel_size"])
        settings: dict[str, Any] = {"kernel": kernel, "padding": _pair(given.get("padding") or [0])}
        settings["stride"] = _pair(given["stride"]) if given.get("stride") else kernel
        if kind == "averagePool":
            settings |= {
                "count_padding": given.get("count_include_pad", True),
                "divisor": given.get("divisor_override"),
            }
        return kind, [given["self"]], settings, {}

    return pool


def _adaptive_pool(kind: str) -> Callable[[dict[str, Any], Tensor], Written | None]:
    return lambda given, result: (kind, [given["self"]], {}, {}) if result.dim() == 4 else None


def _mean(given: dict[str, Any], result: Tensor) -> Written | None:
    axes = given.get("dim") or []
    both = given["self"].dim() == 4 and sorted(axis % 4 for axis in axes) == [2, 3]
    return ("mean", [given["self"]], {}, {}) if both else None


def _softmax(kind: str) -> Callable[[dict[str, Any], Tensor], Written | None]:
    return lambda given, result: (kind, [given["self"]], {}, {}) if result.dim() == 2 and given["dim"] % 2 else None


def _cat(given: dict[str, Any], result: Tensor) -> Written | None:
    return ("cat", list(given["tensors"]), {}, {}) if given.get("dim", 0) % result.dim() == 1 else None


def _slice(given: dict[str, Any], result: Tensor) -> Written | None:
    if given.get("dim", 0) % result.dim() != 1 or given.get("step", 1) != 1:
        return None
    first = min(given.get("start") or 0, given["self"].shape[1])
    return "slice", [given["self"]], {"first": first % max(1, given["self"].shape[1])}, {}


OPERATIONS: dict[str, Callable[[dict[str, Any], Tensor], Written | None]] = {
    "convolution": _convolution,
    "mm": _linear,
    "addmm": _linear,
    "native_batch_norm": _norm,
    "_native_batch_norm_legit_no_training": _norm,
    "native_group_norm": _group_norm,
    "max_pool2d_with_indices": _pool("maxPool"),
    "avg_pool2d": _pool("averagePool"),
    "_adaptive_avg_pool2d": _adaptive_pool("adaptiveAverage"),
    "adaptive_max_pool2d": _adaptive_pool("adaptiveMax"),
    "mean": _mean,
    "_log_softmax": _softmax("logSoftmax"),
    "_softmax": _softmax("softmax"),
    "cat": _cat,
    "slice": _slice,
}


def _needed(steps: list[Step], last: int) -> list[Step]:
    """Return the steps that the last one, by its number, comes of; numbered anew."""
    needed, waiting = set(), [last]
    while waiting:
        number = waiting.pop()
        if number and number not in needed:
            needed.add(number)
            waiting.extend(steps[number - 1].inputs)
    kept = sorted(needed)
    places = {0: 0} | {number: place for place, number in enumerate(kept, start=1)}
    return [replace(steps[number - 1], inputs=tuple(places[i] for i in steps[number - 1].inputs)) for number in kept]


def _folded(steps: list[Step]) -> list[Step]:
    """Return the steps with each norm folded into the convolution or linear layer before it that only it reads.

    A norm multiplies each map by a number and adds another; so do the weights and the bias of what makes the map.
    """
    readers = Counter(number for step in steps for number in step.inputs)
    folded = list(steps)
    for number, step in enumerate(steps, start=1):
        before = folded[step.inputs[0] - 1] if step.inputs and step.inputs[0] else None
        if step.kind != "norm" or before is None or before.kind not in ("convolution", "linear"):
            continue
        if readers[step.inputs[0]] > 1:
            continue
        scale, shift = step.weights["scale"], step.weights["shift"]
        weight = before.weights["weight"] * scale.reshape(-1, *[1] * (before.weights["weight"].ndim - 1))
        bias = before.weights.get("bias", np.zeros(len(scale))) * scale + shift
        made = replace(before, names=(*before.names, *step.names), weights={"weight": weight, "bias": bias})
        folded[number - 1], folded[step.inputs[0] - 1] = made, replace(before, kind="")
    return _needed(folded, len(folded))

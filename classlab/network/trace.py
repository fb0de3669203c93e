"""Follow one image through a module of any make and write down every layer that it meets, in order.

The module really runs, so branches, loops, shared layers and plain function calls are all met as they happen. Modules
of torch.nn are one layer each; whatever else the reader's modules call is a layer of its own.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from classlab import readers_code
from classlab.network import operations, receptive
from classlab.network.operations import Operation
from classlab.network.receptive import Field

IMAGE = -1
# Two images, so that a module which drops dimensions of size one keeps the one of the batch.
BATCH = 2


@dataclass(frozen=True)
class Step:
    """One layer met. inputs: the numbers of the steps that it takes from, IMAGE for the image itself.

    path: where in the module, as torch names its parts. parameters: those that belong to this layer and to none before.
    repeated: the same module was met before. shared: all its parameters were.
    """

    path: str
    operation: Operation
    inputs: tuple[int, ...]
    parameters: tuple[nn.Parameter, ...]
    field: Field | None
    repeated: bool
    shared: bool


@dataclass
class Trace:
    """What was met; output: the module's answer, and `failed`: the layer at which it ended, where it did.

    entered: the ids of the modules that ran.
    """

    steps: list[Step] = field(default_factory=list)
    output: Any = None
    failed: "Failure | None" = None
    entered: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Failure:
    """A layer that could not take what it was given."""

    path: str
    kind: str
    module: nn.Module | None
    inputs: tuple[tuple[int, ...], ...]
    error: Exception


def trace(model: nn.Module, input_shape: tuple[int, int, int]) -> Trace:
    """Run `model` on blank images of (channels, height, width) in evaluation mode and return what they met.

    The model's mode, weights and the global random state are left as they were. Where a layer cannot take what it is
    given the trace ends there and says so; any other error of the reader's own code is raised as it is.
    """
    model = getattr(model, "_orig_mod", model)  # of a compiled model, the one that was compiled
    recorder = _Recorder(model)
    images = blank(model, input_shape)
    recorder.know(images, IMAGE, receptive.image(*input_shape[1:]))
    with (
        evaluating(model),
        torch.no_grad(),
        torch.random.fork_rng(devices=[]),
        recorder.watching(),
        readers_code.running(),
    ):
        try:
            with recorder:
                recorder.trace.output = model(images)
            recorder.met_unseen(images)
        except Exception as error:
            if recorder.trace.failed is None or recorder.trace.failed.error is not error:
                raise
    return recorder.trace


def blank(model: nn.Module, input_shape: tuple[int, int, int], count: int = BATCH) -> Tensor:
    """Return `count` blank images as the model takes them: of the type and on the device of its weights."""
    like = next((weights for weights in model.parameters() if weights.is_floating_point()), torch.zeros(()))
    return torch.zeros((count, *input_shape), dtype=like.dtype, device=like.device)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the network into evaluation mode while the block runs."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class _Recorder(TorchFunctionMode):
    """Sees every torch function called; hooks on the modules tell it where in the model it is.

    Both are needed. The hooks alone would miss what the reader's own forward calls without a module, an addition or a
    `F.relu`; the functions alone would show the inside of torch's layers and not their names. So inside a layer of
    torch.nn the functions are passed over (`inside_layer`), and the layer is written down when it is left.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.trace = Trace()
        self.paths: list[tuple[str, nn.Module]] = []
        self.inside_layer = 0
        self.known: dict[int, tuple[Tensor, int, Field | None]] = {}
        # What was computed from parameters alone, such as a normed or an expanded weight, and from which.
        self.derived: dict[int, tuple[Tensor, list[nn.Parameter]]] = {}
        self.counted: set[int] = set()
        self.used: set[str] = set()

    def know(self, tensor: Tensor, step: int, seen: Field | None) -> None:
        """Remember which step made a tensor; holding it keeps its id from being given to another."""
        self.known[id(tensor)] = (tensor, step, seen)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep hooks on every module of the model while the model runs."""
        with ExitStack() as stack:
            for path, module in self.model.named_modules(remove_duplicate=True):
                if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
                    continue
                enter = module.register_forward_pre_hook(self._entering(path), with_kwargs=True)
                leave = module.register_forward_hook(self._leaving(path), with_kwargs=True)
                stack.callback(enter.remove)
                stack.callback(leave.remove)
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = () if self.inside_layer else self._known_among((args, kwargs))
        # An operation in place changes the very tensor that it was given, shape included.
        shapes = [tuple(tensor.shape) for tensor in inputs]
        try:
            result = func(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError) as error:
            self._fail(_name(func), (args, kwargs), error)
            raise
        if inputs:
            self._met_function(_name(func), args, kwargs, inputs, shapes, result)
        elif not self.inside_layer and (parameters := self._parameters_among((args, kwargs))):
            self.derived.update((id(tensor), (tensor, parameters)) for tensor in _tensors(result))
        return result

    def met_unseen(self, images: Tensor) -> None:
        """Write down a model that could not be looked into as one layer."""
        outputs = _tensors(self.trace.output)
        if not self.trace.steps and any(id(tensor) not in self.known for tensor in outputs):
            operation = operations.of_module(self.model, [tuple(images.shape)], tuple(outputs[0].shape))
            self._met("", operation, (images,), outputs, list(self.model.parameters()), False)

    def _met_function(
        self, name: str, args: Any, kwargs: Any, inputs: Any, shapes: list[tuple[int, ...]], result: Any
    ) -> None:
        outputs = _tensors(result)
        if name == "__setitem__":  # x[…] = y has no result: x itself has changed, and what it sees now is not known
            self.know(args[0], self.known[id(inputs[0])][1], None)
        if not outputs or name.endswith("_like") or not any(tensor.is_floating_point() for tensor in outputs):
            return
        operation = operations.of_function(name, args, kwargs, shapes, tuple(outputs[0].shape))
        where = self.paths[-1][0] if self.paths else ""
        parameters = self._parameters_among((args, kwargs))
        self._met(f"{where}.{operation.kind.lower()}".lstrip("."), operation, inputs, outputs, parameters, False)

    def _entering(self, path: str) -> Any:
        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            self.paths.append((path, module))
            self.trace.entered.add(id(module))
            self.inside_layer += is_layer(module)

        return enter

    def _leaving(self, path: str) -> Any:
        def leave(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            self.paths.pop()
            self.inside_layer -= is_layer(module)
            inputs = self._known_among((args, kwargs))
            outputs = _tensors(result)
            # Of the reader's own modules the parts are written down. Where the answer comes from none of them, as after
            # a way through NumPy, the thread is lost inside, and the module itself is the layer.
            lost = any(id(tensor) not in self.known for tensor in outputs)
            if self.inside_layer or not inputs or not outputs or not (is_layer(module) or lost):
                return
            shapes = [tuple(tensor.shape) for tensor in inputs]
            operation = operations.of_module(module, shapes, tuple(outputs[0].shape))
            self._met(path, operation, inputs, outputs, list(module.parameters()), path in self.used)
            self.used.add(path)

        return leave

    def _met(
        self,
        path: str,
        operation: Operation,
        inputs: tuple[Tensor, ...],
        outputs: list[Tensor],
        parameters: list[nn.Parameter],
        repeated: bool,
    ) -> None:
        sources = [self.known[id(tensor)] for tensor in inputs]
        seen = operations.field(operation, [seen_before for _, _, seen_before in sources])
        number = len(self.trace.steps)
        if operation.kind in operations.SILENT:  # no layer to a reader: its output counts as that of the step before
            number = sources[0][1]
        else:
            new = tuple(parameter for parameter in parameters if id(parameter) not in self.counted)
            self.counted.update(id(parameter) for parameter in new)
            steps = tuple(dict.fromkeys(number for _, number, _ in sources))
            shared = bool(parameters) and not new
            self.trace.steps.append(Step(path, operation, steps, new, seen, repeated, shared))
        for tensor in outputs:
            self.know(tensor, number, seen)

    def _known_among(self, values: Any) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in _tensors(values) if id(tensor) in self.known)

    def _parameters_among(self, values: Any) -> list[nn.Parameter]:
        found: dict[int, nn.Parameter] = {}
        for tensor in _tensors(values):
            used = [tensor] if isinstance(tensor, nn.Parameter) else self.derived.get(id(tensor), (tensor, []))[1]
            found.update((id(parameter), parameter) for parameter in used)
        return list(found.values())

    def _fail(self, name: str, values: Any, error: Exception) -> None:
        if self.trace.failed is not None and self.trace.failed.error is error:
            return
        layer = next((place for place in self.paths if is_layer(place[1])), None)
        shapes = tuple(tuple(tensor.shape) for tensor in _tensors(values) if not isinstance(tensor, nn.Parameter))
        if layer:
            self.trace.failed = Failure(layer[0], type(layer[1]).__name__, layer[1], shapes, error)
        else:
            where = self.paths[-1][0] if self.paths else ""
            self.trace.failed = Failure(f"{where}.{name}".lstrip("."), name, None, shapes, error)


def is_layer(module: nn.Module) -> bool:
    """Modules of torch.nn are one layer each, except those that only hold others."""
    holds = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    return type(module).__module__.startswith("torch.nn.modules") and not holds


def _name(func: Any) -> str:
    name = getattr(func, "__name__", "")
    return getattr(getattr(func, "__self__", None), "__name__", "") if name == "__get__" else name


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _tensors(part)]
    return []

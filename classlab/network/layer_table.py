"""The layer table: what a network is made of, how large it is, how much work it does and how far it sees."""

import copy
import inspect
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from classlab import readers_code
from classlab.errors import UserError
from classlab.network import operations
from classlab.network.trace import Failure, Step, Trace, blank, trace
from classlab.network.unused import Unused, unused

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Layer:
    """One layer, at one place where an image meets it.

    kernel, stride, padding, dilation: of convolutions and pools, a number or (vertical, horizontal). groups: of
    convolutions. output_shape: without the batch. parameters: those not counted with an earlier layer. multiply_adds:
    for one image, of convolutions, linear layers and matrix products. receptive_field: {size, stride, global} in pixels
    of the image. None: there is none, or it is unknown. inputs: the numbers of the layers it takes from, -1 for the
    image. shared: its parameters are counted with an earlier layer. norm_mixes: through a norm over a map, here or
    before, an output also depends on what lies beyond its receptive field.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    kernel: int | tuple[int, int] | None
    stride: int | tuple[int, int] | None
    padding: int | tuple[int, int] | None
    parameters: int
    multiply_adds: int | None
    receptive_field: dict[str, Any] | None
    inputs: tuple[int, ...] = ()
    shared: bool = False
    dilation: int | tuple[int, int] | None = None
    groups: int | None = None
    norm_mixes: bool = False


@dataclass(frozen=True)
class LayerTable:
    """The layers in the order in which an image meets them, and the totals. memory: in MiB, for one image.

    unused: the layers that no image meets; what they hold counts among the parameters, as torch counts it.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    parameters: int
    trainable_parameters: int
    multiply_adds: int | None
    memory: dict[str, float]
    unused: tuple[Unused, ...] = ()

    @property
    def unused_parameters(self) -> int:
        """The parameters of layers that never run."""
        return sum(part.parameters for part in self.unused if not part.in_training)

    def to_json(self) -> dict[str, Any]:
        """Return the table as plain data."""
        parts = {name: [dict(vars(part)) for part in getattr(self, name)] for name in ("layers", "unused")}
        return {**vars(self), **parts, "unused_parameters": self.unused_parameters}


def follow(model: nn.Module, input_shape: tuple[int, int, int]) -> Trace:
    """Return what an image of (channels, height, width) meets in `model`.

    Raises UserError, naming the layer, when the model cannot take such images, or takes more than images.
    """
    check_inputs(model)
    met = trace(model, input_shape)
    if met.failed:
        raise UserError(misfit(met.failed, input_shape)) from met.failed.error
    return met


def layer_table(model: nn.Module, input_shape: tuple[int, int, int]) -> LayerTable:
    """Return the layers that one image of (channels, height, width) meets in `model`, and their totals.

    Raises UserError, naming the layer, when the model cannot take such images.
    """
    return table_of(model, input_shape, follow(model, input_shape))


def table_of(model: nn.Module, input_shape: tuple[int, int, int], met: Trace) -> LayerTable:
    """Return the table of what such images met in `model`, as `follow` has found it."""
    layers = _named(met.steps)
    parameters = list(model.parameters())
    work = [layer.multiply_adds for layer in layers]
    return LayerTable(
        input_shape,
        tuple(layers),
        sum(parameter.numel() for parameter in parameters),
        sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        None if None in work else sum(count for count in work if count is not None),
        _memory(input_shape, met.steps, sum(parameter.numel() for parameter in parameters)),
        unused(model, met, input_shape),
    )


def check_shapes(model: nn.Module, input_shape: tuple[int, int, int], classes: int | None) -> None:
    """Check that `model` takes images of (channels, height, width) and answers with one number per class.

    classes None: it must answer with an image of the same shape, as an autoencoder does.
    Raises UserError that names the layer and both shapes.
    """
    check_output(follow(model, input_shape), input_shape if classes is None else (classes,), classes)


def check_output(met: Trace, wanted: tuple[int, ...] | None, classes: int | None = None) -> None:
    """Check what a traced model answered with: one tensor, `wanted` for each image, None: of any shape.

    classes: how many there are, None for a model that reconstructs. Raises UserError.
    """
    shape = getattr(met.output, "shape", None)
    if shape is None:
        each = f", {_shape(wanted)} for each image" if wanted else ", and classlab takes no other answer"
        raise UserError(f"the model must return a tensor{each}; it returns {_returned(met.output)}")
    given = tuple(shape[1:])
    last = _named(met.steps)[-1] if met.steps else None
    by = f"its last layer {last.name} ({last.kind}) gives" if last else "it gives"
    if shape[:1] != (2,):
        raise UserError(f"the model must keep the images of a batch apart; of 2 images {by} {_shape(tuple(shape))}")
    if wanted is not None and given != wanted:
        meaning = "the images have the shape" if classes is None else f"{classes} classes need"
        flat = classes is None and given == (prod(wanted),)
        advice = f"; end it with nn.Unflatten(1, {_shape(wanted)})" if flat else ""
        raise UserError(
            f"the model does not fit the data: {by} {_shape(given)} for each image, {meaning} {_shape(wanted)}{advice}"
        )


def check_training(model: nn.Module, input_shape: tuple[int, int, int]) -> None:
    """Check that the model answers with one tensor while it is trained, too. Raises UserError.

    Some give a second answer then, from a branch half-way, as GoogLeNet does.
    """
    network = copy.deepcopy(model).train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]), readers_code.running():
        try:
            output = network(blank(network, input_shape))
        except Exception:  # what the reader's code raises in training is shown there, with its lines
            return
    if not isinstance(output, torch.Tensor):
        raise UserError(
            f"in training mode the model returns {_returned(output)}, and a loss takes one tensor; return the main "
            "answer alone"
        )


def check_last_batch(model: nn.Module, input_shape: tuple[int, int, int], images: int, batch_size: int) -> None:
    """Check that `model` can be trained on one image where the last batch of an epoch of so many images holds but one.

    A batch norm over a single number a channel has no variance. Raises UserError that names a batch size that serves.
    """
    alone = batch_size == 1 or images % batch_size == 1
    if not alone or not any(isinstance(layer, _BatchNorm) for layer in model.modules()):
        return
    network = copy.deepcopy(model).train()
    like = next((weights for weights in model.parameters() if weights.is_floating_point()), torch.zeros(()))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            network(torch.zeros((1, *input_shape), dtype=like.dtype, device=like.device))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        sizes = (*range(batch_size - 1, 1, -1), *range(max(2, batch_size + 1), images + 1))
        other = next((size for size in sizes if images % size != 1), None)
        advice = f"; choose another, for example {other}" if other else ""
        raise UserError(
            f"training.batch_size {batch_size} leaves a batch of one of the {images:,} training images, "
            f"from which the model's batch norm has no variance to take{advice}"
        ) from None


def _named(steps: list[Step]) -> list[Layer]:
    """Turn steps into layers; function calls of the same name get numbers, a module met again keeps its name."""
    layers: list[Layer] = []
    seen: dict[str, int] = {}
    for step in steps:
        name = step.path or step.operation.kind
        if not step.repeated:
            seen[name] = seen.get(name, 0) + 1
            name = name if seen[name] == 1 else f"{name}_{seen[name]}"
        place = operations.window(step.operation) or {}
        layers.append(
            Layer(
                name,
                step.operation.kind,
                step.operation.output[1:],
                *(_short(place.get(key)) for key in ("kernel", "stride", "padding")),
                parameters=sum(parameter.numel() for parameter in step.parameters),
                multiply_adds=operations.multiply_adds(step.operation),
                receptive_field=step.field.to_json() if step.field else None,
                inputs=step.inputs,
                shared=step.shared,
                dilation=_short(place.get("dilation")),
                groups=step.operation.options.get("groups", 1) if place and "Conv" in step.operation.kind else None,
                norm_mixes=bool(step.field and step.field.mixed),
            )
        )
    return layers


def check_inputs(model: nn.Module) -> None:
    """Raise UserError where a model's forward asks for more, or for less, than one batch of images."""
    model = getattr(model, "_orig_mod", model)  # of a compiled model, the one that was compiled
    if isinstance(model, torch.jit.ScriptModule):
        return
    kinds = inspect.Parameter
    parameters = inspect.signature(model.forward).parameters.values()
    asked = [part.name for part in parameters if part.default is part.empty and "VAR" not in part.kind.name]
    takes = [part for part in parameters if part.kind in {kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD}]
    if len(asked) > 1:
        what = f"takes {len(asked)} inputs ({', '.join(asked)})"
    elif not takes and not any(part.kind is kinds.VAR_POSITIONAL for part in parameters):
        what = "takes no images"
    else:
        return
    raise UserError(f"a network is given one input, a batch of images; the forward of {type(model).__name__} {what}")


def _returned(output: object) -> str:
    """Say what a model returned instead of a tensor: a tuple of 2 (Tensor, Tensor)."""
    parts = list(output.values()) if isinstance(output, dict) else output
    if not isinstance(parts, list | tuple):
        return f"a {type(output).__name__}"
    return f"a {type(output).__name__} of {len(parts)} ({', '.join(type(part).__name__ for part in parts)})"


def _memory(input_shape: tuple[int, int, int], steps: list[Step], parameters: int) -> dict[str, float]:
    """Return MiB at 4 bytes a number, as the classic summary reckons: each layer's output kept forward and backward."""
    outputs = sum(prod(step.operation.output[1:]) for step in steps)
    parts = {
        "input": prod(input_shape) * 4 / MEBIBYTE,
        "forward_backward": 2 * outputs * 4 / MEBIBYTE,
        "parameters": parameters * 4 / MEBIBYTE,
    }
    return {**parts, "total": sum(parts.values())}


def misfit(failure: Failure, input_shape: tuple[int, int, int]) -> str:
    """Say which layer cannot take what it is given, with both shapes."""
    layer, given = failure.module, failure.inputs[0][1:] if failure.inputs else ()
    names = {nn.Conv2d: "in_channels", nn.ConvTranspose2d: "in_channels", nn.BatchNorm2d: "num_features"}
    channels = next((getattr(layer, name) for kind, name in names.items() if isinstance(layer, kind)), None)
    if isinstance(layer, nn.Linear):
        takes = f"takes {_shape((layer.in_features,))}"
    elif channels is not None and (len(given) != 3 or given[0] != channels):
        takes = f"takes ({channels}, height, width)"
    else:
        reason = str(failure.error).strip().splitlines() or [type(failure.error).__name__]
        takes = f"cannot work on it ({reason[0].rstrip('.')})"
    return (
        f"the model does not fit images of shape {_shape(input_shape)}: "
        f"its layer {failure.path or failure.kind} ({failure.kind}) is given {_shape(given)} and {takes}"
    )


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(str(side) for side in shape)})"


def _short(pair: tuple[int, int] | None) -> int | tuple[int, int] | None:
    return pair[0] if pair and pair[0] == pair[1] else pair

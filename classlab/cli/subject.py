"""What `classlab inspect` looks at: the network of an experiment, or a reader's own by FILE.py:NAME."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files, limits, lookup, own_code
from classlab.errors import UserError, listing

if TYPE_CHECKING:
    from torch import nn

    from classlab.experiment import Choice, Experiment
    from classlab.network.trace import Trace

Shape = tuple[int, int, int]
SIDES = {1: (28, 32, 8, 64, 96, 128, 224), 3: (32, 28, 64, 96, 128, 224)}  # tried where no size is stated
LARGEST = 4096  # pixels a side, and channels
CLASSES = 10  # handed over, where no data says how many there are, to a network that asks and has no default


@dataclass(frozen=True)
class Subject:
    """A network and what is known of its images. met: what an image met in it.

    description: what the network is, in words. images: of what images. wanted: the shape of its answer for an image,
    and classes: how many there are; None where no data says.
    """

    name: str
    description: str
    images: str
    model: "nn.Module"
    met: "Trace"
    input_shape: Shape
    wanted: tuple[int, ...] | None
    classes: int | None
    loss: "Choice"
    experiment: "Experiment | None" = None


def is_code(name: str) -> bool:
    """Say whether a name on the command line means code and no experiment."""
    return bool(re.search(r"\.py(:|$)", name) or re.fullmatch(r"\w+(\.\w+)*:\w*", name))


def of_experiment(name: str, settings: Sequence[str]) -> Subject:
    """Return the network of an experiment. Raises UserError where an image cannot go through it."""
    from classlab.drawing.layer_columns import sides
    from classlab.experiment import load
    from classlab.models.make import make
    from classlab.network.layer_table import follow
    from classlab.runs.start import freeze
    from classlab.training.task import reconstructs

    experiment = load(name, settings, trust=True)  # what is named on the command line is the reader's own
    shape, classes = _shape_and_classes(experiment)
    model = make(experiment.model, experiment.training.initialise, shape, classes, seed=0)
    freeze(model, experiment.training.start_from)
    loss = experiment.training.loss
    wanted = shape if reconstructs(loss) else (classes,)
    images = f"{experiment.data.dataset.name}, {sides(shape)}, {classes} classes"
    met = follow(model, shape)
    return Subject(experiment.name, str(experiment.model), images, model, met, shape, wanted, classes, loss, experiment)


def of_code(name: str, settings: Sequence[str], size: str | None) -> Subject:
    """Return the network that FILE.py:NAME or package.module:NAME means, for images of a size such as 3x32x32.

    Where no size is stated usual ones are tried. Raises UserError.
    """
    from classlab.drawing.layer_columns import sides
    from classlab.experiment import Choice
    from classlab.models.make import make
    from classlab.network.layer_table import follow

    _check_named(name)
    shape = None if size is None else _shape(size)
    with own_code.trusting():  # what is named on the command line is the reader's own
        options, filled_in = _options(name, settings, shape is not None)

        def build(shape: Shape) -> "nn.Module":
            return make(Choice(name=name, **options), Choice(name="default"), shape, CLASSES, seed=0)

        if shape is None:
            model, shape, met = _first_that_fits(build)
        else:
            model = build(shape)
            met = follow(model, shape)
    known = lookup.facts(shape, CLASSES)
    words = ", ".join(f"{key} {sides(known[fact])}" for key, fact in filled_in.items())
    images = f"images {sides(shape)}" + ("" if size else ", the first usual size that fits (--input states another)")
    answer = tuple(getattr(met.output, "shape", ()))[1:]
    loss = Choice(name="reconstruction" if answer == shape else "cross_entropy")
    return Subject(name, f"filled in: {words}" if words else "", images, model, met, shape, None, None, loss)


def _shape_and_classes(experiment: "Experiment") -> tuple[Shape, int]:
    """Return what the dataset's own file says of its images, or load it where the file does not say."""
    import sys

    from classlab.data.loading import prepare

    plan = experiment.data
    module = sys.modules[lookup.find("dataset", plan.dataset.name).__module__]
    if ":" not in plan.dataset.name and hasattr(module, "SHAPE") and hasattr(module, "CLASS_NAMES"):
        renumbered = plan.classes if plan.labels == "renumber" else None
        return module.SHAPE, len(renumbered or module.CLASS_NAMES)
    dataset = prepare(plan, fetch=False)
    return dataset.input_shape, len(dataset.class_names)


def _shape(text: str) -> Shape:
    """Read a size such as 3x32x32."""
    sides = re.findall(r"\d+", text) if re.fullmatch(r"\s*\d+\s*([x×*,]\s*\d+\s*){2}", text, re.IGNORECASE) else []
    if len(sides) != 3 or not all(1 <= int(side) <= LARGEST for side in sides):
        raise UserError(
            "--input takes channels x height x width, such as 1x28x28 or 3x32x32, "
            f"each from 1 to {LARGEST:,}; got {text[: limits.ECHO]}"
        )
    channels, height, width = map(int, sides)
    return channels, height, width


def _check_named(name: str) -> None:
    """Raise UserError where a file is given without the name of a network in it."""
    source, _, attribute = name.rpartition(":")
    if attribute and not name.endswith(".py"):
        return
    found: list[str] = []
    with suppress(UserError, SyntaxError, ValueError):
        code = files.read(Path(name if name.endswith(".py") else source), limits.CODE_BYTES)
        found = [part.name for part in ast.parse(code).body if isinstance(part, ast.ClassDef | ast.FunctionDef)]
    defines = f"; it defines {listing(found)}" if found else ""
    raise UserError(f"a network in a file is named by FILE.py:NAME; got {name[: limits.ECHO_PATH]}{defines}")


def _options(name: str, settings: Sequence[str], size_is_stated: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options of a reader's network, and what is filled in under names of its author's own.

    What no data says is left at the author's default: the number of classes, and the size where none is stated.
    """
    import inspect

    from pydantic import ValidationError

    from classlab.validation import sentence
    from classlab.yaml_text import set_value

    fields: dict[str, Any] = {"model": {}}
    for setting in settings:
        set_value(fields, setting)
    if set(fields) != {"model"} or not isinstance(fields["model"], dict):
        raise UserError("of a network without an experiment only its options are set: --set model.OPTION=VALUE")
    options, function = fields["model"], lookup.find("model", name)
    try:
        lookup.check_options("model", name, options)
    except ValidationError as error:
        known = lookup.options_model("model", function)
        raise UserError(f"{name}: {sentence(error, known, 'it')} (--set model.OPTION=VALUE sets an option)") from None
    filled_in = lookup.filled_in("model", function, options)
    for key, fact in list(filled_in.items()):
        default = inspect.signature(function).parameters[key].default
        if default is not inspect.Parameter.empty and (fact == "classes" or not size_is_stated):
            options[key] = default
            del filled_in[key]
    return options, filled_in


def _first_that_fits(build: "Callable[[Shape], nn.Module]") -> "tuple[nn.Module, Shape, Trace]":
    """Return the network, the first usual size of images that goes through it, and what they met.

    Raises what the size got that went furthest, where none goes through.
    """
    from classlab.network.layer_table import check_inputs, misfit
    from classlab.network.trace import BATCH, trace

    furthest = -1
    raised: Exception = UserError("no usual size of images fits; state one with --input CxHxW")
    for shape in _sizes(build):
        try:
            model = build(shape)
            check_inputs(model)
            met = trace(model, shape)
        except Exception as caught:  # a reader's network may refuse a size in any way
            steps, error = 0, caught
        else:
            if met.failed is None and getattr(met.output, "shape", (BATCH,))[:1] == (BATCH,):
                return model, shape, met
            problem = misfit(met.failed, shape) if met.failed else f"images {shape} do not fit {type(model).__name__}"
            steps, error = len(met.steps), UserError(f"{problem}; --input CxHxW states another size")
        if steps > furthest:
            furthest, raised = steps, error
    raise raised


def _sizes(build: "Callable[[Shape], nn.Module]") -> Iterator[Shape]:
    """Yield the sizes of images to try: those that the network's first layer can take."""
    from torch import nn

    layers: list[nn.Module] = []
    with suppress(UserError):  # a lazy layer is given its shape by an image, which this one need not fit
        layers = list(build((1, 28, 28)).modules())
    for layer in layers:
        channels = getattr(layer, "in_channels", None)
        if isinstance(channels, int) and channels > 0:
            yield from ((channels, side, side) for side in SIDES.get(channels, SIDES[3]))
            return
        if isinstance(layer, nn.Linear):
            for channels in SIDES:
                side = isqrt(layer.in_features // channels)
                if side > 1 and channels * side**2 == layer.in_features:
                    yield channels, side, side
            break
    yield from ((channels, side, side) for channels, known in SIDES.items() for side in known)

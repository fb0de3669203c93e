"""A name -> the function, class or file it means.

Names are not registered anywhere. Each kind of thing has a place. It is a folder in which every file is one thing
(datasets, models, experiments), or a module in which every public function is one (losses, optimizers).
`package.module:name` and `file.py:name` mean the reader's own code, which `own_code` imports.
"""

import ast
import functools
import importlib
import importlib.abc
import importlib.util
import inspect
import re
import typing
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydantic

from classlab import own_code, readers_code, signatures
from classlab.errors import UserError, did_you_mean, listing
from classlab.wishes import way_on
from classlab.yaml_text import echoed

HOME = Path(__file__).parent

# kind -> (the function that every file of a folder defines, that folder)
FOLDERS = {
    "dataset": ("load", "data/sources"),
    "model": ("build", "models"),
    "block": ("blocks", "report/blocks"),
    "place": ("train", "study/places"),
}
# kind -> the module whose public functions are the things
MODULES = {
    "augmentation": "data/augmentations.py",
    "initialisation": "models/initialise.py",
    "loss": "training/losses.py",
    "mixing": "training/mixings.py",
    "optimizer": "training/optimizers.py",
    "schedule": "training/schedules.py",
}
# kind -> the folder of shipped YAML files
FILES = {
    "assignment": "course/assignments",
    "contract": "contracts",
    "experiment": "experiments",
    "report": "reports",
    "study": "studies",
}

# What the authors of networks call the classes, the image's channels, its side and its pixels, in small letters without
# underscores. These are handed over too, unless the file states them. The ambiguous ones mean other things as well, the
# features of a last layer or the width of a network: there a default that the author gave stands.
ALSO_CALLED = {
    **dict.fromkeys(("numclasses", "nclasses", "nbclasses", "numclass", "nclass", "numlabels"), "classes"),
    **dict.fromkeys(("inchannels", "inputchannels", "inchans", "inch", "imagechannels", "imgchannels"), "channels"),
    **dict.fromkeys(("imgsize", "imagesize"), "side"),
}
AMBIGUOUS = {
    **dict.fromkeys(("outputdim", "outdim", "outputsize", "numoutputs", "noutputs", "outfeatures"), "classes"),
    **dict.fromkeys(("numchannels", "nchannels"), "channels"),
    **dict.fromkeys(("inputdim", "indim", "infeatures", "numinputs", "ninputs", "inputfeatures"), "pixels"),
}
# Parameters with these names are handed over by classlab; every other parameter of a function is an option in the file.
HANDED_OVER = {
    "dataset": (),
    "model": ("input_shape", "classes"),
    "augmentation": ("images", "generator"),
    "initialisation": ("module", "generator"),
    "loss": ("outputs", "targets", "inputs", "clean"),
    "optimizer": ("parameters",),
    "block": ("material",),
    "schedule": ("step", "steps", "steps_per_epoch", "losses"),
    "mixing": ("images", "others", "random"),
}


@functools.cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names that `kind` ships, sorted, without importing any of them."""
    if kind in FILES:
        return tuple(sorted(path.stem for path in (HOME / FILES[kind]).glob("*.yaml")))
    if kind in FOLDERS:
        function, folder = FOLDERS[kind]
        paths = sorted((HOME / folder).glob("*.py"))
        return tuple(_spelled(kind, path.stem) for path in paths if function in _public_functions(path))
    return _public_functions(HOME / MODULES[kind])


def find(kind: str, name: str) -> Callable[..., Any]:
    """Return the function or class that `name` means, shipped or the reader's own.

    Raises UserError with a suggestion where nothing has that name, and Untrusted for code that is not trusted.
    """
    if own_code.is_own_code(name):
        return _readers_own(kind, name)
    file, function = _place(kind, name)
    return getattr(importlib.import_module(_module_name(file.relative_to(HOME).as_posix())), function)


def _place(kind: str, name: str) -> tuple[Path, str]:
    """Return the file of something shipped and its function there. Raises UserError with a suggestion."""
    if name not in names(kind):
        raise UserError(
            f"there is no {kind} named {echoed(name)!r}{way_on(name, did_you_mean(name, names(kind))) or ';'} "
            f"known: {listing(names(kind))}; or package.module:name, file.py:name"
        )
    stem = name.replace("-", "_").replace(" ", "_")
    if kind in FOLDERS:
        function, folder = FOLDERS[kind]
        return HOME / folder / f"{stem}.py", function
    return HOME / MODULES[kind], stem


def path(kind: str, name: str) -> Path:
    """Return the shipped YAML file that `name` means. Raises UserError with a suggestion."""
    if name not in names(kind):
        raise UserError(_no_file(kind, name))
    return HOME / FILES[kind] / f"{name}.yaml"


def _no_file(kind: str, name: str) -> str:
    """Return a sentence for a name that is neither shipped nor a file of YAML, by what it is instead."""
    source, _, attribute = name.rpartition(":") if own_code.is_own_code(name) else (name, "", "Net")
    if source.endswith(".py"):
        return f"{echoed(name)} is code and no {kind}; an experiment names it: model: {{name: {source}:{attribute}}}"
    if Path(name).is_dir():
        return f"{echoed(name)} is a folder and no {kind}; name a YAML file, or what is shipped: {listing(names(kind))}"
    other = next((kind_of for kind_of in FILES if kind_of != kind and name in names(kind_of)), None)
    if other:
        article = "an" if other[0] in "aeiou" else "a"
        return f"{name} is {article} {other} and no {kind}; shipped: {listing(names(kind))}"
    return (
        f"there is no {kind} named {echoed(name)!r}, and no such file{did_you_mean(name, names(kind)) or ';'} "
        f"shipped: {listing(names(kind))}"
    )


def docstring(kind: str, name: str) -> str:
    """Return what the file of something shipped, or its function in a file of many, says of it; nothing is imported."""
    file, function = _place(kind, name)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if kind in MODULES:
        found = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
        return ast.get_docstring(next(found)) or ""
    return ast.get_docstring(tree) or ""


def check_options(kind: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check `given` against the signature of what `name` means and return it with every default filled in.

    Raises pydantic.ValidationError with the option's own name as the location.
    """
    known = known_options(kind, name, strict=True)(**options)
    filled = set(filled_in(kind, find(kind, name), options)) if own_code.is_own_code(name) else None
    return known.model_dump(exclude=filled)


def known_options(kind: str, name: str, *, strict: bool = False) -> type[pydantic.BaseModel]:
    """Return a pydantic model of the options of what `name` means: shipped ones are read without importing anything.

    Raises UserError with a suggestion where nothing has that name, and Untrusted for code that is not trusted.
    """
    if not own_code.is_own_code(name):
        file, function = _place(kind, name)
        try:
            return _options_model(kind, signatures.options(file, function, HANDED_OVER[kind]), "forbid", strict)
        except signatures.NotReadError:
            pass  # imported, it says the same
    return options_model(kind, find(kind, name), strict=strict)


def options_model(kind: str, function: Callable[..., Any], *, strict: bool = False) -> type[pydantic.BaseModel]:
    """Return a pydantic model of the options that `function` takes from a file: its types, ranges and defaults."""
    try:
        hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function, include_extras=True)
    except NameError:  # annotations that only exist while type checking
        hints = {}
    fields: dict[str, tuple[Any, Any]] = {}
    extra: typing.Literal["allow", "forbid"] = "forbid"
    for parameter in _parameters(function).values():
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = "allow"
        elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in HANDED_OVER[kind]:
            default = signatures.REQUIRED if parameter.default is parameter.empty else parameter.default
            if kind == "model" and default is signatures.REQUIRED and _fact(parameter):
                default = None  # what is filled in need not be stated
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
    return _options_model(kind, fields, extra, strict)


def _options_model(
    kind: str, options: Mapping[str, tuple[Any, Any]], extra: typing.Literal["allow", "forbid"], strict: bool
) -> type[pydantic.BaseModel]:
    """Return a pydantic model of options: annotation and default by name."""
    config = pydantic.ConfigDict(
        extra=extra, strict=strict, allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=()
    )
    fields: dict[str, Any] = {
        name: (annotation, ... if default is signatures.REQUIRED else default)
        for name, (annotation, default) in options.items()
    }
    with warnings.catch_warnings(action="ignore"):  # an option may be called as a method of pydantic's is
        return pydantic.create_model(f"Options of {kind}", __config__=config, **fields)


def bind(kind: str, name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what `name` means with its options filled in; it takes what classlab hands over, by keyword."""
    function = find(kind, name)
    wanted = taken(kind, function)
    asked = filled_in(kind, function, options)

    def bound(**handed_over: Any) -> Any:
        known = facts(**handed_over) if asked else {}
        given = {key: handed_over[key] for key in wanted} | {key: known[fact] for key, fact in asked.items()}
        with own_code.neighbours_of(name):
            if kind not in {"model", "dataset"} or not own_code.is_own_code(name):
                return function(**given, **options)
            with readers_code.running(), readers_code.missing_modules(name):
                return function(**given, **options)

    return bound


def filled_in(kind: str, function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, str]:
    """Return what is filled in of a network's parameters, name -> fact: those that `options` does not state."""
    parameters = _parameters(function) if kind == "model" else {}
    found = {name: _fact(parameter) for name, parameter in parameters.items() if name not in options}
    return {name: fact for name, fact in found.items() if fact}


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what a function or a class takes; a network that stands ready in a reader's file takes nothing."""
    return {} if is_network(function) else inspect.signature(function).parameters


def taken(kind: str, function: Callable[..., Any]) -> list[str]:
    """Return which of the things that classlab hands over a function or a class asks for."""
    parameters = _parameters(function)
    return [key for key in HANDED_OVER[kind] if key in parameters]


def is_network(thing: Any) -> bool:
    """Say whether this is a network, and no function or class that makes one, without importing torch."""
    return not inspect.isclass(thing) and hasattr(thing, "state_dict") and hasattr(thing, "forward")


def _fact(parameter: inspect.Parameter) -> str | None:
    """Return which fact of the data a parameter of a network asks for by its name, None for none."""
    name = parameter.name.lower().replace("_", "")
    return ALSO_CALLED.get(name) or (AMBIGUOUS.get(name) if parameter.default is parameter.empty else None)


def facts(input_shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    """Return what `filled_in` names: classes, channels, side, pixels."""
    channels, height, width = input_shape
    side = height if height == width else (height, width)
    return {"classes": classes, "channels": channels, "side": side, "pixels": channels * height * width}


def _readers_own(kind: str, name: str) -> Callable[..., Any]:
    source, _, attribute = name.rpartition(":")  # a file of Windows has a colon of its own
    if not attribute.isidentifier() or not (
        source.endswith(".py") or re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", source)
    ):
        raise UserError(f"{kind} must be a name, file.py:name or package.module:name; got {echoed(name)!r}")
    module = own_code.load(name, source)
    thing = getattr(module, attribute, None)
    if not callable(thing):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        written = [key for key in public if getattr(vars(module)[key], "__module__", "") == module.__name__]
        public = written or public  # what the file only imports is no help
        raise UserError(
            f"{source} defines no function or class {attribute!r} to use as {kind}"
            f"{did_you_mean(attribute, public) or ';'} it has: {listing(public) or 'none'}"
        )
    return thing


@functools.cache
def _public_functions(file: Path) -> tuple[str, ...]:
    # The file is read, not imported: a list of names, as in --help or a suggestion, shall not wait for torch.
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"))


def _spelled(kind: str, stem: str) -> str:
    """Datasets are spelled as their authors do (fashion-mnist), blocks and places as words, models as in Python."""
    signs = {"dataset": "-", "block": "-", "place": " "}
    return stem.replace("_", signs.get(kind, "_"))


def _module_name(file: str) -> str:
    return "classlab." + file.removesuffix(".py").replace("/", ".")

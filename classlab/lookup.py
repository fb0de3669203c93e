"""A name -> the function, class or file it means.

Names are not registered anywhere. A kind of thing has a place: a folder in which every file is one thing (datasets,
models, experiments) or a module in which every public function is one thing (losses, optimizers). `package.module:name`
and `file.py:name` mean the reader's own code.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydantic

from classlab.errors import UserError, did_you_mean, listing

HOME = Path(__file__).parent

# kind -> (the function that every file of a folder defines, that folder)
FOLDERS = {
    "dataset": ("load", "data/sources"),
    "model": ("build", "models"),
}
# kind -> the module whose public functions are the things
MODULES = {
    "augmentation": "data/augmentations.py",
    "initialisation": "models/initialise.py",
    "loss": "training/losses.py",
    "optimizer": "training/optimizers.py",
    "schedule": "training/schedules.py",
}
# kind -> the folder of shipped YAML files
FILES = {
    "assignment": "course/assignments",
    "contract": "contracts",
    "experiment": "experiments",
    "study": "studies",
}

# Parameters with these names are handed over by classlab; every other parameter of a function is an option in the file.
HANDED_OVER = {
    "dataset": (),
    "model": ("input_shape", "classes"),
    "augmentation": ("images", "generator"),
    "initialisation": ("module", "generator"),
    "loss": ("outputs", "targets", "inputs", "clean"),
    "optimizer": ("parameters",),
    "schedule": ("step", "steps", "steps_per_epoch", "losses"),
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

    Raises UserError with a suggestion where nothing has that name.
    """
    if ":" in name:
        return _readers_own(kind, name)
    if name not in names(kind):
        raise UserError(
            f"there is no {kind} named {name!r}{did_you_mean(name, names(kind)) or ';'} "
            f"known: {listing(names(kind))}; or package.module:name, file.py:name"
        )
    stem = name.replace("-", "_")
    if kind in FOLDERS:
        function, folder = FOLDERS[kind]
        return getattr(importlib.import_module(_module_name(f"{folder}/{stem}.py")), function)
    return getattr(importlib.import_module(_module_name(MODULES[kind])), stem)


def path(kind: str, name: str) -> Path:
    """Return the shipped YAML file that `name` means. Raises UserError with a suggestion."""
    if name not in names(kind):
        raise UserError(
            f"there is no {kind} named {name!r}, and no such file{did_you_mean(name, names(kind)) or ';'} "
            f"shipped: {listing(names(kind))}"
        )
    return HOME / FILES[kind] / f"{name}.yaml"


def check_options(kind: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check `given` against the signature of what `name` means and return it with every default filled in.

    Raises pydantic.ValidationError with the option's own name as the location.
    """
    function = find(kind, name)
    return options_model(kind, function, strict=True)(**given).model_dump()


def options_model(kind: str, function: Callable[..., Any], *, strict: bool = False) -> type[pydantic.BaseModel]:
    """Return a pydantic model of the options that `function` takes from a file: its types, ranges and defaults."""
    try:
        hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function, include_extras=True)
    except NameError:  # annotations that only exist while type checking
        hints = {}
    fields: dict[str, Any] = {}
    extra: typing.Literal["allow", "forbid"] = "forbid"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = "allow"
        elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in HANDED_OVER[kind]:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
    config = pydantic.ConfigDict(extra=extra, strict=strict, allow_inf_nan=False, arbitrary_types_allowed=True)
    return pydantic.create_model(f"Options of {kind}", __config__=config, **fields)


def bind(kind: str, name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what `name` means with its options filled in; it takes what classlab hands over, by keyword."""
    function = find(kind, name)
    parameters = inspect.signature(function).parameters
    wanted = [key for key in HANDED_OVER[kind] if key in parameters]

    def bound(**handed_over: Any) -> Any:
        return function(**{key: handed_over[key] for key in wanted}, **options)

    return bound


def _readers_own(kind: str, name: str) -> Callable[..., Any]:
    source, _, attribute = name.rpartition(":")  # a file of Windows has a colon of its own
    module = _import_file(Path(source)) if source.endswith(".py") else _import_module(source)
    found = getattr(module, attribute, None)
    if not callable(found):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(
            f"{source} defines no function or class {attribute!r} to use as {kind}"
            f"{did_you_mean(attribute, public) or ';'} it has: {listing(public) or 'none'}"
        )
    return found


def _import_file(file: Path) -> Any:
    if not file.is_file():
        raise UserError(f"there is no file {file} to take code from")
    name = f"classlab_file_{file.resolve().stem}_{abs(hash(str(file.resolve()))):x}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec and spec.loader, "a .py file always has a loader"
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            _raise_as_it_is(error, str(file))
    return sys.modules[name]


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except (ValueError, AssertionError) as error:
        _raise_as_it_is(error, name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise UserError(
                f"there is no module named {name!r} to take code from (file.py:name takes a file)"
            ) from None
        raise


def _raise_as_it_is(error: BaseException, source: str) -> typing.NoReturn:
    """Raise what the reader's own code raised, so that its traceback is seen.

    pydantic, which asks for the code, takes a ValueError or AssertionError for a setting that is wrong.
    """
    if isinstance(error, ValueError | AssertionError):
        raise ImportError(f"{source} raised {type(error).__name__}: {error}") from error
    raise error


@functools.cache
def _public_functions(file: Path) -> tuple[str, ...]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"))


def _spelled(kind: str, stem: str) -> str:
    """Datasets are spelled as their authors spell them (fashion-mnist), everything else as Python does."""
    return stem.replace("_", "-") if kind == "dataset" else stem


def _module_name(file: str) -> str:
    return "classlab." + file.removesuffix(".py").replace("/", ".")

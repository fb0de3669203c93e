"""A name -> the function, class or file it means.

Names are not registered anywhere. A kind of thing has a place: a folder in which every file is one thing (datasets,
models, experiments) or a module in which every public function is one thing (losses, optimizers). `package.module:name`
and `file.py:name` mean the reader's own code.

This is the one place that imports a reader's code, and it refuses unless this process was told to trust that file or
module: whatever document a name stands in, and in whatever way it came there, no code runs before somebody said so.
"""

import ast
import contextvars
import functools
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pydantic

from classlab import files, limits, readers_code, signatures
from classlab.errors import UserError, did_you_mean, listing
from classlab.wishes import way_on
from classlab.yaml_text import echoed

HOME = Path(__file__).parent
FILE_PREFIX = "classlab_file_"  # of the names of modules made from a reader's files

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
}


class Untrusted(UserError):
    """A document takes code from a file or a module that this process was not told to trust.

    where: the document, "" where it is not known. what: what it does, in words.
    """

    where, what = "", "takes code from a file"


_trusting = contextvars.ContextVar("trusting", default=False)
_trusted: set[str] = set()  # files by their resolved path, modules by name


@contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Trust the code that is named while the block lasts; what was used once stays trusted in this process.

    Inside a block that trusts, one that does not has no say: whoever trusts the whole trusts its parts.
    """
    token = _trusting.set(trust or _trusting.get())
    try:
        yield
    finally:
        _trusting.reset(token)


def is_own_code(name: str) -> bool:
    """Say whether a name means code of the reader's own, as `file.py:name` and `package.module:name` do."""
    return ":" in name


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
    if is_own_code(name):
        return _readers_own(kind, name)
    file, function = _place(kind, name)
    return getattr(importlib.import_module(_module_name(file.relative_to(HOME).as_posix())), function)


def _place(kind: str, name: str) -> tuple[Path, str]:
    """Return the file of something shipped and its function there. Raises UserError with a suggestion."""
    if name not in names(kind):
        raise UserError(
            f"there is no {kind} named {echoed(name)!r}{way_on(name) or did_you_mean(name, names(kind)) or ';'} "
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
        raise UserError(
            f"there is no {kind} named {echoed(name)!r}, and no such file{did_you_mean(name, names(kind)) or ';'} "
            f"shipped: {listing(names(kind))}"
        )
    return HOME / FILES[kind] / f"{name}.yaml"


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
    return known.model_dump(exclude=set(filled_in(kind, find(kind, name), options)) if is_own_code(name) else None)


def known_options(kind: str, name: str, *, strict: bool = False) -> type[pydantic.BaseModel]:
    """Return a pydantic model of the options of what `name` means: shipped ones are read without importing anything.

    Raises UserError with a suggestion where nothing has that name, and Untrusted for code that is not trusted.
    """
    if not is_own_code(name):
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
    parameters = _parameters(function)
    wanted = [key for key in HANDED_OVER[kind] if key in parameters]
    asked = filled_in(kind, function, options)

    def bound(**handed_over: Any) -> Any:
        known = facts(**handed_over) if asked else {}
        given = {key: handed_over[key] for key in wanted} | {key: known[fact] for key, fact in asked.items()}
        if kind not in {"model", "dataset"} or not is_own_code(name):
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
    file = Path(source).resolve() if source.endswith(".py") else None
    _refuse_untrusted(name, str(file or source))
    module = _import_file(file, source) if file else _import_module(source)
    thing = getattr(module, attribute, None)
    if not callable(thing):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(
            f"{source} defines no function or class {attribute!r} to use as {kind}"
            f"{did_you_mean(attribute, public) or ';'} it has: {listing(public) or 'none'}"
        )
    return thing


def untrusted(where: str, what: str) -> Untrusted:
    """Return what is raised of a document, `where`, that takes code from somewhere, `what`."""
    refusal = "opening it runs that code, which is refused unless --trust is given (in Python trust=True)"
    error = Untrusted(f"{where} {what}; {refusal}".strip())
    error.where, error.what = where, what
    return error


def named(error: Untrusted, where: str) -> Untrusted:
    """Return the error with the document that it is of, where it does not name one yet: the innermost says most."""
    return error if error.where else untrusted(where, error.what)


def _refuse_untrusted(name: str, source: str) -> None:
    if _trusting.get():
        _trusted.add(source)
    elif source not in _trusted:
        raise untrusted("", f"takes code from {echoed(name, limits.ECHO_PATH)}")


# Names of the modules that a reader's file imported from its own folder. They go before the next file is imported:
# another file's helpers.py is another module, and an edited one is read again.
_neighbours: set[str] = set()


def _import_file(file: Path, source: str) -> ModuleType:
    """Import a reader's file, once for each content: a file that was edited since is another module."""
    try:
        code = files.read(file, limits.CODE_BYTES)
    except files.MissingFile:
        raise UserError(f"there is no file {source} to take code from") from None
    # The name holds the digest of place and content, so that a file which was edited is read again in the same session.
    name = f"{FILE_PREFIX}{file.stem}_{hashlib.sha256(str(file).encode() + code).hexdigest()[:12]}"
    if name not in sys.modules:
        # As if its folder were a package, so that `from .blocks import Block` finds a neighbour too.
        spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(file.parent)])
        assert spec and spec.loader, "a .py file always has a loader"
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            with _beside(file.parent), readers_code.running(), readers_code.missing_modules(source):
                # What was read is what is run: the loader might meet a compiled file of another content.
                exec(compile(code, str(file), "exec", dont_inherit=True), module.__dict__)
        except BaseException as error:
            del sys.modules[name]
            _raise_as_it_is(error, source)
    return sys.modules[name]


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let a file import its neighbours while it is imported: its folder stands last on the path, behind all else."""
    for name in _neighbours:
        sys.modules.pop(name, None)
    _neighbours.clear()
    importlib.invalidate_caches()
    before = set(sys.modules)
    # Last, so that a reader's json.py cannot take the place of Python's for everything that is imported afterwards.
    sys.path.append(str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:  # the file itself may have changed the path
            sys.path.remove(str(folder))
        _neighbours.update(name for name in set(sys.modules) - before if _lies_in(sys.modules[name], folder))


def _lies_in(module: ModuleType, folder: Path) -> bool:
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    return place is not None and folder in Path(place).resolve().parents


def _import_module(name: str) -> ModuleType:
    try:
        with readers_code.running():
            return importlib.import_module(name)
    except (ValueError, AssertionError) as error:
        _raise_as_it_is(error, name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise UserError(
                f"there is no module named {name!r} to take code from (file.py:name takes a file)"
            ) from None
        with readers_code.missing_modules(name):
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
    # The file is read, not imported: a list of names, as in --help or a suggestion, shall not wait for torch.
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"))


def _spelled(kind: str, stem: str) -> str:
    """Datasets are spelled as their authors do (fashion-mnist), blocks and places as words, models as in Python."""
    signs = {"dataset": "-", "block": "-", "place": " "}
    return stem.replace("_", signs.get(kind, "_"))


def _module_name(file: str) -> str:
    return "classlab." + file.removesuffix(".py").replace("/", ".")

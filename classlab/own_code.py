"""A reader's own code, `file.py:name` or `package.module:name` -> the module that it stands in.

This is the one place that imports a user's own code. It refuses unless this process was told to trust that file or
module. So no code runs before the user has said so, whatever document names it. A finished run has a copy of the code
that it was made with, and its names mean that copy.
"""

import contextvars
import hashlib
import importlib
import importlib.abc
import importlib.util
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from classlab import files, limits, readers_code
from classlab.errors import UserError
from classlab.yaml_text import echoed

FILE_PREFIX = "classlab_file_"  # of the names of modules made from a reader's files


class Untrusted(UserError):
    """A document takes code from a file or a module that this process was not told to trust.

    where: the document, "" where it is not known. what: what it does, in words.
    """

    where, what = "", "takes code from a file"


class CopiedCode(typing.NamedTuple):
    """Code of the reader's own as a run keeps it: what was run when the run was made, and nothing else.

    folder: what stands in the place of the folder that the code was in. file: the file that is named, and digests: the
    SHA-256 of it and of each neighbour that it imported, by their paths below that folder.
    """

    folder: Path
    file: str
    digests: Mapping[str, str]


class CopiedName(str):
    """A name that means a run's own copy of the code; in every other way it is the name that the reader gave."""

    code: CopiedCode


_copies: contextvars.ContextVar[Mapping[str, CopiedCode] | None] = contextvars.ContextVar("copies", default=None)


@contextmanager
def copied(copies: Mapping[str, CopiedCode]) -> Iterator[None]:
    """Let names of the reader's own files mean copies of them while an experiment is read. copies: by the file."""
    token = _copies.set(copies)
    try:
        yield
    finally:
        _copies.reset(token)


def placed(name: str) -> str:
    """Return a name so that it goes on meaning the copy, where there is one of the file that it names."""
    code = (_copies.get() or {}).get(name.rpartition(":")[0])
    if code is None:
        return name
    found = CopiedName(name)
    found.code = code
    return found


_trusting = contextvars.ContextVar("trusting", default=False)
_trusted: set[str] = set()  # files by their resolved path, modules by name, code wherever it lies by its identity


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


def load(name: str, source: str) -> ModuleType:
    """Import what a name takes code from: the copy of a file that a run keeps, a file, or a module."""
    if isinstance(name, CopiedName):
        _refuse_untrusted(name, _identity(name.code.file, name.code.digests))
        return _import_copy(name.code, source)
    if not source.endswith(".py"):
        _refuse_untrusted(name, source)
        return _import_module(source)
    file = Path(source).resolve()
    _refuse_untrusted(name, str(file))
    module = _import_file(file, source)
    # Wherever it is copied to, it is the code that was trusted.
    _trusted.add(_identity(file.name, digests_of(_contents.get(module.__name__, {}))))
    return module


def contents(name: str) -> Mapping[str, bytes]:
    """Return what a name of the reader's own file is made of: the file first, then the neighbours that it imported.

    By their paths below the file's folder. Empty for a module, which is installed somewhere. The name was found before.
    """
    source = name.rpartition(":")[0]
    return _contents[load(name, source).__name__] if source.endswith(".py") else {}


def digests_of(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each content, by its path."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def untrusted(where: str, what: str) -> Untrusted:
    """Return what is raised of a document, `where`, that takes code from somewhere, `what`."""
    refusal = (
        "opening it runs that code, which is refused unless --trust is given (in Python trust=True); "
        "give it for code that is yours"
    )
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
_neighbours: dict[str, ModuleType] = {}
# Of each module that was made from a reader's file, by its name: its own content and that of its neighbours.
_contents: dict[str, dict[str, bytes]] = {}
# Of each that was made from a run's copy: who finds its neighbours, also when a function imports them.
_served: "dict[str, _Served]" = {}


def _import_file(file: Path, source: str) -> ModuleType:
    """Import a reader's file, once for each content: where it or a neighbour was edited, it is another module."""
    try:
        code = files.read(file, limits.CODE_BYTES)
    except files.MissingFile:
        raise UserError(f"there is no file {source} to take code from") from None
    # The name holds the digest of place and content, so that a file which was edited is read again in the same session.
    name = f"{FILE_PREFIX}{file.stem}_{hashlib.sha256(str(file).encode() + code).hexdigest()[:12]}"
    if name in sys.modules and all(
        (file.parent / path).is_file() and files.read(file.parent / path, limits.CODE_BYTES) == content
        for path, content in _contents.get(name, {}).items()  # of one that is being imported just now nothing is known
    ):
        return sys.modules[name]
    return _run(name, file, code, source, _beside(file.parent, name), [str(file.parent)])


def _import_copy(code: CopiedCode, source: str) -> ModuleType:
    """Import a run's copy of a file, whose content is what its digests say; its neighbours are copies too."""
    contents, file = _verified(code), code.folder / code.file
    identity = hashlib.sha256(f"{file.resolve()} {_identity(code.file, code.digests)}".encode()).hexdigest()
    name = f"{FILE_PREFIX}{file.stem}_{identity[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    neighbours = {path: content for path, content in contents.items() if path != code.file}
    served = _Served(code.folder, neighbours, Path(source).parent, name)
    for top in served.tops & (sys.stdlib_module_names | {__package__}):
        raise UserError(f"{code.folder} has a copy of {top}, which is not the reader's own; no code is taken from it")
    module = _run(name, file, contents[code.file], str(file), served.at_work(), [], _origin(Path(source)))
    _served[name] = served
    return module


def _run(
    name: str,
    file: Path,
    code: bytes,
    source: str,
    surroundings: AbstractContextManager[Mapping[str, bytes]],
    inside: list[str],
    origin: Path | None = None,
) -> ModuleType:
    """Make a module of a file's content. surroundings: in which it finds its neighbours, and afterwards what they are.

    It is made as if its folder were a package, so that `from .blocks import Block` finds a neighbour too. inside: the
    folders in which Python looks for such ones, none where they are found by other means. origin: what the module takes
    for its file, where that is another one.
    What was read is what is run: the loader might meet a compiled file of another content.
    """
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    assert spec and spec.loader, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(origin or file)
    sys.modules[name] = module
    try:
        with surroundings as neighbours, readers_code.running(), readers_code.missing_modules(source):
            exec(compile(code, str(file), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        _raise_as_it_is(error, source)
    _contents[name] = {file.name: code, **neighbours}
    return module


def _identity(file: str, digests: Mapping[str, str]) -> str:
    """Return what stands for a file and its neighbours, wherever they lie."""
    return hashlib.sha256(repr((file, sorted(digests.items()))).encode()).hexdigest()


def _verified(code: CopiedCode) -> dict[str, bytes]:
    """Return what a run's copy is made of, the named file first. Raises UserError where it is not what its run ran."""
    found = {}
    for path in [code.file, *sorted(code.digests)]:
        file = code.folder / path
        if any(step.is_symlink() for step in [file, *(code.folder / folder for folder in Path(path).parents)]):
            raise UserError(f"{file} lies behind a link, and no code is taken through links")
        try:
            found[path] = files.read(file, limits.CODE_BYTES)
        except files.MissingFile:
            raise UserError(f"{file} is missing, and the run was made with it; a run is whole with its code") from None
        if hashlib.sha256(found[path]).hexdigest() != code.digests.get(path):
            raise UserError(
                f"{file} is not what the run was made with (its SHA-256 is another one), so it is not run; put back "
                "the file that was there, or train again"
            )
    return found


@contextmanager
def _beside(folder: Path, module: str) -> Iterator[dict[str, bytes]]:
    """Let a file import its neighbours while it is imported: its folder stands last on the path, behind all else.

    module: the name that the file itself has, below which its relative imports are.
    Yields what is filled afterwards: the content of each neighbour in Python, by its path below the folder.
    """
    found: dict[str, bytes] = {}
    tops = _names_in(folder)

    def is_neighbour(name: str) -> bool:
        place = name.removeprefix(f"{module}.")
        return place.partition(".")[0] in tops and _lies_in(name, folder / place.replace(".", "/"))

    with _afresh(is_neighbour) as before:
        # Last, so that a reader's json.py cannot take the place of Python's for everything that is imported afterwards.
        sys.path.append(str(folder))
        try:
            yield found
        finally:
            if str(folder) in sys.path:  # the file itself may have changed the path
                sys.path.remove(str(folder))
            for name in filter(is_neighbour, set(sys.modules) - before):
                _neighbours[name] = sys.modules[name]
                file = getattr(sys.modules[name], "__file__", None)
                if file and file.endswith(".py"):
                    path = Path(file).resolve()
                    found[path.relative_to(folder).as_posix()] = files.read(path, limits.CODE_BYTES)


class _Served(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads the neighbours of a run's copy of a file, from their content.

    Nothing is read from the folder again, so neither a compiled file nor one that was added there is run. contents: by
    the path below the folder. origin: the folder that the code was in. module: the name that the file itself has.
    modules: those that were imported.
    """

    def __init__(self, folder: Path, contents: Mapping[str, bytes], origin: Path, module: str) -> None:
        self.folder, self.contents, self.origin, self.module = folder, contents, origin, module
        self.tops = {Path(path).parts[0].removesuffix(".py") for path in contents}
        self.modules: dict[str, ModuleType] = {}

    @contextmanager
    def at_work(self) -> Iterator[Mapping[str, bytes]]:
        """Let imports find the neighbours before anything else, while the block lasts; the session keeps its own."""
        held = self._taken_out()
        sys.modules.update(self.modules)
        sys.meta_path.insert(0, self)
        try:
            yield self.contents
        finally:
            sys.meta_path.remove(self)
            self.modules = self._taken_out()
            sys.modules.update(held)

    def _taken_out(self) -> dict[str, ModuleType]:
        found = [name for name in list(sys.modules) if name.partition(".")[0] in self.tops]
        return {name: sys.modules.pop(name) for name in found}

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return where a module is found; a folder without an __init__.py is a package too."""
        stem = fullname.removeprefix(f"{self.module}.").replace(".", "/")
        for file in (f"{stem}/__init__.py", f"{stem}.py"):
            if file in self.contents:
                package = file.endswith("/__init__.py")
                spec = importlib.util.spec_from_loader(fullname, self, origin=file, is_package=package)
                assert spec, "a loader has a spec"
                return spec
        if any(file.startswith(f"{stem}/") for file in self.contents):
            return importlib.util.spec_from_loader(fullname, self, origin="", is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's content."""
        file = module.__spec__.origin if module.__spec__ else None
        if file:
            module.__file__ = str(_origin(self.origin / file) or self.folder / file)
            code = compile(self.contents[file], str(self.folder / file), "exec", dont_inherit=True)
            exec(code, module.__dict__)


def neighbours_of(name: str) -> AbstractContextManager[Any]:
    """Return in what a run's copy of a function is called, so that it finds the neighbours that it imports then."""
    if not isinstance(name, CopiedName):
        return nullcontext()
    return _served[load(name, name.rpartition(":")[0]).__name__].at_work()


def _origin(file: Path) -> Path | None:
    """Return where a copied file was, None where it is there no more: data that lies beside it is looked for there."""
    return file.resolve() if file.is_file() else None


@contextmanager
def _afresh(which: Callable[[str], bool]) -> Iterator[set[str]]:
    """Take the modules that have such names out while the block lasts, so that they are imported anew; yield the rest.

    Neighbours of files that were imported earlier go for good. Those that the session itself imported come back.
    """
    for name, module in _neighbours.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
    _neighbours.clear()
    importlib.invalidate_caches()
    held = {name: module for name, module in list(sys.modules.items()) if name != "__main__" and which(name)}
    for name in held:
        del sys.modules[name]
    before = set(sys.modules)
    try:
        yield before
    finally:
        sys.modules.update(held)


def _names_in(folder: Path) -> set[str]:
    """Return the names that a folder may be imported by, but for classlab's own: somebody works beside it."""
    try:
        return {path.stem for path in folder.iterdir()} - {__package__}
    except OSError:
        return set()


def _lies_in(name: str, stem: Path) -> bool:
    """Say whether a module was found where its name says, as what lies in an environment below a folder was not."""
    try:  # a module may say anything of itself
        module = sys.modules[name]
        place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
        return place is not None and Path(place).resolve() in (Path(f"{stem}.py"), stem / "__init__.py", stem)
    except Exception:
        return False


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

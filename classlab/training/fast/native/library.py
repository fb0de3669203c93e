"""The library of a native step: built once for its source, compiler and processor, kept, checked and loaded."""

import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from classlab import files, limits
from classlab.data import cache
from classlab.errors import UserError
from classlab.training.fast.native.stages import NotNativeError

KERNELS = Path(__file__).with_name("kernels.c")
# None of them changes other arithmetic of the process; -ffast-math would: what is linked with it makes the processor
# take the smallest numbers for zero, in torch too. -ffp-contract=fast lets a product and a sum be one instruction.
FLAGS = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")
SECONDS = 120  # for a compiler to answer in
# gcc would carry an input from one pixel's sum to the next, in scalars, and have no registers left for the sums.
FLAGS_OF_GCC = ("-fno-predictive-commoning",)
LETTERS = 16  # of a digest
MOST_KEPT = 200  # libraries, some 60 kB each; those that were not used for longest go


@dataclass(frozen=True)
class Compiler:
    """A C compiler: the command that calls it, and what it says of its version."""

    command: tuple[str, ...]
    version: str

    @property
    def flags(self) -> tuple[str, ...]:
        """How it is called to build a library."""
        return FLAGS if "clang" in self.version else FLAGS + FLAGS_OF_GCC


@dataclass(frozen=True)
class Library:
    """A library, loaded. digest: of everything that decides what it computes. compiler: its version."""

    handle: ctypes.CDLL
    digest: str
    compiler: str


@functools.cache
def compiler() -> Compiler | None:
    """Return the C compiler: the system's, else the one that the package ziglang brings, else None."""
    commands: list[tuple[str, ...]] = [(found,) for name in ("cc", "gcc", "clang") if (found := shutil.which(name))]
    if importlib.util.find_spec("ziglang"):
        # -P: a folder in which somebody works may hold a ziglang.py of its own, which must not be run.
        commands.append((sys.executable, "-P", "-m", "ziglang", "cc"))
    for command in commands:
        with suppress(OSError, subprocess.SubprocessError):
            asked = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=SECONDS, check=True)
            return Compiler(command, asked.stdout.splitlines()[0].strip() if asked.stdout else command[0])
    return None


@functools.cache
def processor_flags() -> frozenset[str]:
    """Return what the processor has besides its basic instructions; empty where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.partition(":")[2].split())
    return frozenset()


def has_wide_vectors() -> bool:
    """Whether the processor has AVX-512, in the form that the kernels ask for: 32 registers of 16 floats."""
    return {"avx512f", "avx512vl", "avx512bw", "avx512dq"} <= processor_flags()


def has_bf16() -> bool:
    """Whether it multiplies pairs of bf16 numbers and adds them up in float."""
    return has_wide_vectors() and "avx512_bf16" in processor_flags()


def build(source: str, machine: str = "native") -> Library:
    """Return the library of a source; built where it is not in the user's cache, or is damaged there.

    machine: the processor it is for, as compilers call it. Raises NotNativeError without a compiler, or where it fails.
    """
    found = compiler()
    if found is None:
        raise NotNativeError("there is no C compiler")
    name = digest(source, found, machine)
    known = _kept(name)
    if known is not None:
        return Library(known, name, found.version)
    with tempfile.TemporaryDirectory(prefix="classlab-native-") as scratch:
        built = _compile(source, found, machine, Path(scratch), name)
        content = built.read_bytes()
        place = folder()
        if place is not None:
            with suppress(UserError):  # a cache that takes no file costs building again
                files.make_folder(place)
                files.write(place / _file_name(name, content), content)
                files.write(place / f"{name}.c", source)  # for whoever wants to read the step
                _tidy(place)
        return Library(_load(built, name), name, found.version)


def digest(source: str, found: Compiler, machine: str = "native") -> str:
    """Return what stands for everything that decides what a library computes."""
    parts = (source, KERNELS.read_text(encoding="utf-8"), found.version, " ".join(found.flags), machine)
    kind = (platform.machine(), *sorted(processor_flags()))
    return hashlib.sha256("\0".join([*parts, *kind]).encode()).hexdigest()[:LETTERS]


def folder() -> Path | None:
    """Return where libraries are kept; None where the user has no home folder."""
    user = cache.user_folder()
    return None if user is None else user / "native"


def _file_name(name: str, content: bytes) -> str:
    """Return the file name of a library: a part of its own digest, so that a damaged one is never loaded."""
    return f"{name}-{hashlib.sha256(content).hexdigest()[:LETTERS]}.so"


def _kept(name: str) -> ctypes.CDLL | None:
    """Return a library from the cache; None where it is not there, or is not what was written there."""
    place = folder()
    if place is None:
        return None
    with suppress(OSError, UserError):
        for file in sorted(place.glob(f"{name}-*.so")):
            if file.name == _file_name(name, files.read(file, limits.LIBRARY_BYTES)):
                with suppress(NotNativeError):
                    found = _load(file, name)
                    with suppress(OSError):  # a cache may be for reading alone
                        os.utime(file)
                    return found
    return None


def _tidy(place: Path) -> None:
    """Remove the libraries that were not used for longest, with what lies beside them, where there are many.

    One that another process has loaded stays loaded there.
    """
    kept = sorted(place.glob("*-*.so"), key=lambda file: file.stat().st_mtime)
    for library in kept[:-MOST_KEPT]:
        for file in (library, *(place / f"{library.name.partition('-')[0]}{ending}" for ending in (".c", ".json"))):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def _compile(source: str, found: Compiler, machine: str, scratch: Path, name: str) -> Path:
    file, library = scratch / "step.c", scratch / "step.so"
    file.write_text(source, encoding="utf-8")
    command = [*found.command, *found.flags, f"-march={machine}", f'-DDIGEST="{name}"', "-w", "-I", str(KERNELS.parent)]
    try:
        done = subprocess.run(
            [*command, "-o", str(library), str(file), "-lm"],
            capture_output=True, text=True, timeout=SECONDS, check=False, cwd=scratch,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise NotNativeError(f"{found.command[0]} cannot be called: {files.reason(error)}") from None
    if done.returncode or not library.is_file():
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        said = next((line for line in lines if "error" in line.lower()), lines[0])
        raise NotNativeError(f"{found.command[0]} fails: {said.strip()[:200]}")
    return library


def _load(file: Path, name: str) -> ctypes.CDLL:
    """Return a library loaded. Raises NotNativeError where it cannot be, or is of another source."""
    try:
        handle = ctypes.CDLL(str(file))
        said = (ctypes.c_char * (LETTERS + 1)).in_dll(handle, "digest").value.decode("ascii", "replace")
    except (OSError, ValueError) as error:
        raise NotNativeError(f"the library cannot be loaded: {files.reason(error)}") from None
    if said != name:
        raise NotNativeError("the library is of another network")
    return handle

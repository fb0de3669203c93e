"""The cache: each dataset's arrays in one file that loads fast, is checked when it is read, and is never a pickle."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from classlab.data.dataset import Arrays, digest
from classlab.data.reading import BadFile, reason
from classlab.errors import UserError

KEYS = ("images", "labels", "test_images", "test_labels")


def folders() -> list[Path]:
    """Return the folders to look in, best first.

    The first is what CLASSLAB_DATA names, else the user's own cache. Where that folder may not be written to (a class
    room's), the user's own follows it, and takes what the first lacks.
    """
    import platformdirs

    own = Path(platformdirs.user_cache_dir("classlab")) / "data"
    named = os.environ.get("CLASSLAB_DATA")
    if not named:
        return [own]
    return [Path(named)] if writable(Path(named)) else [Path(named), own]


def file(folder: Path, name: str) -> Path:
    """Return the path of dataset `name` in a cache folder."""
    return folder / f"{name}.safetensors"


def files(folder: Path) -> list[Path]:
    """Return the datasets' files in a cache folder."""
    return sorted(folder.glob("[!.]*.safetensors"))


def stored(name: str) -> Path | None:
    """Return the cache file of dataset `name` that would be read, or None where there is none."""
    return next((path for path in (file(folder, name) for folder in folders()) if path.is_file()), None)


def read(path: Path, known_digest: str) -> tuple[Arrays, str]:
    """Return the four arrays in `path` and the source they once came from.

    Raises BadFile when the file is damaged or its arrays do not have the known digest.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            source = (stored.metadata() or {}).get("source", "unknown")
            images, labels, test_images, test_labels = (stored.get_tensor(key) for key in KEYS)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise BadFile(f"the cache file {path} is damaged ({reason(error)})") from None
    arrays = images, labels, test_images, test_labels
    if digest(*arrays) != known_digest:
        raise BadFile(f"the cache file {path} is damaged (its images and labels do not have the known digest)")
    return arrays, source


def write(path: Path, arrays: Arrays, source: str) -> None:
    """Store the four arrays: under a temporary name, synced, then renamed, so that a partial file is never met.

    Raises UserError where the folder takes no file or the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    temporary = path.with_name(f".writing-{path.name}-{os.getpid()}")
    try:
        plain = {key: np.ascontiguousarray(array) for key, array in zip(KEYS, arrays, strict=True)}
        save_file(plain, temporary, metadata={"source": source})
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise _unwritable(path.parent, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def remove(name: str) -> list[Path]:
    """Delete the cached files of dataset `name` and return them; those in a folder not to be written to stay.

    Raises UserError where one cannot be deleted.
    """
    gone = []
    for path in (file(folder, name) for folder in folders() if writable(folder)):
        if path.is_file():
            try:
                path.unlink()
            except OSError as error:
                raise _unwritable(path.parent, error) from None
            gone.append(path)
    return gone


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Let one process at a time fetch `name` into `folder`; the others wait. The lock ends with its process."""
    import filelock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / f".{name}.lock")
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise _unwritable(folder, error) from None
    try:
        yield
    finally:
        lock.release()


def _unwritable(folder: Path, error: Exception) -> UserError:
    return UserError(f"the data folder {folder} cannot be written to ({reason(error)}); CLASSLAB_DATA may name another")


def writable(folder: Path) -> bool:
    """Whether files can be put into the folder, or it can be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)

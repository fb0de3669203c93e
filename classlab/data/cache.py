"""The cache: each dataset's arrays in one file that loads fast, is checked when it is read, and is never a pickle."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from classlab import files, limits
from classlab.data import bounded_files
from classlab.data.bounded_files import BadFile, is_file
from classlab.data.dataset import Arrays, digest
from classlab.errors import UserError
from classlab.files import reason

KEYS = ("images", "labels", "test_images", "test_labels")


def user_folder() -> Path | None:
    """Return the folder in which classlab keeps things for this user; None where the user has no home."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("classlab"))
    except RuntimeError:
        return None
    return None if folder.parts[0] == "~" else folder  # which stands there where it means no folder


def folders() -> list[Path]:
    """Return the folders to look in, best first; none where there is no place for a cache.

    The first is what CLASSLAB_DATA names, else the user's own cache. Where that folder may not be written to (a class
    room's), the user's own follows it, and takes what the first lacks. Raises UserError where CLASSLAB_DATA names what
    is no folder.
    """
    user = user_folder()
    user_places = [] if user is None else [user / "data"]
    named = os.environ.get("CLASSLAB_DATA")
    if not named:
        return user_places
    folder = Path(named)
    if _is_other(folder):
        raise UserError(f"CLASSLAB_DATA names the folder of the datasets, and {folder} is not a folder")
    return [folder] if writable(folder) else [folder, *user_places]


def home() -> Path:
    """Return the folder that takes what is fetched. Raises UserError where there is none."""
    places = folders()
    if not places:
        raise UserError("there is no home folder to keep datasets in; CLASSLAB_DATA may name a folder for them")
    return places[-1]


def file(folder: Path, name: str) -> Path:
    """Return the path of dataset `name` in a cache folder."""
    return folder / f"{name}.safetensors"


def all_in(folder: Path) -> list[Path]:
    """Return the datasets' files in a cache folder; none where it cannot be read."""
    try:
        return sorted(path for path in folder.glob("[!.]*.safetensors") if is_file(path))
    except OSError:
        return []


def stored(name: str) -> Path | None:
    """Return the cache file of dataset `name` that would be read, or None where there is none."""
    return next((path for path in (file(folder, name) for folder in folders()) if is_file(path)), None)


def read(path: Path, known_digest: str) -> tuple[Arrays, str]:
    """Return the four arrays in `path` and the source they once came from.

    Raises BadFile when the file is damaged or its arrays do not have the known digest.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with bounded_files.opened(path) as opened:
            size, header = os.fstat(opened.fileno()).st_size, int.from_bytes(opened.read(8), "little")
        if size > limits.DATASET_BYTES or header > limits.HEADER_BYTES:
            raise BadFile(f"the cache file {path} is damaged (it is larger than any dataset)")
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
    """Store the four arrays in a file that is written whole or not at all.

    Raises UserError where the folder takes no file or the disk is full.
    """
    from safetensors.numpy import save

    plain = {key: np.ascontiguousarray(array) for key, array in zip(KEYS, arrays, strict=True)}
    files.write(path, save(plain, metadata={"source": source}))


def remove(name: str) -> list[Path]:
    """Delete the cached files of dataset `name` and return them; those in a folder not to be written to stay.

    Raises UserError where one cannot be deleted.
    """
    gone = []
    for path in (file(folder, name) for folder in folders() if writable(folder)):
        if is_file(path):
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


@contextmanager
def private_folder(home: Path, prefix: str) -> Iterator[Path]:
    """Make a folder in the cache for what is on its way there, and remove it. Raises UserError on a full disk too."""
    try:
        with TemporaryDirectory(prefix=prefix, dir=home, ignore_cleanup_errors=True) as private:
            yield Path(private)
    except OSError as error:
        raise _unwritable(home, error) from None


def _unwritable(folder: Path, error: Exception) -> UserError:
    return UserError(f"the data folder {folder} cannot be written to ({reason(error)}); CLASSLAB_DATA may name another")


def writable(folder: Path) -> bool:
    """Whether files can be put into the folder, or it can be made."""
    while not _exists(folder) and folder != folder.parent:
        folder = folder.parent
    return bounded_files.is_folder(folder) and os.access(folder, os.W_OK)


def _is_other(path: Path) -> bool:
    """Whether there is to be seen what is not a folder."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


def _exists(path: Path) -> bool:
    """Whether anything is there; what may not be seen is taken for there."""
    try:
        return path.exists()
    except OSError:
        return True

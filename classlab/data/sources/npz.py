"""The reader's own arrays in one .npz file, under the names that are in use for them."""

import zipfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from classlab.data.arrays import from_arrays
from classlab.data.dataset import Dataset
from classlab.data.reading import BadFile, reason
from classlab.errors import UserError, listing

# images, labels, test images, test labels
KNOWN_NAMES = (
    ("images", "labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
MAX_BYTES = 4_000_000_000


def load(path: str, test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2) -> Dataset:
    """Return the arrays in a file written by numpy.savez or savez_compressed.

    Their names: images, labels, test_images, test_labels; or x_train, y_train, x_test, y_test; or train_images,
    train_labels, test_images, test_labels. Without test images, test_share of every class becomes the test set.
    Shapes and types as for data.arrays.from_arrays; labels may also be (count, 1). Raises UserError.
    """
    file = Path(path).expanduser()
    try:
        with zipfile.ZipFile(file) as archive:
            present = {name.removesuffix(".npy") for name in archive.namelist()}
            names = _names(file, present)
            total = sum(archive.getinfo(f"{name}.npy").file_size for name in names)
            if total > MAX_BYTES:
                raise BadFile(f"{file} would unpack to {total:,} bytes; at most {MAX_BYTES:,} are read")
            arrays = [_array(archive, name, file) for name in names]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadFile(f"{file} is damaged: it is no whole .npz file ({reason(error)})") from None
    except OSError as error:
        raise BadFile(f"{file} cannot be read: {error.strerror or error}") from None
    pairs = [(images, _flat(labels)) for images, labels in zip(arrays[::2], arrays[1::2], strict=True)]
    return from_arrays(*pairs, name=file.stem, source=f"the file {file}", test_share=test_share)


def _names(file: Path, present: set[str]) -> tuple[str, ...]:
    for names in KNOWN_NAMES:
        if set(names) <= present:
            return names
        if set(names[:2]) <= present and not present & set(names[2:]):
            return names[:2]
    known = "; ".join(", ".join(names) for names in KNOWN_NAMES)
    held = listing(sorted(present)) or "nothing"
    raise UserError(f"{file} holds {held}; wanted are {known} (the last two may be missing)")


def _array(archive: zipfile.ZipFile, name: str, file: Path) -> np.ndarray:
    """Read one array without ever unpickling, and not before its header agrees with the bytes that follow."""
    from numpy.lib import format as npy

    with archive.open(f"{name}.npy") as stream:
        try:
            version = npy.read_magic(stream)
            read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            header_shape, fortran, dtype = read_header(stream)
        except (ValueError, KeyError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise BadFile(f"{file} is damaged: {name} does not begin as an array does") from None
        if dtype.hasobject:
            raise BadFile(f"{file} is refused: {name} holds pickled objects, and only arrays of numbers are read")
        size = int(np.prod([int(side) for side in header_shape], dtype=object)) * dtype.itemsize
        rest = archive.getinfo(f"{name}.npy").file_size - stream.tell()
        if size != rest or min(header_shape, default=0) < 0:
            raise BadFile(f"{file} is damaged: {name} should hold {size:,} bytes, it holds {rest:,}")
        content = stream.read(size)
    return np.frombuffer(content, dtype).reshape(header_shape, order="F" if fortran else "C").copy()


def _flat(labels: Any) -> Any:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels

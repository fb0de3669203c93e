"""The reader's own arrays in one .npz file, under the names that are in use for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from classlab import limits
from classlab.data.arrays import from_arrays
from classlab.data.bounded_files import at_home, npz_names, read_npz
from classlab.data.dataset import Dataset
from classlab.errors import UserError, listing
from classlab.plain_text import on_a_line

# images, labels, test images, test labels
KNOWN_NAMES = (
    ("images", "labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)


def load(path: str, test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2) -> Dataset:
    """Return the arrays in a file written by numpy.savez or savez_compressed.

    Their names: images, labels, test_images, test_labels; or x_train, y_train, x_test, y_test; or train_images,
    train_labels, test_images, test_labels. Without test images, test_share of every class becomes the test set.
    Shapes and types as for data.arrays.from_arrays; labels may also be (count, 1). Raises UserError.
    """
    file = at_home(path)
    names = _names(file, set(npz_names(file)))
    arrays = read_npz(file, names, limits.ARRAYS_BYTES)
    pairs = [(arrays[images], _flat(arrays[labels])) for images, labels in zip(names[::2], names[1::2], strict=True)]
    return from_arrays(*pairs, name=file.stem, source=f"the file {file}", test_share=test_share)


def _names(file: Path, present: set[str]) -> Sequence[str]:
    for names in KNOWN_NAMES:
        if set(names) <= present:
            return names
        if set(names[:2]) <= present and not present & set(names[2:]):
            return names[:2]
    known = "; ".join(", ".join(names) for names in KNOWN_NAMES)
    held = listing(map(on_a_line, sorted(present))) or "nothing"
    raise UserError(f"{file} holds {held}; wanted are {known} (the last two may be missing)")


def _flat(labels: Any) -> Any:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels

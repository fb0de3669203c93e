"""The forms CIFAR-10 comes in: the original archive of Python pickles, that archive unpacked, and lossless PNG sheets.

Source of the forms: Krizhevsky, "Learning multiple layers of features from tiny images", and its home page.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from classlab.data.bounded_files import BadFile, find, is_file, read_bytes, read_tar
from classlab.data.dataset import Arrays
from classlab.data.pickles import read_batch
from classlab.data.pictures import opened

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
SHEETS = tuple(f"{name}.png" for name in BATCHES)
SHEET_LABELS = ("train_lables.json", "test_lables.json")  # the package's own spelling
ARCHIVE = "cifar-10-python.tar.gz"
PER_BATCH, SIDE, CLASSES = 10_000, 32, 10
PIXELS = SIDE * SIDE
MAX_BYTES = 40_000_000


def read_folder(folder: Path, per_batch: int = PER_BATCH) -> Arrays:
    """Return the arrays of CIFAR-10 from a folder that holds any of its forms, also in torchvision's layout.

    per_batch: how many images each of the six batches holds. Raises BadFile when none of the forms is there, or the
    first one that is there is damaged.
    """
    for subfolder in ("cifar-10-batches-py", "."):
        if is_file(folder / subfolder / BATCHES[0]):
            paths = [find(folder / subfolder, (".",), (name,)) for name in BATCHES]
            return read_batches({path.name: read_bytes(path, MAX_BYTES) for path in paths}, folder, per_batch)
    if is_file(folder / ARCHIVE):
        batches = read_tar(folder / ARCHIVE, lambda name: name in BATCHES, MAX_BYTES, 8 * MAX_BYTES)
        return read_batches(batches, folder / ARCHIVE, per_batch)
    if is_file(folder / SHEETS[0]):
        return read_sheets(folder, per_batch)
    raise BadFile(f"{folder} holds neither cifar-10-batches-py, nor {ARCHIVE}, nor {SHEETS[0]}")


def read_batches(batches: dict[str, bytes], where: Path, per_batch: int = PER_BATCH) -> Arrays:
    """Return the arrays of the six pickled batches, given by name; `where` names their place. Raises BadFile."""
    images = np.empty((per_batch * len(BATCHES), 3, SIDE, SIDE), np.uint8)
    labels = np.empty(per_batch * len(BATCHES), np.int64)
    for index, name in enumerate(BATCHES):
        if name not in batches:
            raise BadFile(f"{where} holds no {name}")
        pixels, given = read_batch(batches.pop(name), per_batch, 3 * PIXELS, f"{where}/{name}")
        place = slice(index * per_batch, (index + 1) * per_batch)
        images[place] = np.frombuffer(pixels, np.uint8).reshape(per_batch, 3, SIDE, SIDE)
        labels[place] = _labels(given, per_batch, f"{where}/{name}")
    return _parts(images, labels, per_batch)


def read_sheets(folder: Path, per_batch: int = PER_BATCH) -> Arrays:
    """Return the arrays of six PNG sheets, one row an image of 1024 RGB pixels, and their two label files.

    Raises BadFile.
    """
    images = np.empty((per_batch * len(SHEETS), 3, SIDE, SIDE), np.uint8)
    for index, name in enumerate(SHEETS):
        sheet = _sheet(find(folder, (".",), (name,)), per_batch)
        images[index * per_batch : (index + 1) * per_batch] = sheet.transpose(0, 3, 1, 2)
    counts = (per_batch * (len(SHEETS) - 1), per_batch)
    labels = [_json_labels(find(folder, (".",), (name,)), n) for name, n in zip(SHEET_LABELS, counts, strict=True)]
    return _parts(images, np.concatenate(labels), per_batch)


def _parts(images: np.ndarray, labels: np.ndarray, test: int) -> Arrays:
    return images[:-test], labels[:-test], images[-test:], labels[-test:]


def _labels(labels: Any, count: int, where: str | Path) -> np.ndarray:
    if not isinstance(labels, list) or len(labels) != count:
        raise BadFile(f"{where} holds no list of {count:,} labels")
    for label in labels:
        if type(label) is not int or not 0 <= label < CLASSES:
            wrong = label if type(label) is int and abs(label) < 10**9 else type(label).__name__
            raise BadFile(f"{where} holds the label {wrong}; labels run from 0 to {CLASSES - 1}")
    return np.array(labels, np.int64)


def _json_labels(path: Path, count: int) -> np.ndarray:
    try:
        labels = json.loads(read_bytes(path, 1_000_000))
    except (ValueError, RecursionError):
        raise BadFile(f"{path} is damaged: it is not JSON") from None
    return _labels(labels, count, path)


def _sheet(path: Path, count: int) -> np.ndarray:
    """Return (count, 32, 32, 3) uint8. The size is checked before a pixel is unpacked."""
    with opened(path) as sheet:
        if sheet.size != (PIXELS, count) or sheet.mode != "RGB":
            (width, height), mode = sheet.size, sheet.mode
            raise BadFile(f"{path} should be {PIXELS} × {count:,} RGB pixels; it is {width} × {height} {mode}")
        return np.asarray(sheet).reshape(count, SIDE, SIDE, 3)

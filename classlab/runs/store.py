"""Run folders on disk: the only room that writes them. A file appears whole or not at all."""

import itertools
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.errors import UserError
from classlab.json_text import to_json

if TYPE_CHECKING:
    from torch import Tensor

EXPERIMENT, METRICS, SUMMARY = "experiment.yaml", "metrics.csv", "summary.json"
ENVIRONMENT, SPLIT, LOG = "environment.json", "split.json", "log.txt"
BEST, LAST, PREDICTIONS = "best.safetensors", "last.safetensors", "predictions.npz"
CALIBRATION = "calibration.safetensors"
COLUMNS = (
    "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
    "learning_rate", "seconds",
)  # fmt: skip
CHECKPOINT_FORMAT = 1
# What reading an .npz file raises that is cut short, changed, or none.
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def folder(out: str | Path, experiment: str, seed: int, digest: str) -> Path:
    """Return where the run of this experiment and seed lives."""
    return Path(out) / experiment / f"s{seed}-{digest}"


def unused(path: Path) -> Path:
    """Return `path`, or the first of path-2, path-3, … that does not exist."""
    return next(one for one in _numbered(path) if not one.exists())


def cut_off(path: Path) -> Path | None:
    """Return the last of path, path-2, path-3, … that was cut off before its end, None where there is none."""
    there = itertools.takewhile(Path.exists, _numbered(path))
    open_ = [one for one in there if (one / LAST).exists() and not (one / SUMMARY).exists()]
    return open_[-1] if open_ else None


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.name}-{number}")


@contextmanager
def alone(folder: Path, lock: Path | None = None) -> Iterator[None]:
    """Hold the lock of a folder: by default a file beside it, which goes afterwards, for run folders are listed.

    Raises UserError where another process holds it.
    """
    from filelock import FileLock, Timeout

    file = lock or folder.with_name(f".{folder.name}.lock")
    try:
        with FileLock(file, timeout=0):
            try:
                yield
            finally:
                if lock is None:
                    with suppress(OSError):  # Windows does not let go of an open file, and removes it itself
                        file.unlink()
    except Timeout:
        raise UserError(f"another process is at work in {folder}; wait for it, or stop it first") from None


def create(path: Path) -> None:
    """Make the folder. Raises UserError where nothing can be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"runs cannot be written to {path}: {error.strerror}; give another folder with --out") from None


def epochs_done(path: Path) -> int:
    """Return how many epochs of the run in this folder are written down; 0 where none has begun."""
    metrics = path / METRICS
    return max(0, len(metrics.read_bytes().splitlines()) - 1) if metrics.is_file() else 0


def write(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, sync it and rename it, so that a kill leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, indented, keys in the order given; a number that is not finite becomes null."""
    write(path, to_json(document) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON document, or raise UserError in one sentence."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent} has no {path.name}: that is not a whole run folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path} must hold a JSON object")
    return document


def write_metrics(path: Path, rows: list[dict[str, float]]) -> None:
    """Write metrics.csv: the columns that any row has, numbers so that they read back to the same bits."""
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    lines = [",".join(columns)]
    lines += [",".join(repr(row[name]) if name in row else "" for name in columns) for row in rows]
    write(path, "\n".join(lines) + "\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read metrics.csv back; a file that is not there has no rows. Raises UserError for one that is damaged."""
    if not path.exists():
        return []
    rows = []
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
        names = header.split(",")
        for line in lines:
            cells = zip(names, line.split(","), strict=True)
            rows.append({name: int(cell) if name == "epoch" else float(cell) for name, cell in cells if cell})
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read, row {len(rows) + 1}: {error}") from None
    return rows


def write_checkpoint(path: Path, state: "Mapping[str, Tensor]", about: Mapping[str, Any]) -> None:
    """Write tensors as safetensors with one sorted metadata entry and no times: equal tensors are equal bytes."""
    from safetensors.torch import save

    metadata = json.dumps({"format": CHECKPOINT_FORMAT, **about}, sort_keys=True)
    write(path, save(dict(sorted(state.items())), {"classlab": metadata}))


def read_checkpoint(path: Path) -> "dict[str, Tensor]":
    """Read the tensors of a checkpoint. Nothing in it is ever executed. Raises UserError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a whole safetensors checkpoint ({error})") from None


def write_predictions(path: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    """Write the test set's logits (float32, count × classes) and labels (int64, count)."""
    import io

    buffer = io.BytesIO()
    np.savez_compressed(buffer, logits=logits, labels=labels)
    write(path, buffer.getvalue())


def read_predictions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the test set's logits and labels. Raises UserError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["logits"], arrays["labels"]
    except FileNotFoundError:
        raise UserError(f"{path.parent} has no {path.name}: the run did not come to its end") from None
    except DAMAGED as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def runs_in(out: str | Path) -> list[Path]:
    """Return every run folder below `out`, sorted: those that hold an experiment.yaml."""
    return sorted(file.parent for file in Path(out).glob(f"*/*/{EXPERIMENT}"))

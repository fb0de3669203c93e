"""Run folders on disk: the only room that writes them. A file appears whole or not at all."""

import io
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import files, limits
from classlab.data.tensors import read_metadata, read_tensors
from classlab.errors import UserError, did_you_mean
from classlab.files import write
from classlab.json_text import to_json
from classlab.yaml_text import value_text

if TYPE_CHECKING:
    from torch import Tensor, nn

EXPERIMENT, METRICS, SUMMARY = "experiment.yaml", "metrics.csv", "summary.json"
ENVIRONMENT, SPLIT, LOG = "environment.json", "split.json", "log.txt"
BEST, LAST, PREDICTIONS = "best.safetensors", "last.safetensors", "predictions.npz"
CALIBRATION, WEIGHTS, CODE = "calibration.safetensors", "weights.safetensors", "code"
GRAPH = "graph.onnx"  # beside code/ in a hand-in: what the network computes, which is read without running code
EPOCHS = "epochs"  # a folder with the checkpoint of every epoch; of epoch 0 the first weights
COLUMNS = (
    "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
    "learning_rate", "seconds",
)  # fmt: skip
CHECKPOINT_FORMAT = 1


def folder(out: str | Path, experiment: str, seed: int, digest: str) -> Path:
    """Return where the run of this experiment and seed lives."""
    return Path(out) / experiment / f"s{seed}-{digest}"


def found(out: str | Path, experiment: str, seed: int, digests: Sequence[str]) -> tuple[Path, str]:
    """Return where the run lives and the digest in its name: the first of the digests, or an earlier one that is there.

    Runs that an earlier version of classlab made keep their names.
    """
    places = [(folder(out, experiment, seed, digest), digest) for digest in digests]
    return next((place for place in places if place[0].exists()), places[0])


def selected(path: Path, select: str) -> Path:
    """Return the checkpoint that a protocol selects in a run's folder. select: best or last.

    A run that diverged at once has no best epoch: then its last one is the result.
    """
    best = path / BEST
    return best if select == "best" and best.exists() else path / LAST


def epoch_checkpoint(path: Path, epoch: int) -> Path:
    """Return where a run that keeps every epoch has the checkpoint of this epoch; 0: the weights before training."""
    return path / EPOCHS / f"{epoch}.safetensors"


def unused(path: Path) -> Path:
    """Return `path`, or the first of path-2, path-3, … that does not exist."""
    return next(candidate for candidate in _numbered(path) if not candidate.exists())


def cut_off(path: Path) -> Path | None:
    """Return the last of path, path-2, path-3, … that was interrupted, None where there is none."""
    there = itertools.takewhile(Path.exists, _numbered(path))
    open_ = [candidate for candidate in there if (candidate / LAST).exists() and not (candidate / SUMMARY).exists()]
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
    held = FileLock(file, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise UserError(f"another process is at work in {folder}; wait for it, or stop it first") from None
    except OSError as error:
        raise UserError(f"the lock {file} cannot be taken: {files.reason(error)}") from None
    try:
        yield
    finally:
        held.release()
        if lock is None:
            with suppress(OSError):  # Windows does not let go of an open file, and removes it itself
                file.unlink()


def create(path: Path) -> None:
    """Make the folder. Raises UserError where nothing can be written."""
    try:
        files.make_folder(path)
        files.check_writable(path)
    except UserError as error:
        raise UserError(f"runs cannot be written to {path} ({error}); give another folder with --out") from None


def refuse_links(*folders: Path) -> None:
    """Raise UserError where one of the folders is a link: in a folder that was sent it may lead anywhere."""
    for folder in folders:
        if folder.is_symlink():
            raise UserError(
                f"{folder} is a link, and runs are not written through links; give another folder with --out"
            )


def epochs_done(path: Path) -> int:
    """Return how many epochs of the run in this folder are written down; 0 where none has begun."""
    try:
        lines = files.read(path / METRICS, limits.METRICS_BYTES).splitlines()
    except UserError:
        return 0
    return max(0, len(lines) - 1)


def contents(path: Path) -> dict[str, bytes]:
    """Return every file of a run's folder, by its path below it; what begins with a full stop is none of the run's."""
    found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    return {file.relative_to(path).as_posix(): files.read(file, limits.CHECKPOINT_BYTES) for file in found}


def receive(path: Path, contents: Mapping[str, bytes]) -> None:
    """Put a run that was trained elsewhere into its folder, whole or not at all, in the place of what was begun there.

    contents: as `contents` gives them. Its summary then says where the run is now. Raises UserError.
    """
    arriving = path.with_name(f".{path.name}.arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    refuse_links(path.parent, path)
    for name, content in contents.items():
        file = arriving / name
        files.make_folder(file.parent)
        if name == SUMMARY:
            write_json(file, {**json.loads(content), "run": str(path)})
        else:
            write(file, content)
    shutil.rmtree(path, ignore_errors=True)
    try:
        arriving.rename(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {files.reason(error)}") from None


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, indented, keys in the order given; a number that is not finite becomes null."""
    write(path, to_json(document) + "\n")


def write_metrics(path: Path, rows: list[dict[str, float]]) -> None:
    """Write metrics.csv: the columns that any row has, numbers so that they read back to the same bits."""
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    lines = [",".join(columns)]
    lines += [",".join(repr(row[name]) if name in row else "" for name in columns) for row in rows]
    write(path, "\n".join(lines) + "\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read metrics.csv back; a file that is not there has no rows.

    Raises UserError for one that is damaged: columns that are not known, cells that are not numbers, epochs that do not
    count upwards from 1. That one may be missing is for `epochs_missing` to say.
    """
    try:
        return metrics_in(files.read_text(path, limits.METRICS_BYTES), path)
    except files.MissingFile:
        return []


def metrics_in(text: str, path: Path, known: Sequence[dict[str, float]] = ()) -> list[dict[str, float]]:
    """Return the rows of a text of metrics.csv. known: those of its first lines, read before. path: named in errors.

    Raises UserError as `read_metrics` does.
    """
    header, *lines = text.splitlines() or [""]
    names = header.split(",")
    strange = [name for name in names if name not in COLUMNS]
    if lines and (strange or "epoch" not in names or len(set(names)) < len(names) or not _go_together(names)):
        raise UserError(
            f"{path} must have the columns epoch, train_loss and so on, each once; got {value_text(header)}"
        )
    rows = list(known)
    for number, line in enumerate(lines[len(rows) :], start=len(rows) + 1):
        try:
            rows.append(_row(names, line.split(",")))
            if len(rows) > 1 and rows[-1]["epoch"] <= rows[-2]["epoch"]:
                raise UserError(f"epochs count upwards; got {rows[-1]['epoch']} after {rows[-2]['epoch']}")
        except UserError as error:
            raise UserError(f"{path} cannot be read, row {number}: {error}") from None
    return rows


def _go_together(names: list[str]) -> bool:
    """Say whether each split that has an accuracy has a loss too."""
    splits = ("train", "val", "test")
    return all(f"{split}_loss" in names for split in splits if f"{split}_accuracy" in names)


def _row(names: list[str], cells: list[str]) -> dict[str, float]:
    if len(cells) != len(names):
        raise UserError(f"{len(names)} cells are wanted, got {len(cells)}")
    row: dict[str, float] = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            row |= {name: int(cell) if name == "epoch" else float(cell)} if cell else {}
        except ValueError:
            raise UserError(f"{name} must be a number; got {value_text(cell)}") from None
    if not 1 <= row.get("epoch", 0) <= 10**9:
        raise UserError(f"epoch must be a whole number from 1; got {value_text(row.get('epoch'))}")
    for name in ("train_loss", "seconds", "learning_rate"):
        if name not in row:
            raise UserError(f"{name} is missing")
    for name, value in row.items():
        if name.endswith("_accuracy") and not 0 <= value <= 1:
            raise UserError(f"{name} must be from 0 to 1; got {value}")
        if name == "seconds" and not 0 <= value <= 1e12:
            raise UserError(f"seconds must be a number from 0; got {value}")
    return row


def write_checkpoint(path: Path, state: "Mapping[str, Tensor]", about: Mapping[str, Any]) -> None:
    """Write tensors as safetensors with one sorted metadata entry and no times: equal tensors are equal bytes."""
    from safetensors.torch import save

    metadata = json.dumps({"format": CHECKPOINT_FORMAT, **about}, sort_keys=True)
    write(path, save(dict(sorted(state.items())), {"classlab": metadata}))


def write_weights(path: Path, state: "Mapping[str, Tensor]") -> None:
    """Write the weights of a checkpoint alone, by the names that the network itself gives them."""
    from safetensors.torch import save

    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    write(path, save(dict(sorted(weights.items())), {"format": "pt"}))


def read_checkpoint(path: Path) -> "dict[str, Tensor]":
    """Read the tensors of a checkpoint. Nothing in it is ever executed. Raises UserError."""
    try:
        return read_tensors(path)
    except files.MissingFile:
        raise files.MissingFile(f"there is no checkpoint {path}") from None


def epochs_counted(state: "Mapping[str, Tensor]", path: Path) -> int:
    """Return how many epochs a checkpoint counts: it holds the loss of each. Raises UserError where it counts none."""
    losses = state.get("losses")
    if losses is None or losses.dim() != 1 or not (len(losses) or "imported" in read_about(path)):
        raise UserError(f"{path} is not a checkpoint of a run: it counts no epochs")
    return len(losses)


def read_weights(path: Path, network: "nn.Module") -> "dict[str, Tensor]":
    """Read what a checkpoint says of the network and of the epochs trained: weights, losses, counts of steps.

    No more bytes are read than a network of this size has. Raises UserError and MissingFile.
    """
    numbers = sum(value.numel() for value in network.state_dict().values())

    def wanted(name: str) -> bool:
        return name.startswith("model.") or name == "losses" or name.endswith(".step")

    try:
        return read_tensors(path, wanted, most=8 * numbers + limits.METRICS_BYTES)
    except files.MissingFile:
        raise files.MissingFile(f"there is no checkpoint {path}") from None


def read_about(path: Path) -> dict[str, Any]:
    """Return what a checkpoint says of itself: its experiment's digest and its seed; empty where it says nothing."""
    try:
        about = json.loads(read_metadata(path).get("classlab", "{}"))
    except (ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def write_predictions(path: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    """Write the test set's logits (float32, count × classes) and labels (int64, count)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, logits=logits, labels=labels)
    write(path, buffer.getvalue())


def read_predictions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the test set's logits, float32 (count, classes) or in the images' shape, and labels, int64 (count,).

    Raises UserError, and MissingFile for a run that did not finish.
    """
    arrays = _predictions(path, ("logits", "labels"))
    logits, labels = arrays["logits"], arrays["labels"]
    if logits.dtype.kind != "f" or logits.ndim < 2 or len(logits) != len(labels) or not logits[:1].size:
        raise UserError(f"{path} cannot be read: logits must be fractions for each label; got {logits.shape}")
    if logits.ndim == 2 and int(labels.max()) >= logits.shape[1]:
        raise UserError(f"{path} cannot be read: a label is {labels.max()}, and there are {logits.shape[1]} logits")
    return logits, labels


def read_labels(path: Path) -> np.ndarray:
    """Return the test labels alone, int64 (count,): two hundred runs are asked at once. Raises as read_predictions."""
    return _predictions(path, ("labels",))["labels"]


def _predictions(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    from classlab.data.bounded_files import read_npz

    if not path.exists():
        raise files.MissingFile(f"{path.parent} has no {path.name}: the run did not finish")
    arrays = read_npz(path, names, limits.PREDICTIONS_BYTES)
    labels = arrays["labels"]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not len(labels) or int(labels.min()) < 0:
        raise UserError(
            f"{path} cannot be read: labels must be whole numbers from 0; got {labels.shape} {labels.dtype}"
        )
    return {**arrays, "labels": labels.astype(np.int64)}


def runs_in(out: str | Path) -> list[Path]:
    """Return every run folder below `out`, at any depth, sorted: those that hold an experiment.yaml."""
    return sorted(file.parent for file in Path(out).rglob(EXPERIMENT))


def date(path: Path) -> float:
    """Return when a run ended, or was begun where it has not ended, in seconds since 1970; 0 where nobody can say."""
    for name in (SUMMARY, EXPERIMENT):
        with suppress(OSError):
            return (path / name).stat().st_mtime
    return 0.0


def named(given: str | Path, out: str | Path = "runs") -> Path:
    """Return the folder that is meant: a path, `latest`, or how the name of a single run below `out` begins.

    The name is the experiment's, its folder's (s0-1a2b3c4d), both, or the digest alone. What names no run stays as it
    is. Raises UserError where several runs are meant.
    """
    path, text = Path(given), str(given).rstrip("/").removeprefix(f"{out}/")
    if path.exists() or not text or ".." in path.parts:
        return path
    runs = runs_in(out)
    if text == "latest":
        if not runs:
            raise UserError(f"latest is the last run in {out}, and there is none yet")
        return max(runs, key=date)
    found = [run for run in runs if any(name.startswith(text) for name in _names(run, Path(out)))]
    if len(found) > 1:
        several = ", ".join(str(run) for run in found[:4]) + (" …" if len(found) > 4 else "")
        raise UserError(f"{value_text(text)} begins the names of {len(found)} runs: {several}; give more of one's name")
    return found[0] if found else path


def no_run(path: Path, lacks: str, what: str = "a run folder") -> str:
    """Return a sentence for a path that is not what it should be. lacks: what a folder then has not, in words."""
    if path.is_dir():
        return f"{path} is not {what}{lacks}"
    if path.exists():
        return f"{path} is a file, not {what}"
    return f"there is no folder {path}{did_you_mean(str(path), ['latest'])}"


def _names(run: Path, out: Path) -> list[str]:
    """Return by what a run may be called."""
    return [run.relative_to(out).as_posix(), "/".join(run.parts[-2:]), run.name, run.name.partition("-")[2]]

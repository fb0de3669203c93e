"""Repetition: a finished run trained again, and how alike the two are: the same bytes, as by another seed, or another.

The second run has a folder of its own, and the first one's experiment, seed, device and threads. Everything else is
chosen as on the day, so that what differs between the days shows.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from classlab import files, limits
from classlab.errors import UserError
from classlab.formats import duration, listed, loss, percent
from classlab.runs import execute, records, store
from classlab.runs.finished import FinishedRun
from classlab.runs.preparation import changed_code

Word = Literal["the same bytes", "within another seed", "another run"]
CHECKPOINTS = (store.LAST, store.BEST)
SETTINGS = {
    "device": "device", "threads": "threads", "precision": "precision", "channels_last": "layout",
    "compiled": "compiled step", "native": "native step",
}  # fmt: skip
MACHINE = {
    "processor": "processor", "gpu": "graphics processor", "torch": "torch", "python": "Python",
    "platform": "operating system",
}  # fmt: skip
LOSS_APART = 0.05  # of a loss that nothing else judges
FEWEST_SEEDS = 3  # of the run and its siblings, from which their spread says what another seed gives


@dataclass(frozen=True)
class Repetition:
    """A run and the same trained again. differences: what they were made with, of the run and now, by its name."""

    run: str
    again: str
    verdict: Word
    sentence: str
    differences: dict[str, tuple[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Return everything as a program reads it."""
        return asdict(self)


def repeat(run: FinishedRun, out: Path, verbose: bool = True) -> Repetition:
    """Train a finished run again, in a folder of its own under `out`, and say how alike the two are.

    Raises UserError for a run that has not finished or that Python gave its network or data.
    """
    _check(run)
    settings, digest = run.environment["settings"], run.path.name.partition("-")[2].partition("-")[0]
    again = execute.train(
        run.experiment, seed=run.seed, out=out, device=settings["device"], threads=settings["threads"], again=True,
        digest=digest, verbose=verbose,
    )  # fmt: skip
    differences = _differences(run, again)
    verdict, sentence = _judge(run, again, differences)
    return Repetition(str(run.path), str(again.path), verdict, sentence, differences)


def _check(run: FinishedRun) -> None:
    if run.status == "incomplete":
        raise UserError(f"{run.path} has not finished; continue it by classlab run … --resume")
    if imported := run.environment.get("imported"):
        raise UserError(
            f"{run.path} was imported from {imported['file']} and not trained here, so there is nothing to repeat"
        )
    given = run.environment["given_in_python"]
    if given:
        raise UserError(
            f"{run.path} cannot be trained again from its files: its {' and '.join(given)} came from Python"
        )


def _differences(run: FinishedRun, again: FinishedRun) -> dict[str, tuple[str, str]]:
    """Return what the two were made with where it differs: of the run, and now."""
    before, now = dict[str, Any](run.environment), dict[str, Any](again.environment)
    kept = {name: (before["settings"].get(key), now["settings"].get(key)) for key, name in SETTINGS.items()}
    kept |= {name: (before.get(key), now.get(key)) for key, name in MACHINE.items()}
    kept["images"] = before["dataset"]["digest"], now["dataset"]["digest"]
    kept["weights that it starts from"] = before.get("started_from"), now.get("started_from")
    changed = changed_code(run.environment, run.experiment)
    if changed:
        kept["code"] = "as it was", listed(changed)
    return {name: (_text(name, a), _text(name, b)) for name, (a, b) in kept.items() if (a or None) != (b or None)}


def _text(name: str, value: Any) -> str:
    if value in (None, "", False):
        return "none"
    if name == "native step":
        return f"library {value}"
    return "yes" if value is True else str(value)[:60]


def _judge(run: FinishedRun, again: FinishedRun, differences: dict[str, tuple[str, str]]) -> tuple[Word, str]:
    if _same_bytes(run.path, again.path):
        took = duration(again.summary["seconds"])
        but = f", although it was made otherwise: {_listed(differences)}" if differences else ""
        return (
            "the same bytes",
            f"The same bytes: weights, curve and predictions came out again, after {took} of training{but}",
        )
    why = _listed(differences) or (
        "nothing that it was made with differs, so that its files were changed, or this version computes otherwise"
    )
    figures = f"{_figure(run)} then, {_figure(again)} now"
    alike, grounds = _alike(run, again)
    if alike:
        return "within another seed", f"Not the same bytes, but {grounds}: {figures}; {why}"
    return "another run", f"Another run: {figures}, {grounds}; {why}"


def _listed(differences: dict[str, tuple[str, str]]) -> str:
    return listed([f"{name} {before} then, {now} now" for name, (before, now) in differences.items()])


def _figure(run: FinishedRun) -> str:
    accuracy = run.summary.get("test_accuracy")
    return f"test loss {loss(run.summary['test_loss'])}" if accuracy is None else f"test accuracy {percent(accuracy)}"


def _same_bytes(first: Path, second: Path) -> bool:
    """Say whether weights, curve and predictions are the same to the last bit; times are not looked at."""
    for name in CHECKPOINTS:
        held = [(folder / name).exists() for folder in (first, second)]
        if held[0] != held[1]:
            return False
        if held[0] and not np.array_equal(_bytes(first / name), _bytes(second / name)):
            return False
    if _curve(first) != _curve(second):
        return False
    answers = [store.read_predictions(folder / store.PREDICTIONS)[0] for folder in (first, second)]
    return np.array_equal(answers[0], answers[1], equal_nan=True)


def _bytes(file: Path) -> np.ndarray:
    return np.frombuffer(files.read(file, limits.CHECKPOINT_BYTES), np.uint8)


def _curve(folder: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv without their times, each number as text, so that NaN equals NaN."""
    rows = store.read_metrics(folder / store.METRICS)
    return [{name: repr(value) for name, value in row.items() if name != "seconds"} for row in rows]


def _alike(run: FinishedRun, again: FinishedRun) -> tuple[bool, str]:
    """Say whether the two differ by no more than another seed would make them differ, and what that rests on.

    Runs of the same experiment with other seeds that lie beside the run say how much that is; without two of them the
    test images decide.
    """
    siblings = _siblings(run)
    if len(siblings) + 1 >= FEWEST_SEEDS and again.status == "finished":
        from classlab.statistics.explanation import Published, explain

        runs = [run.path, *siblings]
        metrics, values, here = _table(runs, again.path)
        if metrics:
            images = [_images(run, name) for name in metrics]
            found = explain([values], Published(metrics, images, here, here))
            word = "within" if found.fits else "outside"
            return found.fits, f"{word} what another seed would give, by {len(runs)} runs that lie beside each other"
    return _by_images(run, again)


def _by_images(run: FinishedRun, again: FinishedRun) -> tuple[bool, str]:
    """Say whether the test images tell the two networks apart, where no other seed says how much seeds differ."""
    from classlab.statistics import mcnemar

    unknown = "what another seed would give is not known, for no two runs of other seeds lie beside it"
    if run.reconstructs or run.status != again.status:
        losses = [part.summary["test_loss"] or math.nan for part in (run, again)]
        same = run.status == again.status and math.isclose(*losses, rel_tol=LOSS_APART)
        return same, f"{'within' if same else 'not within'} {percent(LOSS_APART, 0)} of its loss ({unknown})"
    right = []
    for part in (run, again):
        outputs, labels = store.read_predictions(part.path / store.PREDICTIONS)
        right.append((outputs.argmax(1) == labels).tolist())
    test = mcnemar(right[0], right[1])
    word = "a difference" if test.different else "no difference"
    return not test.different, f"{word} between the two networks that the test images can show ({unknown})"


def _siblings(run: FinishedRun) -> list[Path]:
    """Return the finished runs of the same experiment with other seeds that lie beside a run, one a seed."""
    digest = run.path.name.partition("-")[2].partition("-")[0]
    found: dict[int, Path] = {}
    for folder in sorted(run.path.parent.glob(f"s*-{digest}")):
        if folder != run.path and (folder / store.SUMMARY).is_file():
            summary = records.read_summary(folder / store.SUMMARY)
            if summary["seed"] != run.seed and summary["status"] == "finished":
                found.setdefault(summary["seed"], folder)
    return list(found.values())


def _table(runs: list[Path], again: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the metric of each figure of a curve, the runs' figures (runs, figures), and those of the repetition."""
    curves = [store.read_metrics(folder / store.METRICS) for folder in (*runs, again)]
    epochs = min(map(len, curves))
    names = [name for name in store.COLUMNS if name.endswith(("_loss", "_accuracy"))]
    names = [name for name in names if all(name in row for curve in curves for row in curve[:epochs])]
    values = np.array([[row[name] for name in names for row in curve[:epochs]] for curve in curves])
    if not np.isfinite(values).all():
        return [], values[:-1], values[-1]
    return [name for name in names for _ in range(epochs)], values[:-1], values[-1]


def _images(run: FinishedRun, metric: str) -> int | None:
    if not metric.endswith("accuracy"):
        return None
    split = metric.partition("_")[0]
    known = {"test": run.summary.get("test_total"), "val": run.summary.get("val_total")}
    return known.get(split) or run.environment.get("epoch_images") or 1

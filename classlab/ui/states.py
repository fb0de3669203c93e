"""What is known of a run from its folder as it is now: how far it is, what became of it, and what it can be grouped by.

Nothing that the folder names is loaded, no network and no data: any folder can be looked at, and five hundred of them
in a moment.
"""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from classlab import files, limits
from classlab.errors import UserError
from classlab.formats import duration
from classlab.plain_text import printable_within
from classlab.runs import records, store
from classlab.ui.listing import Place, key_of, refuse_links
from classlab.yaml_text import parse_yaml

Rows = list[dict[str, float]]

LAST_ROWS = 5  # epochs that the time left is reckoned from
FRESH = 0.05  # seconds: more than the steps in which a disk counts its times
SILENT_AFTER = 60.0  # seconds, and four epochs: then a run that does not end is called silent
SPARK_POINTS = 40
SPARKS = ("val_accuracy", "test_accuracy", "train_accuracy", "val_loss", "train_loss")


@dataclass
class State:
    """A run as its folder says.

    signature: changes whenever a file of the folder does. born: changes when the run is another one at the same place.
    imported: whether its weights were trained elsewhere. epochs: how many it trains in all. done: how many are
    done. problem: why the folder cannot be read, "" where it can.
    spark: a few values of its curve, for a small drawing. changed_at: when its files last changed, in seconds.
    text, rows: metrics.csv and what it says, kept while the run is open: then only its new lines are read.
    """

    place: Place
    signature: tuple[int, ...]
    born: str = ""
    experiment: str = ""
    group: str = ""
    seed: int | None = None
    epochs: int = 0
    done: int = 0
    status: str = "waiting"
    sentence: str = ""
    contract: str = ""
    imported: bool = False
    test_accuracy: float | None = None
    test_loss: float | None = None
    last: dict[str, float] = field(default_factory=dict)
    spark_of: str = ""
    spark: list[float | None] = field(default_factory=list)
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    parameters: int | None = None
    changed_at: float = 0.0
    problem: str = ""
    version: int = 0
    read_at: float = field(default_factory=time.time)
    text: str = ""
    rows: Rows = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether the run has not finished, as far as its folder says."""
        return self.status in ("waiting", "running", "silent", "broken")

    @property
    def is_fresh(self) -> bool:
        """Whether its files changed so lately when they were read that a later change may show the same time."""
        return bool(self.signature) and self.read_at - self.signature[0] / 1e9 < FRESH

    def as_of_now(self) -> None:
        """Tell a run that trains from one whose process is silent: nothing but the clock does."""
        if self.open and not self.problem:
            quiet = time.time() - self.changed_at
            silent = quiet > max(SILENT_AFTER, 4 * self.epoch_seconds)
            self.status = "silent" if silent else "running" if self.done else "waiting"
            self.sentence = self._sentence(quiet)

    def _sentence(self, quiet: float) -> str:
        done = f"{self.done} of {self.epochs} epochs are done"
        if self.status == "silent":
            return f"silent for {duration(quiet)}: {done}; its process may have ended, and --resume goes on"
        if self.status == "waiting":
            return "the first epoch is not done yet"
        left = (self.epochs - self.done) * self.epoch_seconds
        return f"running: {done}, about {duration(left)} left" if left else f"running: {done}"

    def document(self) -> dict[str, Any]:
        """Return what a page is told of the run."""
        kept = (
            "experiment", "group", "seed", "epochs", "done", "status", "sentence", "contract", "imported",
            "test_accuracy", "test_loss", "spark_of", "spark", "seconds", "parameters", "problem", "born", "last",
        )  # fmt: skip
        document: dict[str, Any] = {"key": self.place.key, "name": self.place.name}
        document |= {name: getattr(self, name) for name in kept}
        left = (self.epochs - self.done) * self.epoch_seconds if self.status == "running" else None
        return printable_within(document | {"seconds_left": left})


def signature(path: Path) -> tuple[int, ...]:
    """Return numbers that change whenever something in the folder does; empty where it is gone.

    Files are written whole and renamed into place, which changes the folder's time; metrics.csv is asked too, for
    somebody else may write it in place.
    """
    try:
        folder = path.stat()
    except OSError:
        return ()
    try:
        metrics = (path / store.METRICS).stat()
    except OSError:
        return folder.st_mtime_ns, folder.st_ino, 0, 0, 0
    return folder.st_mtime_ns, folder.st_ino, metrics.st_ino, metrics.st_size, metrics.st_mtime_ns


def rows_of(state: State) -> Rows:
    """Return the epochs that are done. Raises UserError for a damaged file, and for a link."""
    if state.rows:
        return state.rows
    refuse_links(state.place.path)
    return store.read_metrics(state.place.path / store.METRICS)


def read(place: Place, before: State | None = None) -> State:
    """Return the run as its folder is now; what is damaged or half written is said in `problem`.

    before: what was known of it, from which is taken what cannot have changed.
    """
    state = State(place, signature(place.path))
    if not state.signature:
        state.status, state.problem = "gone", f"the folder of {place.name} is gone"
        return state
    state.group = key_of(place.path.parent / _digest(place.path))
    state.experiment = place.path.parent.name
    try:
        _fill(state, place.path, before)
    except UserError as error:
        state.status, state.problem = "broken", str(error)
    except Exception as error:  # it went away while it was read; and nothing that a folder holds may end the watch
        state.status, state.problem = "broken", f"{place.name} cannot be read: {files.reason(error)}"
    state.as_of_now()
    return state


def _fill(state: State, path: Path, before: State | None) -> None:
    refuse_links(path)
    ended = (path / store.SUMMARY).exists()  # asked first: what is written before it is then complete
    state.born = _born(path)
    same = before if before and before.born == state.born and before.epochs and not before.problem else None
    if ended:
        _end(state, records.read_summary(path / store.SUMMARY))
    elif same:
        state.seed, state.epochs = same.seed, same.epochs
    else:
        try:
            state.seed = records.read_environment(path / store.ENVIRONMENT)["seed"]
        except files.MissingFile:
            state.sentence, state.changed_at = "it is being prepared", path.stat().st_mtime
            return
        state.epochs = planned_epochs(files.read_text(path / store.EXPERIMENT, limits.YAML_BYTES))
    if not ended:
        state.changed_at = max((path / name).stat().st_mtime for name in _present(path))
    rows = _rows(state, path / store.METRICS, same)
    if not ended:
        state.rows = rows
    state.done = int(rows[-1]["epoch"]) if rows else 0
    state.last = {name: value for name, value in rows[-1].items() if math.isfinite(value)} if rows else {}
    state.epoch_seconds = median([row["seconds"] for row in rows[-LAST_ROWS:]]) if rows else 0.0
    state.seconds = sum(row["seconds"] for row in rows)
    state.spark_of, state.spark = _spark(rows)
    if ended:
        state.text = ""  # five hundred of them are not kept


def _rows(state: State, file: Path, same: State | None) -> Rows:
    """Return the rows of metrics.csv; of one that only grew since, only the new lines are read."""
    try:
        state.text = files.read_text(file, limits.METRICS_BYTES)
    except files.MissingFile:
        return []
    grew = same and same.rows and same.text.endswith("\n") and state.text.startswith(same.text)
    return store.metrics_in(state.text, file, same.rows if same and grew else ())


def _end(state: State, summary: records.Summary) -> None:
    state.experiment, state.seed = summary["experiment"], summary["seed"]
    state.status, state.sentence = summary["status"], summary["status_sentence"]
    state.epochs, state.parameters = summary["epochs"], summary["parameters"]
    state.test_accuracy, state.test_loss = summary["test_accuracy"], summary["test_loss"]
    contract, state.imported = summary["contract"], "imported" in summary
    if contract["checks"] and not state.imported:  # of imported weights nobody knows the epochs
        kept = "kept so far" if contract.get("open") else "kept"
        state.contract = kept if contract["passed"] else "not kept"


def _present(path: Path) -> list[str]:
    return [name for name in (store.METRICS, store.ENVIRONMENT) if (path / name).exists()]


def _born(path: Path) -> str:
    """Return what tells a run from another that took its place: the file that is written once, when a run begins."""
    try:
        split = (path / store.SPLIT).stat()
    except OSError:
        return ""
    return f"{split.st_ino:x}-{split.st_mtime_ns:x}"


def planned_epochs(text: str) -> int:
    """Return how many epochs an experiment's text says, 0 where it says none."""
    found = re.search(r"^  epochs: ([0-9]{1,6})$", text, re.MULTILINE)  # as classlab writes it
    if found:
        return int(found[1])
    try:
        return max(0, int(parse_yaml(text, store.EXPERIMENT)["training"]["epochs"]))
    except (UserError, KeyError, TypeError, ValueError):
        return 0


def _digest(path: Path) -> str:
    """Return the 8 digits in a run folder's name, which stand for everything but the seed; else the whole name."""
    found = re.match(r"s\d+-([0-9a-f]{8})", path.name)
    return found[1] if found else path.name


def _spark(rows: Sequence[dict[str, float]]) -> tuple[str, list[float | None]]:
    """Return which column a small drawing shows, and at most SPARK_POINTS of its values, the last one among them."""
    name = next((name for name in SPARKS if any(name in row for row in rows)), "")
    every = max(1, -(-len(rows) // SPARK_POINTS))
    values = [row.get(name, math.nan) for row in rows[::-1][::every]][::-1]
    return name, [round(value, 5) if math.isfinite(value) else None for value in values]

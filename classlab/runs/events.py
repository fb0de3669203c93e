"""Events: what happens while runs train, as plain data. Whoever wants to know writes a `for` loop.

    for event in events.follow(["runs/mnist-20k/s0-1a2b3c4d"]):
        if isinstance(event, EpochDone):
            print(event.row["epoch"], event.row["train_loss"])

The process that trains yields them (runs.execute, study.places), and `follow` yields the same from run folders that
another process writes. A run's events come in order: Begun, then Progress and EpochDone, then Ended or Failed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from classlab import experiment as experiments
from classlab.errors import UserError
from classlab.runs import records, store

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Begun:
    """A run begins, or goes on. epochs: how many it trains in all. done: how many of them were done before.

    images: how many an epoch trains on, every copy of an expanded set counted; 0 where the folder does not say.
    """

    run: Path
    name: str
    seed: int
    epochs: int
    done: int
    images: int


@dataclass(frozen=True)
class Progress:
    """So many images were trained on since the last event of this run. Only the process that trains yields it."""

    run: Path
    images: int


@dataclass(frozen=True)
class EpochDone:
    """An epoch is done and kept. row: its metrics, by the names of metrics.csv."""

    run: Path
    row: dict[str, float]


@dataclass(frozen=True)
class Ended:
    """A run ended and has its summary, whose status says whether it finished, diverged or did not learn."""

    run: Path
    summary: records.Summary


@dataclass(frozen=True)
class Failed:
    """A run could not be trained, or its folder cannot be read. sentence: why."""

    run: Path
    sentence: str


Event = Begun | Progress | EpochDone | Ended | Failed


def follow(
    folders: str | Path | Sequence[str | Path],
    until: Callable[[], bool] = lambda: False,
    seconds: float = SECONDS_BETWEEN_LOOKS,
) -> Iterator[Event | None]:
    """Yield what happens in run folders, whoever trains there, until each run has ended or `until` says so.

    Yields None after each look in which nothing happened, so that a screen can keep its clock. folders: one or several,
    which need not exist yet: what is not there is waited for. until: asked after each look; one more look follows.
    seconds: between two looks. What was there before the first look is yielded first, so that whoever comes
    late misses nothing.
    """
    folders = [folders] if isinstance(folders, str | Path) else folders
    waiting = {Path(folder): _Seen() for folder in folders}
    last = False
    while waiting:
        happened = False
        for folder, seen in list(waiting.items()):
            for event in _look(folder, seen):
                happened = True
                yield event
                if isinstance(event, Ended | Failed):
                    del waiting[folder]
        if last:
            return
        if not happened and waiting:
            yield None
        last = until()
        if waiting and not last:
            time.sleep(seconds)


@dataclass
class _Seen:
    """What was seen of a run's folder. rows: how many epochs. size: of metrics.csv, read only when it grows."""

    begun: bool = False
    rows: int = 0
    size: int = -1


def _look(folder: Path, seen: _Seen) -> Iterator[Event]:
    """Yield what is new in a run's folder."""
    try:
        # The summary is asked for first: what is written before it is then complete.
        ended = (folder / store.SUMMARY).exists()
        if not seen.begun and (folder / store.ENVIRONMENT).exists():
            yield _begun(folder)
            seen.begun = True
        if seen.begun:
            yield from _rows(folder, seen)
        if ended:
            yield Ended(folder, records.read_summary(folder / store.SUMMARY))
    except UserError as error:
        yield Failed(folder, str(error))


def _rows(folder: Path, seen: _Seen) -> Iterator[EpochDone]:
    file = folder / store.METRICS
    try:
        size = file.stat().st_size
    except OSError:
        return
    if size == seen.size:
        return
    rows = store.read_metrics(file)
    new, seen.rows, seen.size = rows[seen.rows :], len(rows), size
    for row in new:
        yield EpochDone(folder, row)


def _begun(folder: Path) -> Begun:
    """Say what a folder's run is. The experiment is read and not resolved, since it may name code not trusted."""
    declared = experiments.read_yaml(folder / store.EXPERIMENT)
    try:
        name, epochs = str(declared["name"]), int(declared["training"]["epochs"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{folder / store.EXPERIMENT} does not hold a complete experiment") from None
    environment = records.read_environment(folder / store.ENVIRONMENT)
    return Begun(folder, name, environment["seed"], epochs, 0, environment.get("epoch_images", 0))

"""What is seen while the runs of reports train, on standard error: one line with rate and time left."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from classlab.formats import duration, percent
from classlab.runs import store
from classlab.runs.events import Ended, EpochDone, Event, Failed
from classlab.runs.records import Summary
from classlab.terminal import errors

SECONDS_BETWEEN_UPDATES = 1.0


@dataclass(frozen=True)
class Watched:
    """One run. name: for people. images: of an epoch. seconds: what the whole of it may take, to weigh it by."""

    name: str
    epochs: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Seen:
    """How far the runs are. ended: how many. images: those trained on. seconds: of their work, as estimated."""

    ended: int
    images: int
    seconds: float


def screen(events: Iterable[Event | None], runs: Mapping[Path, Watched]) -> Iterator[Event | None]:
    """Show how far the runs are, and yield every event on: on a terminal one line that changes; a line for each end."""
    done = {folder: store.epochs_done(folder) for folder in runs}
    ended: set[Path] = set()
    begun, started, updated = _seen(runs, done, ended), time.monotonic(), 0.0
    with errors.status(f"{len(runs)} runs") as status:
        for event in events:
            match event:
                case EpochDone():
                    done[event.run] = int(event.row["epoch"])
                case Ended() | Failed():
                    ended.add(event.run)
                    done[event.run] = runs[event.run].epochs  # one that ended early has done all its work
                    outcome = _outcome(event.summary) if isinstance(event, Ended) else event.sentence
                    text = f"[{len(ended)}/{len(runs)}] {runs[event.run].name}: {outcome}"
                    errors.print(text, markup=False, soft_wrap=True)
            if time.monotonic() - updated > SECONDS_BETWEEN_UPDATES:
                updated = time.monotonic()
                status.update(line(runs, begun, _seen(runs, done, ended), updated - started))
            yield event


def _seen(runs: Mapping[Path, Watched], done: Mapping[Path, int], ended: set[Path]) -> Seen:
    images = sum(runs[folder].images * epochs for folder, epochs in done.items())
    return Seen(len(ended), images, sum(runs[folder].seconds * done[folder] / runs[folder].epochs for folder in runs))


def line(runs: Mapping[Path, Watched], begun: Seen, seen: Seen, elapsed: float) -> str:
    """Return the line: how many runs are done, the rate, and the time left, by the rate since this process began."""
    whole, done = sum(run.seconds for run in runs.values()), seen.seconds - begun.seconds
    text = f"{seen.ended} of {len(runs)} runs · {100 * seen.seconds / whole:.0f} %"
    if done <= 0:
        return text
    rate = (seen.images - begun.images) / elapsed
    return f"{text} · {rate:,.0f} images/s · about {duration(elapsed * (whole - seen.seconds) / done)} left"


def _outcome(summary: Summary) -> str:
    accuracy = summary["test_accuracy"]
    if summary["status"] != "finished":
        return summary["status_sentence"]
    text = f"test loss {summary['test_loss']:.4f}" if accuracy is None else f"test accuracy {percent(accuracy)}"
    return f"{text}, {duration(summary['seconds'])}"

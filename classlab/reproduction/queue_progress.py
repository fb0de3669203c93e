"""What is seen while the runs of reports train, on standard error: one line with rate and time left.

A thread looks into the run folders now and then, so that it does not matter in which process a run is trained.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from classlab.progress import followed
from classlab.report.words import duration
from classlab.runs import records, store
from classlab.terminal import errors

SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Watched:
    """One run. name: for people. images: of an epoch. seconds: what the whole of it may take, to weigh it by."""

    name: str
    epochs: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Seen:
    """How far the runs are. ended: the folders of those that have a summary. seconds: of their work, as weighed."""

    ended: frozenset[Path]
    images: int
    seconds: float


@contextmanager
def watch(runs: Mapping[Path, Watched], verbose: bool) -> Iterator[None]:
    """Show how far the runs are until the block ends: on a terminal one line that changes, else one for each run."""
    if not verbose:
        yield
        return
    begun, started = look(runs), time.monotonic()
    before = begun
    with errors.status(f"{len(runs)} runs") as status:

        def follow() -> None:
            nonlocal before
            seen = look(runs)
            status.update(line(runs, begun, seen, time.monotonic() - started))
            for number, folder in enumerate(sorted(seen.ended - before.ended), len(before.ended) + 1):
                text = f"[{number}/{len(runs)}] {runs[folder].name}: {_ended(folder)}"
                errors.print(text, markup=False, soft_wrap=True)
            before = seen

        with followed(follow, SECONDS_BETWEEN_LOOKS):
            yield


def look(runs: Mapping[Path, Watched]) -> Seen:
    """Look into the run folders; a run that ended early has done all its work."""
    ended = frozenset(folder for folder in runs if (folder / store.SUMMARY).is_file())
    done = {folder: run.epochs if folder in ended else store.epochs_done(folder) for folder, run in runs.items()}
    return Seen(
        ended,
        sum(runs[folder].images * epochs for folder, epochs in done.items()),
        sum(runs[folder].seconds * epochs / runs[folder].epochs for folder, epochs in done.items()),
    )


def line(runs: Mapping[Path, Watched], begun: Seen, seen: Seen, elapsed: float) -> str:
    """Return the line: how many runs are done, the rate, and the time left, by the rate since this process began."""
    whole, done = sum(run.seconds for run in runs.values()), seen.seconds - begun.seconds
    text = f"{len(seen.ended)} of {len(runs)} runs · {100 * seen.seconds / whole:.0f} %"
    if done <= 0:
        return text
    rate = (seen.images - begun.images) / elapsed
    return f"{text} · {rate:,.0f} images/s · about {duration(elapsed * (whole - seen.seconds) / done)} left"


def _ended(folder: Path) -> str:
    summary = records.read(folder / store.SUMMARY, records.Summary)
    accuracy = summary["test_accuracy"]
    if summary["status"] != "finished":
        return summary["status_sentence"]
    text = f"test loss {summary['test_loss']:.4f}" if accuracy is None else f"test accuracy {100 * accuracy:.2f} %"
    return f"{text}, {duration(summary['seconds'])}"

"""The runs that the five reports need, trained as one queue over the cores; what is finished is never trained again."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.progress import progress
from classlab.report.published import Published, Trained
from classlab.runs import store
from classlab.study import forecast, places
from classlab.study.plan import RUNS, Entry, Planned
from classlab.study.sweep import Variant

SECONDS_BETWEEN_LOOKS = 1.0
# What a step costs besides its arithmetic, and how fast that is: only for an order in which to train.
STEP_SECONDS, MULTIPLY_ADDS_A_SECOND = 3e-4, 2e10


@dataclass(frozen=True)
class Needed:
    """One run of a report. report, run: the names of both. folder: where it is or will be.

    after: the run trained before it, whose encoder it starts from. fresh: the same experiment from a fresh encoder,
    which can be looked into before that one is trained.
    """

    report: str
    run: str
    experiment: Experiment
    seed: int
    folder: Path
    fresh: Experiment
    after: Path | None = None


def needed(reports: Sequence[Published], out: Path, quick: bool = False, seeds: int | None = None) -> list[Needed]:
    """Return every run of the reports, in their order. seeds: how many of each, instead of the report's own."""
    found = []
    for report in reports:
        for name, trained in report.runs.items():
            for seed in range(seeds or trained.seeds):
                found.append(_needed(report, name, trained, seed, out, quick))
    return found


def _needed(report: Published, name: str, trained: Trained, seed: int, out: Path, quick: bool) -> Needed:
    experiment = fresh = trained.resolve(quick)
    after = None
    if trained.encoder:
        encoder = report.runs[trained.encoder]
        # One encoder for all seeds where the report trains one: what varies is what is built on it.
        after = _needed(report, trained.encoder, encoder, min(seed, encoder.seeds - 1), out, quick).folder
        fresh = trained.resolve(quick, model__freeze=False)
        experiment = trained.resolve(quick, model__encoder=str(after))
    folder = store.folder(out / RUNS, experiment.name, seed, experiment.digest())
    return Needed(report.name, name, experiment, seed, folder, fresh, after)


def finished(one: Needed) -> bool:
    """Whether the run has come to its end."""
    return (one.folder / store.SUMMARY).is_file()


def train(
    wanted: Sequence[Needed], out: Path, jobs: int | None = None, device: str | None = None, verbose: bool = True
) -> dict[Path, str]:
    """Train the runs that are not finished, longest first; return those that could not be, folder -> sentence.

    jobs: processes at a time, of one thread each; None: one a core. Raises UserError where another process is at work.
    """
    waiting = {one.folder: one for one in wanted if not finished(one)}
    if not waiting:
        return {}
    store.create(out)
    with _alone(out):
        works = forecast.check([Variant(str(one.folder), one.fresh, {}) for one in waiting.values()], device)
        order = sorted(waiting.values(), key=lambda one: -_seconds(works[str(one.folder)]))
        failures: dict[Path, str] = {}
        with _watch({one.folder: works[str(one.folder)] for one in order}, verbose):
            for stage in ([one for one in order if one.after is None], [one for one in order if one.after is not None]):
                _train(stage, out, jobs or places.cores(), device, failures)
    return failures


def _seconds(work: forecast.Work) -> float:
    arithmetic = 3 * (work.multiply_adds or 0) * work.images * work.epochs / MULTIPLY_ADDS_A_SECOND
    return work.steps * STEP_SECONDS + arithmetic


def _train(stage: Sequence[Needed], out: Path, jobs: int, device: str | None, failures: dict[Path, str]) -> None:
    from classlab.training.device import check_device

    runs = {str(one.folder.relative_to(out)): one for one in stage}
    experiments: Mapping[str, Experiment] = {name: one.experiment for name, one in runs.items()}
    planned = tuple(Planned(name, one.seed, name) for name, one in runs.items())
    if not planned:
        return
    device = check_device(device)
    place = "processes" if device == "cpu" else "one by one"
    entry = Entry(place, 1, device, planned)
    places.train_entry(entry, planned, experiments, out, jobs, lambda one, told: failures.update({out / one.run: told}))


@contextmanager
def _watch(works: Mapping[Path, forecast.Work], verbose: bool) -> Iterator[None]:
    """Show a bar with rate and time left until the block ends, by looking into the run folders."""
    if not verbose:
        yield
        return
    stop, begun = threading.Event(), _images(works)
    total = sum(work.images * work.epochs for work in works.values())

    def follow() -> None:
        seen = begun
        with progress(f"{len(works)} runs", total - begun, "images") as advance:
            while not stop.wait(SECONDS_BETWEEN_LOOKS):
                now = _images(works)
                advance(now - seen)
                seen = now

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _images(works: Mapping[Path, forecast.Work]) -> int:
    """Return how many images the runs have trained on so far; one that ended early has done all."""
    return sum(work.images * _epochs(folder, work.epochs) for folder, work in works.items())


def _epochs(folder: Path, planned: int) -> int:
    if (folder / store.SUMMARY).is_file():
        return planned
    metrics = folder / store.METRICS
    return max(0, len(metrics.read_bytes().splitlines()) - 1) if metrics.is_file() else 0


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises UserError where another process holds it."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout:
        raise UserError(f"another process is at work in {out}; wait for it, or stop it first") from None

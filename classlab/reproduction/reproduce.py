"""Reproduce reports: the runs that they need trained as one queue over the cores, what is finished never again."""

import heapq
import shlex
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from classlab import lookup
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.lab import Run
from classlab.reproduction import notebook as notebooks
from classlab.reproduction import published, queue_progress
from classlab.reproduction import reproduced_files as files
from classlab.reproduction.published import Published, Trained
from classlab.reproduction.queue_progress import Watched
from classlab.reproduction.reproduced import Reproduced
from classlab.runs import records, store
from classlab.runs.events import Ended, Event, Failed
from classlab.study import forecast
from classlab.study.jobs import Job, Place
from classlab.study.plan import RUNS
from classlab.study.sweep import Variant
from classlab.terminal import errors
from classlab.training.fast.cores import cores

LOCK = ".lock"
# A run that takes longer keeps the number of seeds that its report has here. It is decided once and written down: a
# forecast differs from day to day, and what is trained would with it.
LONG_SECONDS, LONG = 300, "long.json"
# What a step costs besides its arithmetic, and how fast that is: only for an order in which to train.
STEP_SECONDS, MULTIPLY_ADDS_A_SECOND = 3e-4, 2e10


@dataclass(frozen=True)
class Needed:
    """One run of a report. report, run: the names of both. folder: where it is or will be.

    after: the run trained before it, whose weights it starts from. fresh: the same experiment from fresh weights,
    which can be looked into before that one is trained.
    """

    report: str
    run: str
    experiment: Experiment
    seed: int
    folder: Path
    fresh: Experiment
    after: Path | None = None

    @property
    def name(self) -> str:
        """The name of the experiment among those of all reports."""
        return f"{self.report} {self.run}"


def reproduce(
    source: str | Path = "all",
    *,
    quick: bool = False,
    seeds: int | None = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    device: str | None = None,
    notebook: bool = False,
    author: str | None = None,
    roll: str | None = None,
    course: str | None = None,
    verbose: bool = True,
) -> list[Reproduced]:
    """Reproduce a report, or with `all` every shipped one: train what they need and write the results.

    source: a shipped report's name, or the YAML file of the reader's own; code that it names may run, for the reader
    named it. quick: real runs, but shorter ones. seeds: how many of each run, but not of one that takes over five
    minutes. out: where runs and files go, `reproduced` or with quick `reproduced-quick`. jobs: processes at a time;
    None: one a core. notebook: also an executed notebook of each. author, roll, course: printed on the report.
    verbose: progress on standard error.

    Finished runs are never trained again, and an interrupted one continues where it stopped. Raises UserError.
    """
    folder = default_out(quick) if out is None else Path(out)
    reports = named(source)
    if notebook:
        notebooks.check()
    if quick:
        files.refuse_to_replace(reports, folder)
    asked = wanted(source, folder, quick, seeds, device, keep=True)
    failures = train(asked, folder, jobs, device, verbose)
    command = _command(str(source), quick, seeds, out, device)
    found = [_reproduced(report, asked, failures, folder, command, quick, seeds) for report in reports]
    try:
        if notebook:  # first, for what it runs writes the report too, without the reader's name
            for report in reports:
                notebooks.write(report, folder, quick, seeds)
    finally:
        for reproduced in found:
            with errors.status(f"writing {reproduced.html}"):
                files.write(reproduced, author, roll, course)
        files.write_tables(found, folder)
    return found


def default_out(quick: bool) -> Path:
    """Return the folder that is written to where none is named: shortened runs never stand in a full report's place."""
    return Path("reproduced-quick" if quick else "reproduced")


def _command(name: str, quick: bool, seeds: int | None, out: str | Path | None, device: str | None) -> str:
    options = ["--quick"] if quick else []
    for option, given in (("--seeds", seeds), ("--out", out), ("--device", device)):
        options += [option, str(given)] if given is not None else []
    return shlex.join(["classlab", "reproduce", name, *options])


def _reproduced(
    report: Published,
    asked: Sequence[Needed],
    failures: Mapping[Path, str],
    out: Path,
    command: str,
    quick: bool,
    seeds: int | None,
) -> Reproduced:
    needed_here = [needed for needed in asked if needed.report == report.name]
    runs: dict[str, list[Run]] = {name: [] for name in report.runs}
    failed = {}
    for needed in needed_here:
        if finished(needed):
            runs[needed.run].append(Run(needed.folder, trust=report.trusted))
        if needed.folder in failures:
            failed[f"{needed.run}, seed {needed.seed}"] = failures[needed.folder]
    return Reproduced(report, runs, out, command, quick, seeds, failed)


def wanted(
    source: str | Path,
    out: Path,
    quick: bool = False,
    seeds: int | None = None,
    device: str | None = None,
    keep: bool = False,
) -> list[Needed]:
    """Return every run of a report, or of all of them.

    seeds: how many of each run, but not of a long one. keep: write down which are long, for the next time.
    Raises UserError for a name that no report has, and for fewer than one seed.
    """
    if seeds is not None and seeds < 1:
        raise UserError(f"seeds must be at least 1, got {seeds}")
    reports = named(source)
    found = needed(reports, out, quick, seeds)
    if seeds is None:
        return found
    long = _long(found, out, device, fetch=keep)
    if keep:
        store.create(out)
        store.write_json(out / LONG, long)
    return needed(
        reports,
        out,
        quick,
        seeds,
        {(need.report, need.run) for need in found if long[need.experiment.digest()]},
    )


def _long(found: Sequence[Needed], out: Path, device: str | None, fetch: bool) -> dict[str, bool]:
    """Return which experiments take long, by digest: as it was decided before training, else by a forecast."""
    known: dict[str, bool] = records.read_object(out / LONG) if (out / LONG).is_file() else {}
    new = [need for need in found if need.experiment.digest() not in known]
    if not new:
        return known
    seconds = times(new, device, fetch)
    return known | {need.experiment.digest(): seconds[need.folder].seconds > LONG_SECONDS for need in new}


def named(source: str | Path) -> list[Published]:
    """Return the report of a shipped name or a YAML file, or with `all` every shipped one. Raises UserError."""
    return [published.load(name) for name in (published.names() if source == "all" else [source])]


def needed(
    reports: Sequence[Published],
    out: Path,
    quick: bool = False,
    seeds: int | None = None,
    keep: Collection[tuple[str, str]] = (),
) -> list[Needed]:
    """Return every run of the reports, in their order.

    seeds: how many of each, instead of the report's own. keep: the (report, run) that keep their own all the same.
    """
    found = []
    for report in reports:
        counts = {
            name: seeds if seeds and (report.name, name) not in keep else trained.seeds
            for name, trained in report.runs.items()
        }
        for name in report.runs:  # what a run starts from is trained for as many seeds as it is asked for
            later, first = name, report.runs[name].starts_from
            while first is not None:
                counts[first] = max(counts[first], min(counts[later], report.runs[first].seeds))
                later, first = first, report.runs[first].starts_from
        for name, trained in report.runs.items():
            found += [_needed(report, name, trained, seed, out, quick) for seed in range(counts[name])]
    return found


def _needed(report: Published, name: str, trained: Trained, seed: int, out: Path, quick: bool) -> Needed:
    after = None
    if trained.starts_from is None:
        experiment = fresh = trained.resolve(quick)
    else:
        first = report.runs[trained.starts_from]
        # One run to start from for all seeds where the report trains one: what varies is what is built on it.
        after = _needed(report, trained.starts_from, first, min(seed, first.seeds - 1), out, quick).folder
        fresh = trained.resolve(quick)
        experiment = trained.resolve(quick, training__start_from__run=str(after.resolve()))  # found from any folder
    folder, _ = store.found(out / RUNS, experiment.name, seed, (experiment.digest(), *experiment.earlier_digests()))
    return Needed(report.name, name, experiment, seed, folder, fresh, after)


def finished(need: Needed) -> bool:
    """Whether the run has finished."""
    return (need.folder / store.SUMMARY).is_file()


def times(wanted: Sequence[Needed], device: str | None = None, fetch: bool = True) -> dict[Path, forecast.Seconds]:
    """Return how long each run takes in a process of one thread: folder -> seconds, by a measurement of some steps."""
    folders: dict[str, list[Path]] = {}
    for need in wanted:
        folders.setdefault(need.name, []).append(need.folder)
    known = forecast.times(_variants(wanted), device, folders, threads=1, fetch=fetch)
    return {need.folder: known[need.name] for need in wanted}


def _variants(wanted: Sequence[Needed]) -> list[Variant]:
    """Return every experiment once, whatever its seeds, as it can be looked into before anything is trained."""
    return [Variant(name, need.fresh, {}) for name, need in {need.name: need for need in wanted}.items()]


def by_the_clock(seconds: Sequence[float], jobs: int) -> float:
    """Return how long runs take when `jobs` processes take one after the other, the longest first."""
    busy = [0.0] * jobs
    for need in sorted(seconds, reverse=True):
        heapq.heappush(busy, heapq.heappop(busy) + need)
    return max(busy)


def train(
    wanted: Sequence[Needed], out: Path, jobs: int | None = None, device: str | None = None, verbose: bool = True
) -> dict[Path, str]:
    """Train the runs that are not finished, longest first; return those that could not be, folder -> sentence.

    jobs: processes at a time, of one thread each; None: one a core. Raises UserError where another process is at work.
    """
    jobs = processes(jobs, device)
    waiting = {need.folder: need for need in wanted if not finished(need)}
    if not waiting:
        return {}
    store.create(out)
    with store.alone(out, out / LOCK):
        known = forecast.check(_variants(list(waiting.values())), device)
        works = {folder: known[need.name] for folder, need in waiting.items()}
        order = longest_first(waiting, {folder: _seconds(work) for folder, work in works.items()})
        watched = {run.folder: _watched(run, works[run.folder]) for run in order}
        happening = _train(order, out, jobs, device)
        failures: dict[Path, str] = {}
        try:
            with closing(happening):  # Ctrl-C may come while the line is drawn: then too the place is to stop
                for event in queue_progress.screen(happening, watched) if verbose else happening:
                    if isinstance(event, Failed):
                        failures[event.run] = event.sentence
                    elif isinstance(event, Ended):  # also of one that another process had
                        failures.pop(event.run, None)
        except KeyboardInterrupt:
            errors.print(
                f"stopped; what is done is kept in {out}, and the same command goes on from there",
                soft_wrap=True,
                markup=False,
            )
            raise
    return failures


def processes(jobs: int | None, device: str | None = None) -> int:
    """Return how many processes train at a time; None: one a core, and on another device than the cpu one.

    Raises UserError for fewer than one.
    """
    from classlab.training.settings import check_device

    if jobs is not None and jobs < 1:
        raise UserError(f"jobs must be at least 1, got {jobs}")
    return jobs or cores() if check_device(device) == "cpu" else 1


def _watched(need: Needed, work: forecast.Work) -> Watched:
    return Watched(f"{need.name}, seed {need.seed}", work.epochs, work.images, _seconds(work))


def _seconds(work: forecast.Work) -> float:
    arithmetic = 3 * (work.multiply_adds or 0) * work.images * work.epochs / MULTIPLY_ADDS_A_SECOND
    return work.steps * STEP_SECONDS + arithmetic


def longest_first(waiting: Mapping[Path, Needed], seconds: Mapping[Path, float]) -> list[Needed]:
    """Return the runs as they are begun. One that others start from counts with the longest chain of them."""
    behind = dict(seconds)
    for folder in waiting:
        length, before = seconds[folder], waiting[folder].after
        while before in waiting:
            length += seconds[before]
            behind[before] = max(behind[before], length)
            before = waiting[before].after
    return sorted(waiting.values(), key=lambda need: -behind[need.folder])


def _train(order: Sequence[Needed], out: Path, jobs: int, device: str | None) -> Generator[Event | None, None, None]:
    """Train the runs where small ones train best, and yield what happens."""
    from classlab.training.settings import check_device

    device = check_device(device)
    place: Place = lookup.find("place", "processes" if device == "cpu" else "one by one")
    asked = [Job(run.folder, run.experiment, run.seed, device, 1, run.after) for run in order]
    yield from place(asked, jobs, out / store.LOG)

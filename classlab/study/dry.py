"""A dry run: what a study would train, where, and what that would take. Nothing is trained but a moment's steps."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from classlab import experiment as experiments
from classlab.errors import Refused, UserError
from classlab.formats import listed
from classlab.study import arithmetic, conduct, forecast, plan, results
from classlab.study import declaration as studies
from classlab.study.declaration import Study
from classlab.study.plan import Entry, Planned
from classlab.study.search import Search
from classlab.study.sweep import Variant, short_keys, space_of, variants
from classlab.training.fast.cores import cores


@dataclass(frozen=True)
class Expected:
    """One variant. done: of its runs, those that are finished. steps: of one run. seconds: of one run, alone.

    places: where its runs are trained. disk: bytes of one run. known_from: what the seconds rest on. step: which step
    trains it, torch's or the native one, and why.
    """

    variant: str
    seeds: list[int]
    done: int
    parameters: int
    steps: int
    places: list[str]
    seconds: float
    known_from: str
    step: str
    disk: int


@dataclass(frozen=True)
class DryRun:
    """The variants, and the whole of what is still to do.

    seconds: by the clock, with `jobs` processes where runs are trained so. disk: bytes that are still to be written.
    decided: what arithmetic says of a published curve, where the study asks about one; of a search what it may try.
    """

    study: str
    question: str
    folder: str
    jobs: int
    variants: list[Expected]
    runs: int
    done: int
    seconds: float
    disk: int
    decided: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return everything as a program reads it."""
        return asdict(self)


def dry_run(
    source: "str | Path | Mapping[str, Any] | Study",
    *,
    seeds: int | list[int] | None = None,
    set: Sequence[str] = (),
    out: str | Path = "studies",
    jobs: int | None = None,
    device: str | None = None,
) -> DryRun:
    """Return what `study` with the same arguments would train. Raises what it would raise before training."""
    asked = studies.load(source, list(set), seeds, trust=True)
    variants(asked, trust=True)  # what is asked for is the reader's own; what the folder holds may be anybody's
    folder, jobs = Path(out) / asked.name, jobs or cores()
    whole = conduct.merged(asked, folder)
    if whole.sweep.search is not None:
        return _of_search(whole, whole.sweep.search, folder, jobs, device)
    made, curve = variants(whole), whole.compare.published
    works = forecast.check(made, device, fetch=False)
    planned = plan.extend(plan.read(folder), made, whole.seed_list, works, whole.place)
    by_variant = {variant.name: [run for run in planned.runs if run.variant == variant.name] for variant in made}
    folders = {name: [folder / run.run for run in runs] for name, runs in by_variant.items()}
    times = forecast.times(made, device, folders, fetch=False)
    done = {run.run for run in planned.runs if results.row(folder / run.run)["status"] in results.ENDED}
    expected = [
        Expected(
            variant=variant.name,
            seeds=sorted(run.seed for run in by_variant[variant.name]),
            done=sum(run.run in done for run in by_variant[variant.name]),
            parameters=works[variant.name].parameters,
            steps=works[variant.name].steps,
            places=list(
                dict.fromkeys(
                    entry.place for entry in planned.entries if any(run.variant == variant.name for run in entry.runs)
                )
            ),
            seconds=times[variant.name].seconds,
            known_from=times[variant.name].known_from,
            step=times[variant.name].step,
            disk=works[variant.name].disk,
        )
        for variant in made
    ]
    waiting = [run for run in planned.runs if run.run not in done]
    return DryRun(
        study=whole.name,
        question=whole.question,
        folder=str(folder),
        jobs=jobs,
        variants=expected,
        runs=len(planned.runs),
        done=len(done),
        seconds=sum(_entry_seconds(entry, waiting, times, jobs) for entry in planned.entries),
        disk=sum(works[run.variant].disk for run in waiting),
        decided=arithmetic.decide(curve, arithmetic.counted(made, fetch=False))[0] if curve else [],
    )


def _of_search(whole: Study, search: Search, folder: Path, jobs: int, device: str | None) -> DryRun:
    """Return what a search may train at most: its budget, at the price of its dearest corner.

    Timed are the baseline and two corners, every setting at its least and at its most (the first and the last choice).
    """
    made, space = variants(whole), space_of(whole, pairs=True)
    base = made[0]
    corners = [base, *(_corner(base, space.values(point), name) for name, point in space.corners().items())]
    works, known = dict[str, forecast.Work](), dict[str, forecast.Seconds]()
    for variant in corners:
        with suppress(*(() if variant is base else (UserError, Refused))):  # a search goes around what cannot be
            works |= forecast.check([variant], device, fetch=False)
            known |= forecast.times([variant], device, {}, fetch=False)
    planned = plan.read(folder)
    done = sum(results.row(folder / run.run)["status"] in results.ENDED for run in planned.runs)
    left = max(0, search.budget.runs - done)
    threads = {work.threads for work in works.values()}
    place = whole.place if whole.place != "auto" else "processes" if threads == {1} else "one by one"
    together = 1 if place == "one by one" else jobs
    expected = [
        Expected(
            variant.name, [], 0, works[variant.name].parameters, works[variant.name].steps, [place],
            known[variant.name].seconds, known[variant.name].known_from, known[variant.name].step,
            works[variant.name].disk,
        )
        for variant in corners
        if variant.name in known
    ]  # fmt: skip
    return DryRun(
        study=whole.name,
        question=whole.question,
        folder=str(folder),
        jobs=jobs,
        variants=expected,
        runs=search.budget.runs,
        done=done,
        seconds=left * max(seconds.seconds for seconds in known.values()) / together,
        disk=left * max(work.disk for work in works.values()),
        decided=[_what_is_searched(whole, search)],
    )


def _what_is_searched(whole: Study, search: Search) -> str:
    keys = listed(list(short_keys(list(search.settings)).values()))
    return (
        f"a search over {keys}: at most {search.budget.runs} runs in all. A round has {search.round} variants with up "
        f"to {len(whole.seed_list)} seeds each. Then the winner and the baseline get {search.confirm} fresh seeds. "
        "The times below are of the corners of the search space. The sum is its whole budget at the slowest of these"
    )


def _corner(base: Variant, values: Mapping[str, Any], name: str) -> Variant:
    return Variant(name, experiments.load(base.experiment, changes=values), values)


def _entry_seconds(entry: Entry, waiting: Sequence[Planned], times: Mapping[str, forecast.Seconds], jobs: int) -> float:
    left = [times[run.variant].seconds for run in entry.runs if run in waiting]
    if entry.place not in ("processes", "ray") or not left:
        return math.fsum(left)
    return max(max(left), math.fsum(left) / min(jobs, len(left)))

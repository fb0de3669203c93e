"""Rounds: a search is trained step by step to its end; then its winner and the baseline on fresh seeds."""

from collections.abc import Sequence
from pathlib import Path

from classlab.errors import Refused, UserError
from classlab.formats import count
from classlab.runs import store
from classlab.study import execution, forecast, plan, proposals, results
from classlab.study.declaration import Named, Study
from classlab.study.forecast import Work
from classlab.study.found import Found, found_in
from classlab.study.result import STUDY, StudyResult, read_failures
from classlab.study.space import Point, Space
from classlab.study.sweep import Variant, space_of, variants
from classlab.terminal import errors


def search(folder: Path, whole: Study, jobs: int, resume: bool, device: str | None, verbose: bool) -> None:
    """Train a search to its end. Arguments as for conduct.study, which holds the folder's lock.

    What is trained next follows from the variants and their runs alone, so a killed search continues with the same
    proposals. Raises UserError and Refused where the baseline cannot be trained.
    """
    proposals.check()
    space, failures = space_of(whole, pairs=True), {} if resume else read_failures(folder)
    while True:
        made = variants(whole)
        found = _found(folder, whole, made, failures, space)
        if found.standing.ask:
            whole = _with_proposals(whole, made, found, space)
            if verbose:
                _say(found)
            continue
        due, seeds = found.due
        if not due:
            break
        asked = [variant for variant in made if variant.name in due]
        planned = plan.extend(plan.read(folder), asked, seeds, _works(made[0], asked, device), whole.place)
        execution.begin(folder, whole, planned, failures)
        execution.train(folder, whole, made, planned, jobs, verbose)
        failures = read_failures(folder)
        _check_ended(folder, [run.run for run in planned.runs], failures)
    store.write(folder / STUDY, whole.to_yaml())
    StudyResult(folder).write()


def _found(folder: Path, whole: Study, made: Sequence[Variant], failures: dict[str, str], space: Space) -> Found:
    planned = plan.read(folder).runs
    rows = [
        {"variant": run.variant, "seed": run.seed, **results.row(folder / run.run, failures.get(run.run))}
        for run in planned
    ]
    return found_in(whole, made, rows, space)


def _with_proposals(whole: Study, made: Sequence[Variant], found: Found, space: Space) -> Study:
    """Return the study with the next variants."""
    means, known = found.standing.means, list[tuple[Point, float | None]]()
    for variant in made:
        point = space.point(variant.experiment.model_dump(mode="json"))
        if point is not None:
            known.append((point, means.get(variant.name)))
    new = proposals.propose(space, known, found.standing.ask)
    held = whole.sweep.variants or [Named(name=made[0].name)]
    names, number = {named.name for named in held}, 0
    added = []
    for point in new:
        number += 1
        while f"proposal {number}" in names:
            number += 1
        added.append(Named(name=f"proposal {number}", set=space.values(point)))
    return whole.model_copy(update={"sweep": whole.sweep.model_copy(update={"variants": [*held, *added]})})


def _works(baseline: Variant, asked: Sequence[Variant], device: str | None) -> dict[str, Work]:
    """Return the work of the variants; what cannot be trained gets the baseline's, and fails when it is its turn."""
    works = forecast.check([baseline], device)
    for variant in asked:
        try:
            works |= forecast.check([variant], device)
        except (UserError, Refused):
            works[variant.name] = works[baseline.name]
    return works


def _check_ended(folder: Path, runs: Sequence[str], failures: dict[str, str]) -> None:
    open_ = [run for run in runs if run not in failures and not (folder / run / store.SUMMARY).is_file()]
    if open_:
        raise UserError(f"{folder / open_[0]} did not finish; continue with --resume")


def _say(found: Found) -> None:
    now = found.standing
    best = f"; best so far {now.best}, {found.scale.value(now.means[now.best])}" if now.best else ""
    text = f"round {len(now.course) + 1}: {count(now.ask, 'variant')} proposed{best}"
    errors.print(text, style="dim", markup=False, soft_wrap=True)

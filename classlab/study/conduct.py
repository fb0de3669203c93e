"""Execute a study: from its declaration to a folder of runs and their results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classlab.errors import UserError, listing
from classlab.own_code import Untrusted
from classlab.runs import copied_code, store
from classlab.study import arithmetic, execution, forecast, plan, results, rounds
from classlab.study import declaration as studies
from classlab.study.declaration import Step, Study
from classlab.study.plan import Plan, Planned, population_state
from classlab.study.result import STUDY, StudyResult, read_failures
from classlab.study.sweep import Variant, variants
from classlab.terminal import errors
from classlab.training.fast.cores import cores

LOCK = ".lock"


def study(
    source: "str | Path | Mapping[str, Any] | Study",
    *,
    seeds: int | list[int] | None = None,
    set: Sequence[str] = (),
    out: str | Path = "studies",
    jobs: int | None = None,
    resume: bool = False,
    device: str | None = None,
    verbose: bool = True,
) -> StudyResult:
    """Train every run of a study and return its result; what is finished is never trained again.

    source: a shipped name, a YAML file, a mapping or a Study. seeds: instead of the study's own. set: `key=value`
    changes, see declaration.load. out: where study folders live; this one is out/<name>. jobs: processes at a time,
    where runs are trained so; None: one a core. resume: continue an interrupted study, and try failed runs again.
    device: None takes a CUDA device when there is one. verbose: progress on standard error.

    A study that differs from the one in its folder only by more variants or seeds trains what is new. Raises UserError
    for bad input and Refused where a variant's contract cannot be met, before anything is trained.
    """
    asked = studies.load(source, list(set), seeds, trust=True)
    if jobs is not None and jobs < 1:
        raise UserError(f"jobs must be at least 1, got {jobs}")
    folder = Path(out) / asked.name
    variants(asked, trust=True)  # what is asked for is the reader's own; what the folder holds may be anybody's
    whole = merged(asked, folder)
    made = variants(whole)
    planned = plan.read(folder)
    missing = [run for run in planned.runs if results.row(folder / run.run)["status"] not in results.ENDED]
    failures = read_failures(folder)
    if any(run.run not in failures for run in missing) and not resume:
        done = len(planned.runs) - len(missing)
        raise UserError(f"{folder} is incomplete ({done} of {len(planned.runs)} runs are done); continue with --resume")
    if whole.sweep.search is not None:
        store.refuse_links(folder, folder / plan.RUNS)
        store.create(folder)
        with store.alone(folder, folder / LOCK):
            rounds.search(folder, whole, jobs or cores(), resume, device, verbose)
        return StudyResult(folder)
    _count(folder, whole, made, verbose)
    new = unplanned(planned, made, whole.seed_list)
    if new or (missing and resume):
        works = forecast.check(new, device)
        store.refuse_links(folder, folder / plan.RUNS)
        store.create(folder)
        with store.alone(folder, folder / LOCK):
            planned = plan.extend(plan.read(folder), new, whole.seed_list, works, whole.place)
            _say_what_begins_anew(folder, planned, missing)
            execution.begin(folder, whole, planned, {} if resume else failures)
            execution.train(folder, whole, made, planned, jobs or cores(), verbose)
        return StudyResult(folder)
    with store.alone(folder, folder / LOCK):
        store.write(folder / STUDY, whole.to_yaml())  # what is compared may be asked anew of the same runs
        StudyResult(folder).write()  # a kill may have come between the last run's end and this
    if verbose:
        errors.print(f"{folder} is finished; more seeds or values make it grow", style="dim", markup=False)
    return StudyResult(folder)


def _count(folder: Path, whole: Study, made: Sequence[Variant], verbose: bool) -> None:
    """Say what arithmetic decides of a published curve before anything is trained, and keep what it rests on."""
    curve = whole.compare.published
    if curve is None:
        return
    known = arithmetic.read(folder)
    new = [variant for variant in made if variant.name not in known]
    known |= arithmetic.counted(new)
    if new:
        store.create(folder)
        arithmetic.write(folder, known)
    if verbose:
        for text in arithmetic.decide(curve, {variant.name: known[variant.name] for variant in made})[0]:
            errors.print(text, style="dim", markup=False, soft_wrap=True)


def merged(asked: Study, folder: Path) -> Study:
    """Return the study to work on: the asked one, which may hold more than the folder's, or the folder's, if that does.

    Raises UserError where neither holds the other.
    """
    if not (folder / STUDY).is_file():
        return asked
    ours = {variant.name: variant.experiment.digest() for variant in variants(asked)}
    try:
        held = studies.load(folder / STUDY)
        theirs = {variant.name: variant.experiment.digest() for variant in variants(held)}
    except Untrusted as error:
        raise UserError(f"{folder} holds another study, which {error.what}; give another folder with --out") from None
    elsewhere = "give another name with --set name=…, or another folder with --out"
    if asked.sweep.search != held.sweep.search or (asked.sweep.search and asked.seed_list != held.seed_list):
        raise UserError(
            f"{folder} holds another study: its sweep.search or its seeds are others, and a search does not grow; "
            f"{elsewhere}"
        )
    changed = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    seeds, held_seeds = frozenset(asked.seed_list), frozenset(held.seed_list)
    if changed:
        raise UserError(f"{folder} holds another study: its variant {changed[0]} is another experiment; {elsewhere}")
    edited = copied_code.edited(store.runs_in(folder / plan.RUNS), folder / STUDY)
    if edited:
        raise UserError(f"{folder} holds runs that were made before {listing(edited)} was changed; {elsewhere}")
    if theirs.keys() <= ours.keys() and held_seeds <= seeds:
        return asked
    if ours.keys() <= theirs.keys() and seeds <= held_seeds:
        return held.model_copy(
            update={"compare": asked.compare, "question": asked.question, "steps": _texts(held.steps, asked.steps)}
        )
    lost = sorted(theirs.keys() - ours.keys()) or sorted(ours.keys() - theirs.keys())
    what = f"the variant {lost[0]}" if lost else f"the seed {min(held_seeds - seeds)}"
    raise UserError(f"{folder} grows by more variants and seeds, and {what} is not in both studies; {elsewhere}")


def _texts(held: Sequence[Step], asked: Sequence[Step]) -> list[Step]:
    """Return the steps of a study's folder with the target and the analysis that the asked ones hold now."""
    now = {step.name: step for step in asked}
    return [
        step.model_copy(update={"target": now[step.name].target, "analysis": now[step.name].analysis})
        if step.name in now else step
        for step in held
    ]  # fmt: skip


def unplanned(planned: Plan, made: Sequence[Variant], seeds: Sequence[int]) -> list[Variant]:
    """Return the variants of which a run is not in the plan."""
    held = {(run.variant, run.seed) for run in planned.runs}
    return [variant for variant in made if any((variant.name, seed) not in held for seed in seeds)]


def _say_what_begins_anew(folder: Path, planned: Plan, missing: Sequence[Planned]) -> None:
    """Say which runs an earlier version left half-trained in a population, whose state this version does not use."""
    begun = [entry for entry in planned.entries if population_state(folder, entry).is_file()]
    lost = [
        run for entry in begun for run in entry.runs if run in missing and not (folder / run.run / store.LAST).exists()
    ]
    if lost:
        errors.print(
            f"{len(lost)} runs in {folder} were half-trained as a population, which only earlier versions of classlab "
            "trained: they start over",
            soft_wrap=True, markup=False,
        )  # fmt: skip


def to_json(result: StudyResult) -> dict[str, Any]:
    """Return a study's result as a program reads it."""
    return {
        "study": str(result.path),
        "question": result.study.question,
        **({"published": result.weighing.to_json()} if result.weighing else {}),
        **({"search": result.found.to_json(result.search_verdict)} if result.found else {}),
        **result.answer.to_json(),
        **({"steps": [asdict(step) for step in result.steps]} if result.steps else {}),
        "sentences": result.sentences(),
        "runs": json.loads(json.dumps(result.rows)),
    }

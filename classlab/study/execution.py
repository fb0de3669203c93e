"""Execution: a plan's runs are trained where it says, and what happens is kept in the study's folder."""

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from classlab import lookup
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.runs import store
from classlab.runs.events import Ended, Event, Failed
from classlab.study import live_table, plan, results
from classlab.study.declaration import Study
from classlab.study.jobs import Job, Place
from classlab.study.plan import Plan
from classlab.study.result import FAILURES, STUDY, StudyResult, read_failures
from classlab.study.sweep import Variant
from classlab.terminal import errors


def begin(folder: Path, whole: Study, planned: Plan, failures: Mapping[str, str]) -> None:
    """Write what is known before training: the study, its plan, and which runs are not tried again."""
    store.write(folder / STUDY, whole.to_yaml())
    plan.write(folder, planned)
    store.write_json(folder / FAILURES, failures)


def train(folder: Path, whole: Study, made: Sequence[Variant], planned: Plan, jobs: int, verbose: bool) -> None:
    """Train what is not finished, entry by entry; results.csv follows the runs as they end."""
    experiments = {variant.name: variant.experiment for variant in made}
    failures = read_failures(folder)
    rows = {run.run: results.row(folder / run.run, failures.get(run.run)) for run in planned.runs}
    rows = {run: row for run, row in rows.items() if row["status"] in (*results.ENDED, "failed")}
    happening = _kept(_events(folder, planned, experiments, failures, jobs), folder, failures, rows)
    try:
        with closing(happening):  # Ctrl-C may come while the table is drawn: then too the place is to stop
            for _ in live_table.screen(happening, rows, whole, made, planned, folder) if verbose else happening:
                pass
    except KeyboardInterrupt:
        done = sum((folder / run.run / store.SUMMARY).is_file() for run in planned.runs)
        sentence = f"stopped; {done} of {len(planned.runs)} runs are done in {folder}; continue with --resume"
        errors.print(sentence, markup=False)
        raise
    finally:
        StudyResult(folder).write(rows)  # what has not ended is looked at once more


def _kept(
    events: Generator[Event | None, None, None], folder: Path, failures: dict[str, str], rows: dict[str, results.Row]
) -> Generator[Event | None, None, None]:
    """Write what happens into the study's folder, and yield it on. failures, rows: of the runs that have ended."""
    result = StudyResult(folder)
    with closing(events):
        for event in events:
            if isinstance(event, Ended | Failed):
                run = event.run.relative_to(folder).as_posix()
                if isinstance(event, Failed):
                    failures[run] = event.sentence
                    store.write_json(folder / FAILURES, dict(sorted(failures.items())))
                elif failures.pop(run, None):  # another process had it, and has finished
                    store.write_json(folder / FAILURES, dict(sorted(failures.items())))
                rows[run] = results.row(event.run, failures.get(run))
                with suppress(UserError):  # a full disk, say: they are written again at the end, where it is said
                    result.write(rows)
            yield event


def _events(
    folder: Path, planned: Plan, experiments: Mapping[str, Experiment], failures: Collection[str], jobs: int
) -> Generator[Event | None, None, None]:
    """Train what is not finished and has not failed, and yield what happens."""
    for entry in planned.entries:
        waiting = [run for run in entry.runs if not (folder / run.run / store.SUMMARY).is_file()]
        asked = [
            Job(folder / run.run, experiments[run.variant], run.seed, entry.device, entry.threads)
            for run in waiting
            if run.run not in failures
        ]
        if asked:
            place: Place = lookup.find("place", entry.place)
            yield from place(asked, jobs, folder / store.LOG)

"""Grade a class: collect its hand-ins, weigh each again on all cores, find copies, give points, write the results.

The measurements are kept in `OUT/weighed`, a record for each hand-in, so an interrupted grading continues from there.
"""

import datetime
import hashlib
import json
import math
import multiprocessing
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classlab import files, limits
from classlab.course import collection, copies, gradebook, rubric, task_file, weighing_room
from classlab.course.collection import Source
from classlab.course.copies import Likeness
from classlab.course.derive import derive
from classlab.course.details import Details
from classlab.course.hand_in import RECORDED, WeighedRun
from classlab.course.rubric import Scored
from classlab.course.rules import Rules
from classlab.course.task_file import TaskFile
from classlab.errors import UserError
from classlab.version import __version__

WEIGHED, DRAW = "weighed", "draw.json"
ATTEMPTS = 2  # after which a hand-in that ends its process is left


@dataclass(frozen=True)
class Graded:
    """A student and the result of their hand-in. source: None where there is none."""

    roll: str
    code: str
    task: TaskFile
    source: Source | None = None
    days_late: int = 0
    document: Mapping[str, Any] = field(default_factory=dict)
    runs: tuple[WeighedRun, ...] = ()
    scored: Scored | None = None
    earlier: int = 0

    @property
    def proofs(self) -> dict[str, dict[str, Any]]:
        """The proof of each run, by its name, where it was asked for."""
        return {run["name"]: run["proof"] for run in self.document.get("runs", []) if run.get("proof")}


@dataclass(frozen=True)
class Graduation:
    """A graded class. strays: hand-ins that belong to nobody or cannot be opened, and why."""

    name: str
    rules: Rules
    students: tuple[Graded, ...]
    strays: tuple[tuple[str, str], ...]
    likenesses: tuple[Likeness, ...]
    pairs: int
    spot_checks: int


def grade(
    given: Sequence[Path],
    name: str,
    rules: Rules,
    students: Sequence[tuple[int, Details]],
    out: Path,
    salt: str = "",
    due: datetime.datetime | None = None,
    spot_checks: int = 2,
    trust: bool = False,
    jobs: int | None = None,
    watch: Callable[[int], Callable[[float], None]] = lambda total: lambda count: None,
) -> Graduation:
    """Grade the hand-ins and write OUT/grades.csv, its import form, a page a student and the teacher's page.

    due: after which a hand-in is late, by the time of its file. spot_checks: epochs of each run that are trained again.
    watch: takes how many hand-ins there are to weigh, returns what is called after each. Raises UserError.
    """
    if rules.points is None:
        raise UserError(f"the rules {name} state no points; docs/class.md says how they are written")
    class_tasks = _tasks(name, rules, students, salt)
    collection.check_given(given)
    files.make_folder(out / WEIGHED)
    sources = collection.collect(given, out / WEIGHED / "archives")
    secret = _secret(out / WEIGHED / DRAW)
    mark = hashlib.sha256(f"{__version__}/{rules!r}/{spot_checks}/{trust}/{sorted(class_tasks)}".encode()).hexdigest()
    records = {source: out / WEIGHED / f"{_key(source, mark)}.json" for source in sources}
    tasks = {code: task for code, (_, task) in class_tasks.items()}
    left = [weighing_room.Job(source, tasks, secret, spot_checks, trust, record)
            for source, record in records.items() if not record.is_file()]  # fmt: skip
    _weigh_all(left, jobs or os.cpu_count() or 1, watch(len(left)))
    weighed = [(source, record, json.loads(files.read_text(record, limits.RECORD_BYTES * 10)))
               for source, record in records.items()]  # fmt: skip
    graduation = _put_together(name, rules, class_tasks, weighed, due, spot_checks)
    gradebook.write(graduation, out)
    return graduation


def _tasks(
    name: str, rules: Rules, students: Sequence[tuple[int, Details]], salt: str
) -> dict[str, tuple[str, TaskFile]]:
    """Return (roll, task) of each student by their code."""
    found = {}
    for _, student in students:
        code = student.code(salt or rules.salt or name)
        found[code] = (student.roll, task_file.of_task(name, rules, derive(rules, student), code))
    return found


def _secret(file: Path) -> str:
    """Return what the epochs are drawn by: drawn once the hand-ins are here, kept for a grading that goes on."""
    try:
        return str(json.loads(files.read_text(file, limits.RECORD_BYTES))["drawn_by"])
    except files.MissingFile:
        secret = secrets.token_hex(16)
        now = datetime.datetime.now().isoformat(timespec="seconds")
        files.write(file, json.dumps({"drawn_by": secret, "drawn_at": now}, indent=2) + "\n")
        return secret
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file} is damaged; give another folder with --out") from None


def _key(source: Source, mark: str) -> str:
    return hashlib.sha256(f"{source.name}/{source.digest}/{source.inside}/{mark}".encode()).hexdigest()[:32]


def _weigh_all(jobs: Sequence[weighing_room.Job], processes: int, advance: Callable[[float], None]) -> None:
    """Weigh hand-ins on all cores. One that ends its process twice is recorded as such, and the others go on."""
    attempts: dict[Path, int] = {}
    left = list(jobs)
    while left:
        alone = any(attempts.get(job.record, 0) for job in left)  # after an end, one at a time shows whose it was
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1 if alone else processes, mp_context=context) as pool:
            futures = {pool.submit(weighing_room.weigh, job): job for job in (left[:1] if alone else left)}
            try:
                for future in as_completed(futures):
                    future.result()
                    advance(1)
            except BrokenProcessPool:
                for job in futures.values():
                    attempts[job.record] = attempts.get(job.record, 0) + 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for job in left:
            if attempts.get(job.record, 0) > ATTEMPTS and not job.record.is_file():
                problem = f"{job.source.name} ended the process that measured it, and is left"
                document = {"source": job.source.name, "code": None, "problem": problem, "runs": []}
                files.write(job.record, json.dumps(document) + "\n")
        left = [job for job in left if not job.record.is_file()]


def _put_together(
    name: str, rules: Rules, tasks: Mapping[str, tuple[str, TaskFile]],
    weighed: Sequence[tuple[Source, Path, dict[str, Any]]], due: datetime.datetime | None, spot_checks: int,
) -> Graduation:  # fmt: skip
    by_code: dict[str, list[tuple[Source, Path, dict[str, Any]]]] = {}
    strays = []
    for source, record, document in weighed:
        if document["problem"] or document["code"] not in tasks:
            strays.append((source.name, document["problem"] or "it names no task"))
        else:
            by_code.setdefault(document["code"], []).append((source, record, document))
    students, traits = [], []
    for code, (roll, task) in tasks.items():
        handed_in = sorted(by_code.get(code, []), key=lambda part: _when(part[0]))
        if not handed_in:
            students.append(Graded(roll, code, task))
            continue
        source, record, document = handed_in[-1]
        traits += weighing_room.read_traits(record, document, roll, task.seed)
        students.append(_graded(rules, roll, code, task, source, document, due, len(handed_in) - 1))
    seeds = {roll: task.seed for roll, task in tasks.values()}
    found = copies.find(traits, seeds, rules.seeds_differ)
    per_run = [sum(part.run == run for part in traits) for run in rules.experiments]
    pairs = sum(count * (count - 1) // 2 for count in per_run)
    return Graduation(name, rules, tuple(students), tuple(sorted(strays)), tuple(found), pairs, spot_checks)


def _when(source: Source) -> tuple[datetime.datetime, str]:
    return source.time or datetime.datetime.min, source.name


def _graded(
    rules: Rules, roll: str, code: str, task: TaskFile, source: Source, document: dict[str, Any],
    due: datetime.datetime | None, earlier: int,
) -> Graded:  # fmt: skip
    runs = tuple(WeighedRun.from_json({key: run[key] for key in RECORDED}) for run in document["runs"])
    late = 0
    if due is not None and source.time is not None and source.time > due:
        late = math.ceil((source.time - due) / datetime.timedelta(days=1))
    assert rules.points is not None
    measured = {run.name: points for run in runs if (points := run.for_points()) is not None}
    scored = rubric.score(rules.points, measured, bool(document.get("report")), late)
    return Graded(roll, code, task, source, late, document, runs, scored, earlier)

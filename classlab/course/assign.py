"""Write tasks: a student's folder with experiments, contracts and sheet; a class's folders, and how even they are."""

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classlab import files as disk
from classlab import limits
from classlab.course import task_file
from classlab.course import task_sheet as sheets
from classlab.course.derive import Task, derive
from classlab.course.details import Details
from classlab.course.rules import Rules
from classlab.errors import UserError
from classlab.experiment import Contract, Experiment
from classlab.plain_text import from_spreadsheet, printable, printable_within, spreadsheet_safe
from classlab.validation import sentence
from classlab.yaml_text import to_yaml

TABLE = "tasks.csv"


@dataclass(frozen=True)
class Written:
    """A student's task and where it stands. line: in the class list; 0 for a single student."""

    line: int
    roll: str
    code: str
    task: Task
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return what a program reads: the files by name, and the derivation."""
        files = [f"{name}.yaml" for name in self.task.experiments]
        return {
            "task": self.code,
            "folder": str(self.folder),
            "derivation": [vars(line) for line in self.task.lines],
            "experiments": [str(self.folder / file) for file in files],
            "contracts": [str(self.folder / f"{name}-contract.yaml") for name in self.task.contracts],
            "sheet": {"markdown": str(self.folder / "task.md"), "pdf": str(self.folder / "task.pdf")},
        }


@dataclass(frozen=True)
class Spread:
    """How often each branch of a decision was taken in a class.

    p: of a chi-square test that all branches are equally likely; small where the rule itself is uneven. None where
    there is one branch.
    """

    decision: str
    about: str
    counts: dict[str, int]
    p: float | None


def files(name: str, rules: Rules, task: Task, code: str) -> dict[str, bytes]:
    """Return every file of a task, by its name. The same task and code give the same bytes on any machine.

    Raises UserError, naming the rules and the file, where a branch gives an experiment or a contract that is none.
    """
    written: dict[str, str] = {}
    contracts, seed = {}, task_file.seed_of(rules, code)
    for experiment, fields in task.experiments.items():
        whole = task_file.whole(name, rules, experiment, fields, code)
        _checked(f"{name}, experiments.{experiment}", Experiment, whole)
        command = f"classlab run {experiment}.yaml --seed {seed} --report"
        head = f"# Task {code} of {name}: {experiment}.\n# Command: {command}\n"
        written[f"{experiment}.yaml"] = head + to_yaml(whole)
    for experiment, fields in task.contracts.items():
        contracts[experiment] = _checked(f"{name}, contracts.{experiment}", Contract, fields)
        head = f"# Task {code} of {name}: the contract of {experiment}.\n# Command: classlab check RUN --contract "
        written[f"{experiment}-contract.yaml"] = f"{head}{experiment}-contract.yaml\n{to_yaml(fields)}"
    written[task_file.FILE] = task_file.of_task(name, rules, task, code).to_yaml()
    content = printable_within(sheets.content(name, rules, task, code, contracts))
    written["task.md"] = sheets.markdown(content)
    return {**{file: printable(text).encode() for file, text in written.items()}, "task.pdf": sheets.pdf(content)}


def assign(name: str, rules: Rules, student: Details, out: Path, salt: str = "", line: int = 0) -> Written:
    """Derive a student's task, write it to the folder OUT/RULES-CODE and return it. Raises UserError.

    salt: something only the teacher knows; empty takes the rules' own. line: of the class list.
    """
    code = _code(name, rules, student, salt)
    task = derive(rules, student)
    folder = out / f"{name}-{code}"
    contents = files(name, rules, task, code)
    with _elsewhere():
        disk.make_folder(folder)
        for file, content in contents.items():
            disk.write(folder / file, content)
    return Written(line, student.roll, code, task, folder)


def assign_class(
    name: str,
    rules: Rules,
    students: Sequence[tuple[int, Details]],
    out: Path,
    salt: str = "",
    on_student: Callable[[float], Any] = lambda count: None,
) -> list[Written]:
    """Write every student's task and OUT/tasks.csv, which says whose is which. Nothing is written for a bad row.

    A table that stands there is written again where this class has all its students, under the same codes; else it is
    kept and the class refused. students: (line, details), see details.read_class_list. on_student: called with 1 after
    each. Raises UserError.
    """
    problems = []
    for line, student in students:
        try:
            derive(rules, student)
        except UserError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        raise UserError("; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""))
    if os.path.lexists(out / TABLE):
        _check_table(out / TABLE, {student.roll: _code(name, rules, student, salt) for _, student in students})
    written = []
    for line, student in students:
        written.append(assign(name, rules, student, out, salt, line))
        on_student(1)
    with _elsewhere():
        disk.write(out / TABLE, _table(written))
    return written


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Say where to go on where something cannot be written."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; give another folder with --out") from None


def spread(rules: Rules, tasks: Sequence[Task]) -> list[Spread]:
    """Return how often each branch was taken, for every decision that the sheet shows."""
    from scipy.stats import chisquare

    spreads = []
    for name, decision in rules.decisions.items():
        if not decision.about:
            continue
        taken = Counter(line.means for task in tasks for line in task.lines if line.decision == name)
        ways = [branch.means or str(branch.value) for branch in decision.ways]
        counts = {way: taken[way] for way in dict.fromkeys(ways)}
        p = float(chisquare(list(counts.values())).pvalue) if len(counts) > 1 and tasks else None
        spreads.append(Spread(name, decision.about, counts, p))
    return spreads


def distinct(tasks: Sequence[Task]) -> int:
    """Return how many different tasks there are."""
    return len({to_yaml([task.experiments, task.contracts]) for task in tasks})


def _code(name: str, rules: Rules, student: Details, salt: str) -> str:
    return student.code(salt or rules.salt or name)


def _check_table(file: Path, codes: Mapping[str, str]) -> None:
    """Raise UserError where a table would be lost that alone says whose tasks are whose. codes: roll -> new code."""
    elsewhere = "give another folder with --out"
    if file.is_symlink():
        raise UserError(f"{file} is a link, and nothing is written through links; {elsewhere}")
    try:
        stream = io.StringIO(disk.read_text(file, limits.TASKS_BYTES), newline="")
        held = [tuple(from_spreadsheet(row[name]) for name in ("roll", "task")) for row in csv.DictReader(stream)]
    except (UserError, ValueError, KeyError, AttributeError, csv.Error):  # AttributeError: a row that is too short
        raise UserError(f"{file} is in the way, and is no table of tasks; {elsewhere}") from None
    lost = next((pair for pair in held if codes.get(pair[0]) != pair[1]), None)
    if lost:
        raise UserError(f"{file} alone says that task {lost[1]} is {lost[0]}'s, and would be lost; {elsewhere}")


def _checked(where: str, kind: type[Experiment] | type[Contract], fields: dict[str, Any]) -> Any:
    import pydantic

    try:
        return kind(**fields)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except pydantic.ValidationError as error:
        raise UserError(f"{where}: {sentence(error, kind, 'it')}") from None


def _table(written: Sequence[Written]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    abouts = [line.about for line in written[0].task.lines]
    writer.writerow([spreadsheet_safe(heading) for heading in ("roll", "task", "folder", *abouts)])
    for student in written:
        cells = (student.roll, student.code, student.folder.name, *(line.means for line in student.task.lines))
        writer.writerow([spreadsheet_safe(cell) for cell in cells])
    return stream.getvalue().encode()

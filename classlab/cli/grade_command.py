"""`classlab grade`: a class's hand-ins, measured again and given points."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from classlab.cli.options import Jobs, Json, Trust
from classlab.cli.output import console, print_json
from classlab.errors import UserError


def grade(
    given: Annotated[list[Path], typer.Argument(metavar="FOLDER|ZIP…", help="where the hand-ins lie")],
    rules: Annotated[str, typer.Option(metavar="RULES", help="the rules of the task, which state the points")],
    class_list: Annotated[Path, typer.Option(metavar="CSV", help="the class list that the tasks were derived from")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="where grades and pages go")] = Path("graded"),
    salt: Annotated[str, typer.Option(help="the salt that the tasks were derived with")] = "",
    due: Annotated[str, typer.Option(metavar="TIME", help="2026-12-01T18:00: later files are late")] = "",
    spot_checks: Annotated[int, typer.Option(min=0, max=100, help="epochs of each run that are trained again")] = 2,
    jobs: Jobs = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Grade a class: every hand-in measured again, points, copies, a feedback page for each student.

    Example: classlab grade hand-ins.zip --rules dl-minor-1 --class-list class.csv --out graded

    Results are kept, so the same command continues after an interruption.
    """
    from rich.markup import escape

    from classlab.course import rules as rule_files
    from classlab.course.details import read_class_list
    from classlab.course.grade import grade as grade_class
    from classlab.progress import progress_once_known

    name, read = rule_files.load(rules)
    students = read_class_list(class_list)
    moment = _moment(due)
    with progress_once_known(escape(name), "hand-ins") as watch:
        graded = grade_class(given, name, read, students, out, salt, moment, spot_checks, trust, jobs, watch)
    handed_in = [student for student in graded.students if student.scored is not None]
    if json:
        print_json({
            "students": [{"roll": student.roll, "task": student.code, "days_late": student.days_late,
                          **(student.scored.to_json() if student.scored else {"points": 0})}
                         for student in graded.students],
            "alike": [part.to_json() for part in graded.likenesses],
            "not_graded": [{"file": file, "why": why} for file, why in graded.strays],
        })  # fmt: skip
        return
    for file, why in graded.strays:
        console.print(f"[yellow]not graded[/yellow] {escape(f'{file}: {why}')}", soft_wrap=True)
    proofs = [proof["word"] for student in handed_in for proof in student.proofs.values()]
    console.print(f"{len(handed_in)} of {len(graded.students)} students graded", soft_wrap=True)
    if proofs:
        shares = ", ".join(f"{proofs.count(word)} {word}" for word in dict.fromkeys(sorted(proofs)))
        console.print(f"training: {shares}", soft_wrap=True)
    console.print(f"alike: {len(graded.likenesses)} of {graded.pairs:,} pairs", soft_wrap=True)
    console.print(f"[dim]grades:[/dim] {escape(str(out / 'grades.csv'))}", soft_wrap=True)
    console.print(f"[dim]class: [/dim] {escape(str(out / 'class.html'))}", soft_wrap=True)


def _moment(text: str) -> datetime.datetime | None:
    if not text:
        return None
    try:
        return datetime.datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise UserError(f"--due is a time such as 2026-12-01T18:00; got {text!r}") from None

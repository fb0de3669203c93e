"""`classlab assign`: a student's task, derived from their details by stated rules; or a whole class's."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from classlab.cli.options import Json
from classlab.cli.output import console, print_json
from classlab.errors import UserError
from classlab.formats import percent

if TYPE_CHECKING:
    from classlab.course.assign import Spread, Written
    from classlab.course.rules import Rules

UNEVEN = 0.01


def assign(
    rules: Annotated[str, typer.Argument(metavar="RULES", help="shipped rules (dl-minor-1), or a YAML file")],
    born: Annotated[str | None, typer.Option(metavar="DD/MM/YY", help="the birth date; no file will hold it")] = None,
    roll: Annotated[str | None, typer.Option(help="the roll number")] = None,
    first: Annotated[str, typer.Option(help="the first name, where the rules ask for it")] = "",
    last: Annotated[str, typer.Option(help="the last name, where the rules ask for it")] = "",
    programme: Annotated[str, typer.Option(help="the programme, where the rules ask for it")] = "",
    class_list: Annotated[
        Path | None, typer.Option(metavar="CSV", help="a whole class: columns born, roll, first, last, programme")
    ] = None,
    salt: Annotated[
        str, typer.Option(help="a secret of yours that goes into the codes, so that nobody can try birth dates")
    ] = "",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="where the task folders go")] = Path("assignments"),
    trust: Annotated[
        bool, typer.Option("--trust", help="run the code that the rules' experiments name, to check them")
    ] = False,
    json: Json = False,
) -> None:
    """Derive a student's task: experiments, contracts and a one-page sheet with the derivation.

    Example: classlab assign dl-minor-1 --born 18/03/02 --roll B20AI052

    Example: classlab assign dl-minor-1 --class-list class.csv --out tasks
    """
    from classlab.course import rules as rule_files
    from classlab.course.assign import assign as write
    from classlab.course.derive import explained
    from classlab.course.details import details
    from classlab.own_code import trusting

    if class_list is not None:
        if born is not None or roll is not None:
            raise UserError("give a student with --born and --roll, or a class with --class-list, not both")
        with trusting(trust):
            _class(rules, class_list, salt, out, json)
        return
    if born is None or roll is None:
        raise UserError(f"--{'born' if born is None else 'roll'} is required (or --class-list for a whole class)")
    name, read = rule_files.load(rules)
    with trusting(trust):
        written = write(name, read, details(born, roll, first, last, programme), out, salt)
    if json:
        print_json({"rules": name, **written.to_json()})
        return
    for line in written.task.lines:
        console.print(f"{escape(f'{line.about}: {line}')}{' [dim](ours)[/dim]' if line.ours else ''}", soft_wrap=True)
    if explained(read):
        console.print(f"[dim]{escape('; '.join(explained(read)))}[/dim]", soft_wrap=True)
    if any(line.ours for line in written.task.lines):
        console.print("[dim](ours): not stated by the rules' source, chosen for this assignment[/dim]", soft_wrap=True)
    _folder(written)


def _folder(written: "Written") -> None:
    console.print(f"[dim]task:  [/dim] {escape(str(written.folder))}", soft_wrap=True)
    names = [*(f"{name}.yaml" for name in written.task.experiments), "task.md", "task.pdf"]
    files = f"{escape(', '.join(names))}; a contract for {len(written.task.contracts)}"
    console.print(f"[dim]files: [/dim] {files}", soft_wrap=True)


def _class(source: str, class_list: Path, salt: str, out: Path, json: bool) -> None:
    from classlab.course import rules as rule_files
    from classlab.course.assign import TABLE, assign_class, distinct, spread
    from classlab.course.details import read_class_list
    from classlab.progress import progress

    name, rules = rule_files.load(source)
    students = read_class_list(class_list)
    if _same(out / TABLE, class_list):
        raise UserError(f"{class_list} is where the table of tasks goes; give another folder with --out")
    with progress(escape(name), len(students), "tasks") as advance:
        written = assign_class(name, rules, students, out, salt, advance)
    tasks = [student.task for student in written]
    spreads, different = spread(rules, tasks), distinct(tasks)
    if json:
        print_json(
            {
                "rules": name,
                "students": len(written),
                "distinct_tasks": different,
                "table": str(out / TABLE),
                "tasks": [{"line": student.line, "roll": student.roll, **student.to_json()} for student in written],
                "spread": [_spread_json(part, len(written)) for part in spreads],
            }
        )
        return
    _table(rules, spreads, len(written))
    console.print(f"{len(written)} students, {different} different tasks", soft_wrap=True)
    console.print(f"[dim]tasks: [/dim] {escape(str(out))}", soft_wrap=True)
    table = escape(str(out / TABLE))
    console.print(
        f"[dim]students:[/dim] {table} (keep this file: nothing else records which task belongs to which student)",
        soft_wrap=True,
    )


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:  # one of them is not there, or may not be seen
        return False


def _spread_json(spread: "Spread", students: int) -> dict[str, Any]:
    branches = [{"means": way, "count": count, "share": count / students} for way, count in spread.counts.items()]
    return {"decision": spread.decision, "about": spread.about, "branches": branches, "p": spread.p}


def _table(rules: "Rules", spreads: "list[Spread]", students: int) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("decides", overflow="fold")
    table.add_column("branch", overflow="fold")
    for name in ("students", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("even?", no_wrap=True)
    for spread in spreads:
        for number, (way, count) in enumerate(spread.counts.items()):
            even = ""
            if number == 0 and spread.p is not None:
                even = f"p = {spread.p:.2g}" + (" [yellow]uneven[/yellow]" if spread.p < UNEVEN else "")
            about = escape(spread.about) if number == 0 else ""
            table.add_row(about, escape(way), str(count), percent(count / students, 0), even)
    console.print(table)
    console.print("[dim]p: a chi-square test that all branches are equally likely; uneven below 0.01[/dim]")

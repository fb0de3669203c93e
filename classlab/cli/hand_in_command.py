"""`classlab hand-in`: a student's runs in one archive, looked at as the teacher's command will look at it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classlab.cli.options import Json, Trust
from classlab.cli.output import console, print_json
from classlab.errors import UserError
from classlab.terminal import say

if TYPE_CHECKING:
    from classlab.course.hand_in import WeighedRun


def hand_in(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="the task's runs; or `check` and an archive")],
    task: Annotated[Path | None, typer.Option("--for", metavar="TASK.yaml", help="the task.yaml of your task")] = None,
    out: Annotated[Path, typer.Option(metavar="ZIP", help="the archive to write")] = Path("hand-in.zip"),
    report: Annotated[bool, typer.Option("--report", help="put each run's report into it")] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Put what your task asks for into one archive, after the checks that your teacher's command makes.

    Example: classlab hand-in runs/dl-minor-1-cnn-1a2b3c4d5e/s7-0f1e2d3c --for task.yaml --report --out me.zip

    Example: classlab hand-in check me.zip

    Exit 0: every rule is kept. 1: one is not (the archive is written all the same). 2: bad input.
    """
    if runs[0] == "check" and task is None:
        if len(runs) != 2:
            raise UserError(f"hand-in check takes one archive, got {len(runs) - 1}")
        weighed = _look(Path(runs[1]), trust)
    else:
        if task is None:
            raise UserError("--for is required: the task.yaml that lies in your task's folder")
        weighed = _write([Path(run) for run in runs], task, out, report, trust)
    if json:
        print_json({"passed": all(run.passed for run in weighed), "runs": [run.to_json() for run in weighed]})
    else:
        _say(weighed)
    if not all(run.passed for run in weighed):
        raise typer.Exit(1)


def _write(folders: list[Path], file: Path, out: Path, report: bool, trust: bool) -> "list[WeighedRun]":
    from classlab import files
    from classlab.course import hand_in as hand_ins
    from classlab.course import hand_in_archive, task_file
    from classlab.course.check import find_runs
    from classlab.report import document
    from classlab.runs.finished import FinishedRun

    task = task_file.read(file)
    found = hand_ins.assign_runs([run for folder in folders for run in find_runs(folder)], task)
    reports = {}
    if report:
        with tempfile.TemporaryDirectory(prefix="classlab-hand-in-") as place:
            for name, folder in found.items():
                reports[name] = document.write(FinishedRun(folder), Path(place) / f"{name}.html").read_bytes()
    made = hand_ins.contents(found, task, reports, _graphs(found, trust))
    for problem in hand_ins.problems(made):
        raise UserError(f"{out} is not written: {problem}")
    files.make_folder(out.parent)
    files.write(out, hand_in_archive.packed(made))
    console.print(f"[dim]hand-in:[/dim] {out} ({len(made)} files)", soft_wrap=True, markup=True)
    return _look(out, False)


def _graphs(runs: dict[str, Path], trust: bool) -> dict[str, bytes]:
    """Return the graph of each run whose network is the student's own, and say where there can be none."""
    from classlab.course import graph_network
    from classlab.runs import store
    from classlab.runs.copied_code import load_experiment
    from classlab.runs.finished import FinishedRun

    made = {}
    for name, folder in runs.items():
        if (folder / store.CODE).is_dir():
            load_experiment(folder, trust)  # raises Untrusted, which is no reason to go without a graph
            try:
                made[name] = graph_network.graph_of(FinishedRun(folder, trust=trust))
            except UserError as error:
                say(f"classlab: {name} gets no {store.GRAPH}, so that your teacher has to run your code: {error}")
    return made


def _look(path: Path, trust: bool) -> "list[WeighedRun]":
    from classlab.course import hand_in as hand_ins
    from classlab.course import task_file

    with tempfile.TemporaryDirectory(prefix="classlab-hand-in-") as place:
        root = hand_ins.unpacked(path, Path(place), str(path))
        return hand_ins.weigh(root, task_file.read(root / task_file.FILE), trust)


def _say(weighed: "list[WeighedRun]") -> None:
    from rich.markup import escape

    for run in weighed:
        accuracy = run.measured.get("test_accuracy")
        figure = "" if accuracy is None else f", test accuracy {100 * accuracy:.2f} % measured again"
        console.print(f"[bold]{escape(run.name)}[/bold]{figure}", soft_wrap=True)
        if run.problem:
            console.print(f" [red]✗[/red] {escape(run.problem)}", soft_wrap=True)
        for check in run.checks:
            mark = "[green]✓[/green]" if check.passed else "[red]✗[/red]"
            console.print(f" {mark} {escape(check.sentence)}", soft_wrap=True)
        for note in run.notes:
            console.print(f" [yellow]note[/yellow] {escape(note)}", soft_wrap=True)

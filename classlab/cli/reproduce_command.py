"""`classlab reproduce`: train what a report needs, and set what it published beside what was measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classlab.cli.options import Author, Course, Device, Jobs, Json, Roll
from classlab.cli.output import console, print_json

if TYPE_CHECKING:
    from classlab.reproduction.reproduce import Needed
    from classlab.reproduction.reproduced import Reproduced


def reproduce(
    report: Annotated[
        str,
        typer.Argument(
            metavar="REPORT",
            help="a shipped report, the YAML file of your own (code that it names is run), or all: every shipped one",
        ),
    ],
    quick: Annotated[bool, typer.Option("--quick", help="real runs, but shorter ones; every page says so")] = False,
    seeds: Annotated[
        int | None, typer.Option(help="how many seeds of every run that takes at most 5 minutes, by the forecast")
    ] = None,
    jobs: Jobs = None,
    out: Annotated[
        Path | None, typer.Option(help="where to write; by default reproduced, with --quick reproduced-quick")
    ] = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what would be trained, and what it would take")
    ] = False,
    notebook: Annotated[
        bool, typer.Option("--notebook", help="also an executed notebook of each report; needs classlab[notebook]")
    ] = False,
    author: Author = None,
    roll: Roll = None,
    course: Course = None,
    json: Json = False,
) -> None:
    """Reproduce a report: HTML and PDF with every published figure beside the measured one.

    Finished runs are never trained again; an interrupted one continues where it stopped.

    Example: classlab reproduce prml-pa6 --quick

    Example: classlab reproduce my-report.yaml --author "Ada Lovelace" --roll 052

    Example: classlab reproduce all --dry-run, which also names every shipped report

    Exit 0: done. 1: a run could not be trained. 2: bad input.
    """
    from classlab.reproduction import reproduce as reports

    if dry_run:
        folder = out or reports.default_out(quick)
        expected = _expected(reports.wanted(report, folder, quick, seeds, device), jobs, device)
        print_json(expected) if json else _say_expected(expected)
        return
    found = reports.reproduce(
        report, quick=quick, seeds=seeds, out=out, jobs=jobs, device=device, notebook=notebook,
        author=author, roll=roll, course=course,
    )  # fmt: skip
    if json:
        print_json(
            {"reports": [_to_json(reproduced) for reproduced in found], "tables": str(found[0].out / "tables.md")}
        )
    else:
        _say(found)
    if any(reproduced.failures for reproduced in found):
        raise typer.Exit(1)


def _to_json(reproduced: "Reproduced") -> dict[str, Any]:
    """Return a report as a program reads it: its figures, and where its files are."""
    from classlab.reproduction.reproduced_files import to_json

    return {**to_json(reproduced), **{path.suffix[1:]: str(path) for path in reproduced.files}}


def _say(found: "list[Reproduced]") -> None:
    from classlab.reproduction.findings import held, misses, tally

    for reproduced in found:
        figures = reproduced.figures
        console.print(f"{reproduced.report.name}: {reproduced.report.title}", style="bold", markup=False)
        console.print(f"{held(figures)}. {tally(figures)}", markup=False)
        for line in misses(figures):
            console.print(f"• {line}", markup=False)
        for run, why in reproduced.failures.items():
            console.print(f"✗ {run} could not be trained: {why}", markup=False)
        console.print("\n".join(map(str, reproduced.files)) + "\n", style="dim", markup=False, soft_wrap=True)
    if found[0].quick:
        console.print("Shortened runs: no figure here is a report's result.")


def _expected(wanted: "list[Needed]", jobs: int | None, device: str | None) -> dict[str, Any]:
    """Return what would be trained, as a program reads it."""
    from classlab.reproduction import reproduce as reports

    jobs = reports.processes(jobs, device)
    times = reports.times(wanted, device, fetch=False)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for run in wanted:
        row = rows.setdefault((run.report, run.run), {"report": run.report, "run": run.run, "seeds": 0, "done": 0})
        row["seeds"] += 1
        row["done"] += reports.finished(run)
        row["seconds"], row["known_from"] = times[run.folder].seconds, times[run.folder].known_from
    waiting = {run.folder for run in wanted if not reports.finished(run)}
    seconds = reports.by_the_clock([times[folder].seconds for folder in waiting], jobs)
    return {"runs": list(rows.values()), "waiting": len(waiting), "jobs": jobs, "seconds": seconds}


def _say_expected(expected: dict[str, Any]) -> None:
    from rich.table import Table

    from classlab.report.words import duration

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("report", "run", "seeds", "done", "time a run"):
        table.add_column(heading, justify="left" if heading in ("report", "run") else "right", no_wrap=True)
    for row in expected["runs"]:
        table.add_row(row["report"], row["run"], str(row["seeds"]), str(row["done"]), duration(row["seconds"]))
    console.print(table)
    known = " and ".join(sorted({row["known_from"] for row in expected["runs"]}))
    several = expected["jobs"] > 1
    processes = f"{expected['jobs']} processes at a time, of one thread each" if several else "one after the other"
    time = f"about {duration(expected['seconds'])} by the clock, by {known} on the machine as busy as it is"
    console.print(f"{expected['waiting']} runs to train, {processes}: {time}")

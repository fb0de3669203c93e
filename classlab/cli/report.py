"""`classlab report`: the report of a run, one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from classlab.cli.trust import refuse_foreign_code


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder, as `classlab runs` lists them")],
    out: Annotated[Path | None, typer.Option(help="where to write; by default report.html in the run folder")] = None,
    author: Annotated[str | None, typer.Option(help="your name, printed on the report")] = None,
    roll: Annotated[str | None, typer.Option(help="your roll number, printed on the report")] = None,
    course: Annotated[str | None, typer.Option(help="the course, printed on the report")] = None,
    open_: Annotated[bool, typer.Option("--open", help="show it in the browser")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="run the code that the experiment names in its folder")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document instead of the path")] = False,
) -> None:
    """Write the report of a run: one HTML file that needs no network.

    Example: classlab report runs/digits-quick/s0-1a2b3c4d --author "Ada Lovelace" --roll 052
    """
    from classlab.cli.output import console, print_json
    from classlab.report.document import write
    from classlab.runs.run import load

    refuse_foreign_code(run / "experiment.yaml", trust)
    path = write(load(run), out=out, author=author, roll=roll, course=course)
    if json:
        print_json({"run": str(run), "report": str(path)})
    else:
        console.print(str(path), soft_wrap=True)
    if open_:
        typer.launch(path.resolve().as_uri())

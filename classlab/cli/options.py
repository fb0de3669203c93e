"""Options that several commands share: each has one spelling, one short form and one help text."""

from pathlib import Path
from typing import Annotated

import typer


def _experiments(incomplete: str) -> list[str]:
    """Return the shipped experiments that begin so, for the shell's completion."""
    from classlab.lookup import names

    return [name for name in names("experiment") if name.startswith(incomplete)]


ExperimentName = Annotated[
    str,
    typer.Argument(
        metavar="NAME-OR-FILE",
        help="a shipped experiment (see classlab list), or a YAML file; code that it names is run",
        autocompletion=_experiments,
    ),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change one setting; repeatable")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps; by default cuda where there is one")]
Jobs = Annotated[int | None, typer.Option(help="processes at a time on a cpu; by default one a core")]
Trust = Annotated[bool, typer.Option("--trust", help="run the code that the experiments name in their folders")]
Author = Annotated[str | None, typer.Option(help="your name, printed on the report")]
Roll = Annotated[str | None, typer.Option(help="your roll number, printed on the report")]
Course = Annotated[str | None, typer.Option(help="the course, printed on the report")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead of words")]
Ui = Annotated[bool, typer.Option("--ui", help="show it in a browser while it trains; the address is printed")]
RunFolders = Annotated[
    list[Path],
    typer.Argument(metavar="RUN…", help="run folders, or folders that hold some; also `latest`, or how a name begins"),
]

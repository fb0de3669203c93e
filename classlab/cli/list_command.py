"""`classlab list`: what is shipped by name, with a line each. Nothing is imported for it."""

import itertools
import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape

from classlab.cli.options import Json
from classlab.errors import UserError, did_you_mean, listing
from classlab.plain_text import on_a_line

# What a heading lists, and how it is used.
KINDS = {
    "experiments": ("experiment", "classlab run NAME"),
    "studies": ("study", "classlab study NAME"),
    "datasets": ("dataset", "--set data.dataset=NAME"),
    "models": ("model", "--set model=NAME"),
    "augmentations": ("augmentation", "--set data.augmentations=[NAME]"),
    "losses": ("loss", "--set training.loss=NAME"),
    "optimizers": ("optimizer", "--set training.optimizer=NAME"),
    "schedules": ("schedule", "--set training.schedule=NAME"),
    "initialisations": ("initialisation", "--set training.initialise=NAME"),
    "contracts": ("contract", "classlab check RUN --contract NAME"),
    "reports": ("report", "classlab reproduce NAME"),
    "assignments": ("assignment", "classlab assign NAME"),
}
LINES = ("description", "question", "title")  # of a shipped YAML file: the first of them that it has is its line


def list_(
    kinds: Annotated[
        list[str] | None, typer.Argument(metavar="KIND…", help=f"of {', '.join(KINDS)}; all when none is given")
    ] = None,
    json: Json = False,
) -> None:
    """List what is shipped by name, with a line each: experiments, studies, datasets, models, augmentations and more.

    Example: classlab list experiments models
    """
    from classlab.cli.output import console, print_json

    for kind in kinds or ():
        if kind not in KINDS:
            raise UserError(
                f"classlab list knows no {kind!r}{did_you_mean(kind, KINDS) or ';'} it lists {listing(KINDS)}"
            )
    found = {heading: _lines(KINDS[heading][0]) for heading in dict.fromkeys(kinds or KINDS)}
    if json:
        print_json(found)
        return
    width = max(len(name) for lines in found.values() for name in lines)
    for heading, lines in found.items():
        console.print(f"[bold]{heading}[/bold]  [dim]{escape(KINDS[heading][1])}[/dim]")
        if console.is_terminal:
            console.print(_table(lines, width))
        else:  # a table would fill its lines with spaces
            for name, line in lines.items():
                console.print(f"  {name:{width}}  {line}", markup=False, soft_wrap=True)


def _table(lines: Mapping[str, str], width: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(width=width + 2, no_wrap=True)
    table.add_column()
    for name, line in lines.items():
        table.add_row(Text(f"  {name}"), Text(line))
    return table


def _lines(kind: str) -> dict[str, str]:
    """Return a line for each name of a kind."""
    from classlab import lookup  # with the commands it would make each of them slower

    return {name: _line(kind, name) for name in lookup.names(kind)}


def _line(kind: str, name: str) -> str:
    from classlab import lookup
    from classlab.yaml_text import read_yaml

    if kind in lookup.FILES:
        file = lookup.path(kind, name)
        fields = read_yaml(file)
        lines = itertools.takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
        comment = " ".join(line.removeprefix("#").strip() for line in lines)
        text = next((fields[key] for key in LINES if fields.get(key)), comment)
    else:
        text = lookup.docstring(kind, name).partition("\n")[0].removeprefix(f"{name}: ")
    sentence = re.split(r"(?<=[.?]) (?=[A-Z])", text, maxsplit=1)[0]  # a line has room for one
    return on_a_line(sentence[:1].upper() + sentence[1:])

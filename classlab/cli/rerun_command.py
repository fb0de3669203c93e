"""`classlab rerun`: train a finished run again, and say whether the same came out."""

from pathlib import Path
from typing import Annotated

import typer

from classlab.cli.options import Json, Trust
from classlab.cli.output import console, print_json


def rerun(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run that has finished")],
    out: Annotated[Path, typer.Option(help="the folder that the new run's folder goes into")] = Path("reruns"),
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Train a finished run again, and say whether it is reproduced.

    Experiment, seed, device and threads are those of the run; the rest is chosen as today. There are three results: the
    same bytes; not the same bytes, but within what another seed would give; or a different run, and what differs.

    Example: classlab rerun runs/digits-quick/s0-1a2b3c4d

    Exit 0: the same, or within what another seed would give. 1: a different run. 2: bad input.
    """
    from classlab.runs.finished import load
    from classlab.runs.repetition import repeat

    found = repeat(load(run, trust), out)
    if json:
        print_json(found.to_json())
    else:
        colour = {"the same bytes": "green", "within another seed": "yellow", "another run": "red"}[found.verdict]
        console.print(f"[{colour}]●[/{colour}] ", end="")
        console.print(found.sentence, markup=False, soft_wrap=True)
        console.print(f"again:   {found.again}", style="dim", markup=False, soft_wrap=True)
    if found.verdict == "another run":
        raise typer.Exit(1)

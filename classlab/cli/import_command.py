"""`classlab import`: weights that were trained elsewhere become a run, evaluated and marked as not trained here."""

from pathlib import Path
from typing import Annotated

import typer

from classlab.cli.options import Json, Set


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a state dict: .safetensors, .pt or .pth")],
    experiment: Annotated[
        str,
        typer.Option(
            metavar="NAME-OR-FILE", help="the experiment whose network they belong to; code that it names is run"
        ),
    ],
    set_: Set = None,
    out: Annotated[Path, typer.Option(help="the folder that the run's folder goes into")] = Path("runs"),
    json: Json = False,
) -> None:
    """Make a run from weights trained elsewhere, for report, predict, check, compare and export.

    Nothing in the file is executed. The weights are matched by name without a prefix, or else in their order, with a
    message. They are evaluated on the test images in fp32, and the contract is judged as far as possible.

    Example: classlab import lenet.pth --experiment cifar-lenet

    Exit 0: imported. 1: imported, and a limit of the contract is broken. 2: bad input.
    """
    from classlab import experiment as experiments
    from classlab.cli.output import console, print_json
    from classlab.lab import import_weights

    run = import_weights(file, experiments.load(experiment, set_ or [], trust=True), out=out)
    if json:
        print_json(run.summary)
    else:
        for check in run.summary["contract"]["checks"]:
            mark = "[green]✓[/green]" if check["passed"] else "[red]✗[/red]"
            console.print(f" {mark} ", end="")
            console.print(check["sentence"], markup=False, soft_wrap=True)
        sentence = f"{run.experiment.name}, weights of {file.name}, not trained here: {run.sentence()}"
        console.print(sentence, markup=False, soft_wrap=True)
        console.print(f"run:     {run.path}", style="dim", markup=False, soft_wrap=True)
    if any(not check["passed"] and check.get("measured") is not None for check in run.summary["contract"]["checks"]):
        raise typer.Exit(1)

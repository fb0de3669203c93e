"""`classlab export`: a trained network in a form that needs no classlab, proved before it is written."""

from pathlib import Path
from typing import Annotated

import typer

from classlab.cli.options import Json, Trust


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder, as `classlab runs` lists them")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="onnx, pt2, safetensors, python, notebook or demo")],
    out: Annotated[Path | None, typer.Option(help="the folder to write to; by default exports/RUN's name")] = None,
    again: Annotated[bool, typer.Option("--again", help="write over files that are there")] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Write a run's network for use elsewhere, with a model card.

    Its own engine first answers all test images; where an answer is not the network's, nothing is written and the first
    layer that differs is named.

    Example: classlab export runs/mnist-20k/s0-1a2b3c4d --to onnx

    Exit 0: written. 1: it does not answer as the network does. 2: bad input, or a network that the format cannot hold.
    """
    from classlab.cli.output import console, print_json
    from classlab.progress import progress_once_known
    from classlab.runs.finished import load
    from classlab.use.export.export import check_format
    from classlab.use.export.export import export as write

    check_format(to)
    loaded = load(run, trust)
    with progress_once_known(f"exporting to {to}", "images") as watch:
        exported = write(loaded, to, out, replace=again, watch=watch)
    if json:
        print_json(exported.to_json())
        return
    console.print(f"[green]✓[/green] {exported.proof.sentence()}", soft_wrap=True, highlight=False)
    for file in exported.files:
        console.print(str(file), soft_wrap=True, markup=False)

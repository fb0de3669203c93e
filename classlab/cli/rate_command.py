"""`classlab rate`: the range of learning rates that train an experiment well."""

from pathlib import Path
from typing import Annotated

import typer

from classlab.cli.options import Device, ExperimentName, Json, Set
from classlab.cli.output import console, print_json


def rate(
    experiment: ExperimentName,
    change: Set = None,
    seeds: Annotated[int, typer.Option(min=2, max=50, help="of the range test and of each fine run")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="about how long the short runs may take in all")] = 60.0,
    out: Annotated[Path | None, typer.Option(metavar="PICTURE", help="draw it into a .png, .svg or .pdf file")] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Find the range of learning rates that train an experiment well, and from where on it diverges.

    The rate rises from step to step, with several seeds; then short runs with the same seeds are compared on validation
    images. Test images are not looked at, and nothing but the picture is written.

    Example: classlab rate mnist-20k --out rates.png

    Exit 0: found. 2: bad input, or no rate that does not diverge.
    """
    from classlab.drawing import render
    from classlab.experiment import load
    from classlab.progress import progress_once_known
    from classlab.study.rate_range import rate as find

    if out is not None:
        render.check_name(out)
    loaded = load(experiment, change or (), trust=True)
    with progress_once_known(f"rates of {loaded.name}", "steps") as watch:
        found = find(loaded, seeds=seeds, seconds=seconds, device=device, watch=watch)
    if out is not None:
        render.save(found.draw(), out)
    if json:
        print_json(found.to_json())
        return
    console.print(f"[green]●[/green] {found.sentence()}", soft_wrap=True, highlight=False)
    console.print(f"[dim]tried:  [/dim] short runs of {found.budget}, {len(found.tried)} rates × {seeds} seeds",
                  soft_wrap=True, highlight=False)  # fmt: skip
    console.print(f"[dim]to set: [/dim] {found.setting()}", soft_wrap=True, highlight=False)
    if out is not None:
        console.print(f"[dim]picture:[/dim] {out}", soft_wrap=True, highlight=False)

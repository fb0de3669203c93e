"""`classlab ui`: the lab in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from classlab.cli.options import Trust

DEFAULTS = ("runs", "studies")


def ui(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER…]", help="folders that runs or studies live in; by default runs and studies"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="by default 8642, or a free one; 0 takes a free one")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="print the address and open no browser")] = False,
    trust: Trust = False,
) -> None:
    """Open the lab in a browser: live curves, runs compared, a digit drawn by hand, the network seen from inside.

    Only this machine can open it, by the printed address. It reads the folders; it changes and starts nothing. Files
    outside of the folders, such as images that an experiment names, are read only with --trust.

    Example: classlab ui runs studies

    Exit 0: ended by Ctrl-C. 2: bad input.
    """
    from classlab.errors import UserError
    from classlab.ui import serving

    given = folders or [Path(name) for name in DEFAULTS]
    for folder in folders or []:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}; name folders that runs or studies live in")
    serving.serve(given, port, trust, browser=not no_browser)

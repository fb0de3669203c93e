"""A reproduced report as a notebook: written cell by cell, then executed from top to bottom, its pictures inside."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.errors import UserError
from classlab.progress import progress
from classlab.reproduction.published import Published
from classlab.runs import store

if TYPE_CHECKING:
    from nbformat import NotebookNode

INSTALL = """\
# Where classlab is not installed yet, on a hosted notebook service for instance, this line installs it.
import importlib.util

if importlib.util.find_spec("classlab") is None:
    %pip install --quiet classlab"""

IMPORTS = """\
import altair

import classlab as cl

altair.renderers.enable("svg")  # charts are kept inside the notebook and need no network"""


def check() -> None:
    """Raise UserError where a package of the extra `notebook` is missing."""
    missing = [name for name in ("nbformat", "nbclient", "ipykernel") if find_spec(name) is None]
    if missing:
        raise UserError(f"a notebook needs the package {missing[0]}; install classlab[notebook]")


def write(report: Published, folder: Path, quick: bool = False, seeds: int | None = None) -> Path:
    """Write the report as an executed notebook into the folder and return its path.

    It trains through the Python API what the folder's runs do not hold yet. Raises UserError where a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    book = build(report, quick, seeds)
    client = NotebookClient(
        book,
        kernel_name="python3",
        timeout=None,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    with progress(f"{report.name}.ipynb", len(book.cells), "cells") as advance:
        client.on_cell_executed = lambda **cell: advance(1)
        try:
            client.execute()
        except CellExecutionError as error:
            raise UserError(f"the notebook of {report.name} stopped: {error.ename}: {error.evalue}") from None
    path = folder / f"{report.name}.ipynb"
    store.write(path, nbformat.writes(book) + "\n")
    return path


def build(report: Published, quick: bool = False, seeds: int | None = None) -> "NotebookNode":
    """Return the notebook, not yet executed. quick, seeds: as for reproduce."""
    from nbformat import v4

    options = ["quick=True"] if quick else []
    options += [f"seeds={seeds}"] if seeds else []
    asked = ", ".join([json.dumps(report.source, ensure_ascii=False), *options, 'out="."'])
    texts: list[tuple[str, str]] = [
        ("markdown", f"# {report.title}\n\n{report.question}\n\n{_how(quick)}"),
        ("code", INSTALL),
        ("code", IMPORTS),
        ("markdown", _trained(report)),
        ("code", f"[report] = cl.reproduce({asked})\nreport.show()"),
    ]
    for part in report.parts:
        texts += [("markdown", f"## {part.title}"), ("code", f'report.show("{part.title}")')]
    texts += [
        ("markdown", "## Look further\n\nEvery run is an object: its history, its curves, its mistakes."),
        ("code", "run = report.every[0]  # or report.runs[NAME][0]\nrun"),
        ("code", "run.history.tail()"),
        ("code", "run.curves()"),
        ("code", "run.mistakes().head()"),
    ]
    made = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    # Cells are named by their place, so that the same report is the same file.
    cells: list[Any] = [made[kind](text, id=f"cell-{place}") for place, (kind, text) in enumerate(texts)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _how(quick: bool) -> str:
    text = "Every figure below is computed when its cell is run, beside what the report published."
    return f"{text}\n\n**Shortened runs: no figure here is the report's result.**" if quick else text


def _trained(report: Published) -> str:
    lines = [f"- `{name}`: the experiment `{run.experiment}`{_changes(run.set)}" for name, run in report.runs.items()]
    return "\n".join(["## What is trained", "", *lines, "", "Finished runs are never trained again."])


def _changes(changes: dict[str, Any]) -> str:
    return f" with {', '.join(f'`{key}` {value}' for key, value in changes.items())}" if changes else ""

"""An executed notebook in plain PyTorch: the experiment with a story and pictures, ready to hand in.

It needs torch, numpy and matplotlib, and weights.npz beside it. Open it, read it, run it from top to bottom.
"""

import html
import json
import math
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import files, limits
from classlab.errors import UserError
from classlab.formats import duration, interval, percent
from classlab.progress import progress
from classlab.use.export import clean_process, plain_script
from classlab.use.export.carried import Carried
from classlab.use.export.eject import data_code, pictures_code, script
from classlab.use.export.eject.leaving import Leaving, leaving
from classlab.use.export.eject.passages import imports, said
from classlab.use.export.eject.readers_files import script_name
from classlab.use.export.layer_outputs import Outputs
from classlab.version import __version__

if TYPE_CHECKING:
    from nbformat import NotebookNode

SHORT = 30  # seconds: what took classlab no longer is trained while the notebook is made
EPOCHS_TOLD = 200  # rows of the recorded history at most
DEFINES = "defines"  # the tag of cells that say what the network is, without which nothing can be proved


def engine() -> str:
    """Return what runs such a file, for the proof."""
    return plain_script.engine()


def write(carried: Carried, folder: Path) -> Path:
    """Write the executed notebook, and what it needs, into a folder; return the notebook's path.

    Raises UserError for a run that cannot leave as source, where a package is missing, and where a cell fails.
    """
    for name in ("nbformat", "nbclient", "ipykernel", "matplotlib"):
        if find_spec(name) is None:
            raise UserError(f"a notebook needs the package {name}; install classlab[notebook]")
    import nbformat

    plan = leaving(carried)
    plain_script.write_beside(carried, plan, folder)
    book = build(carried, plan)
    with tempfile.TemporaryDirectory(prefix="classlab-notebook-") as place:
        plain_script.write_beside(carried, plan, Path(place))
        if plan.published:
            data_code.write_official(plan.experiment.data.dataset.call("dataset"), Path(place) / plan.published)
        _execute(book, Path(place))
    path = folder / f"{script_name(plan.experiment.name, plan.files)}.ipynb"
    files.write(path, nbformat.writes(book) + "\n")
    return path


def build(carried: Carried, plan: Leaving) -> "NotebookNode":
    """Return the notebook, not yet executed."""
    from nbformat import v4

    made = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    cells: list[Any] = []
    for place, (kind, text, tags) in enumerate(_cells(carried, plan)):
        metadata = {"tags": tags} if tags else {}
        cells.append(made[kind](text, id=f"cell-{place}", metadata=metadata))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _cells(carried: Carried, plan: Leaving) -> list[tuple[str, str, list[str]]]:
    """Return (kind, text, tags) of each cell."""
    parts = script.passages(plan, notebook=True)
    text = "\n".join(part.code for part in parts)
    cells = [("markdown", _opening(carried, plan), [])]
    needs = imports(f"{text}\nmath.", script.modules(plan))
    cells += [("code", needs, [DEFINES]), ("code", pictures_code.DRAWING, [])]
    after = {"data": pictures_code.samples(plan), "augmentation": pictures_code.changed(plan)}
    for part in parts:
        title = part.title.partition(":")[0].capitalize()
        cells += [("markdown", f"## {title}\n\n{part.story}", []), ("code", part.code, [DEFINES])]
        if shows := after.get(part.title):
            cells.append(("code", shows, []))
    trains = carried.run.summary["seconds"] <= SHORT
    cells += [("markdown", f"## Train\n\n{_training_story(carried, trains)}", [])]
    cells += [("code", _training(carried, trains), []), ("code", pictures_code.CURVES, [])]
    cells.append(("markdown", "## The result", []))
    for story, shows in pictures_code.results(plan):
        cells += [("markdown", story, []), ("code", shows, [])]
    cells.append(("markdown", _closing(carried, plan), []))
    return cells


def _opening(carried: Carried, plan: Leaving) -> str:
    run, names = carried.run, [_plain(name) for name in plan.class_names]
    size = f"{plan.shape[1]} × {plan.shape[2]} pixels"
    if plan.reconstructs:
        task = f"The task: compress an image of {size} to a short code, and reconstruct it from the code."
    else:
        listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        task = f"The task: predict what an image of {size} shows, as one of {len(names)} classes: {listed}."
    return (
        f"# {_plain(run.experiment.name)}\n\n{_plain(run.experiment.description)}\n\n{task}\n\n"
        "Everything is here in plain PyTorch: the data, the network layer by layer, the training loop, and the "
        f"result. Written by classlab {__version__} from the run `{_plain(run.path.name)}` (seed {run.seed}): "
        f"{_plain(run.sentence())}. Run the cells from top to bottom; `weights.npz` lies beside the notebook."
    )


def _plain(text: str) -> str:
    """Return a text of the reader's as Markdown that shows it and nothing else."""
    return html.escape(said(text), quote=False)


def _training_story(carried: Carried, trains: bool) -> str:
    seconds = duration(carried.run.summary["seconds"])
    if trains:
        return (
            f"The whole training runs in this cell; it took classlab {seconds}. With `TRAIN = False` the cell loads "
            "the weights and the history that classlab recorded instead."
        )
    return (
        f"Training took classlab {seconds}, so **this cell does not train**: it loads the weights that classlab "
        "trained and the history that it recorded. Set `TRAIN = True` to train here; what follows is then about that "
        "training."
    )


def _training(carried: Carried, trains: bool) -> str:
    from classlab.runs import store

    rows = store.read_metrics(carried.run.path / store.METRICS)
    rows = rows[:: max(1, -(-len(rows) // EPOCHS_TOLD))]
    kept = [
        {key: int(value) if key == "epoch" else float(f"{value:.5g}") for key, value in row.items()
         if key == "epoch" or key.endswith(("_loss", "_accuracy"))}
        for row in rows
    ]  # fmt: skip
    lines = ",\n    ".join(json.dumps(row).replace("NaN", "math.nan").replace("Infinity", "math.inf") for row in kept)
    return (
        f"TRAIN = {trains}\nRECORDED = [\n    {lines},\n]\n\nif TRAIN:\n    net = network(SEED)\n"
        "    losses, rows = train(net, data, SEED)\nelse:\n    net, rows = trained(), RECORDED"
    )


def _closing(carried: Carried, plan: Leaving) -> str:
    summary, protocol = carried.run.summary, carried.run.experiment.protocol
    lines = ["## What it means", ""]
    if plan.reconstructs:
        lines.append(f"classlab's run ended with a test loss of {summary['test_loss']:.4f}.")
    else:
        low, high = summary["test_interval"] or (math.nan, math.nan)
        lines.append(
            f"classlab's run named {percent(summary['test_accuracy'])} of the test images right (95 % interval "
            f"{interval(low, high)} %). Another seed gives another network and another figure, "
            "so two networks should be compared over several seeds each."
        )
    if protocol.validate_on == "test":
        lines.append(
            "The test images were evaluated during training, as published: figures chosen by them are too good."
        )
    else:
        lines.append("The test images chose nothing: neither the epoch nor any setting.")
    lines.append(
        "On pictures of another kind, from another camera or hand, it will do worse; how much worse was not measured."
    )
    return "\n".join([*lines[:2], " ".join(lines[2:])])


def _execute(book: "NotebookNode", folder: Path) -> None:
    """Run all cells in a folder. Raises UserError where one fails."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    client = NotebookClient(
        book, kernel_name="python3", timeout=None, extra_arguments=["--log-level=ERROR"], coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    with progress("the notebook", len(book.cells), "cells") as advance:
        client.on_cell_executed = lambda **cell: advance(1)
        try:
            client.execute()
        except CellExecutionError as error:
            raise UserError(f"the notebook stopped: {error.ename}: {error.evalue}") from None


def answers(file: Path, carried: Carried, images: np.ndarray) -> np.ndarray:
    """Return the answers of the notebook's network with its weights, computed in a process of its own."""
    return _run(file, carried, images, False)[-1][1]


def layers(file: Path, carried: Carried, images: np.ndarray) -> Outputs:
    """Return the output of each layer of that network, computed in a process of its own."""
    return _run(file, carried, images, True)[:-1]


def _run(file: Path, carried: Carried, images: np.ndarray, layers: bool) -> Outputs:
    """Run those of a notebook's cells that say what the network is, as a script beside it."""
    book = json.loads(files.read(file, limits.ARRAYS_BYTES))
    cells = [cell for cell in book["cells"] if DEFINES in cell["metadata"].get("tags", ())]
    text = "\n\n".join("".join(cell["source"]) for cell in cells)
    with tempfile.TemporaryDirectory(prefix="classlab-cells-") as place:
        for beside in file.parent.rglob("*"):
            if beside.suffix in (".npz", ".py") and beside.is_file():
                copy = Path(place) / beside.relative_to(file.parent)
                files.make_folder(copy.parent)
                files.write(copy, files.read(beside, limits.ARRAYS_BYTES))
        cells_file = Path(place) / "notebook_cells.py"
        files.write(cells_file, text.replace("HERE = Path()", "HERE = Path(__file__).parent"))
        return clean_process.run(cells_file, images * leaving(carried).scale, layers)

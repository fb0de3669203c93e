"""`classlab compare`: runs side by side; what differs, the table, the test, the images on which they disagree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classlab import files
from classlab.cli.options import Json, RunFolders, Trust
from classlab.cli.output import console, print_json
from classlab.errors import UserError
from classlab.formats import listed

if TYPE_CHECKING:
    from classlab.study.compare import Compared

MOST_COLUMNS = 3  # variants that stand side by side in the table of what differs
MOST_PICTURES = 48


def compare(
    runs: RunFolders,
    metric: Annotated[
        str | None, typer.Option(help="test_accuracy, val_loss, best_val_accuracy, …; by default test_accuracy")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="draw the test images on which two variants disagree")
    ] = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Compare runs: what differs in their experiments, and whether their results differ.

    Runs that differ in their seed alone are one variant; the first run's variant is the baseline.

    Example: classlab compare runs/digits-quick/s0-1a2b3c4d runs/digits-quick/s0-5e6f7a8b

    Exit 0: done. 2: bad input, as runs of other datasets.
    """
    from classlab.study.compare import compare as put_side_by_side
    from classlab.study.compare import find

    folders = find(runs)
    if not trust:
        _refuse_code(folders)
    if images is not None and images.suffix.lower() != ".png":
        raise UserError(f"--images writes a file that ends in .png; got {images}")
    compared = put_side_by_side(folders, metric=metric)
    if images is not None:
        _draw(compared, images, trust)
    if json:
        print_json({**compared.to_json(), "images": str(images) if images else None})
    else:
        _say(compared, images)


def _refuse_code(folders: list[Path]) -> None:
    """Raise Untrusted for an experiment with code of somebody's own.

    Putting runs side by side runs none of it; whoever compares what they cannot open should know. Each distinct file is
    read once: two hundred runs are mostly seeds of a few.
    """
    from classlab import limits, own_code
    from classlab.runs.preparation import names_in
    from classlab.yaml_text import parse_yaml

    seen: set[str] = set()
    for folder in folders:
        file = folder / "experiment.yaml"
        text = files.read_text(file, limits.YAML_BYTES)
        if text not in seen:
            seen.add(text)
            for name in filter(own_code.is_own_code, names_in(parse_yaml(text, str(file)))):
                raise own_code.untrusted(str(file), f"takes code from {name}")


def _say(compared: "Compared", images: Path | None) -> None:
    from rich.markup import escape

    from classlab.cli.study_command import say_answer
    from classlab.study.results import differences

    _say_differences(compared)
    say_answer(compared.answer, compared.watched, differences(compared.rows))
    if compared.both_answer and compared.metric.endswith("accuracy"):
        found = compared.disagreements()
        names = listed([*map(escape, compared.folders)])
        where = "" if images is None else f"; the most confident are in {escape(str(images))}"
        console.print(f"• {names} give different answers on {len(found):,} test images{where}", soft_wrap=False)


def _say_differences(compared: "Compared") -> None:
    from rich.markup import escape
    from rich.table import Table

    differing = {("experiment" if key == "name" else key): values for key, values in compared.differences.items()}
    if not differing:
        alone = sum(len(seeds) for seeds in compared.folders.values()) == 1
        same = (
            "There is only one run, so there is nothing to compare."
            if alone
            else "The experiments are the same; only the seeds differ."
        )
        console.print(f"{same}\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    if len(compared.folders) <= MOST_COLUMNS:
        table.add_column("what differs", no_wrap=True)
        for heading in compared.folders:
            table.add_column(escape(heading), overflow="fold")
        for key, values in differing.items():
            table.add_row(escape(key), *(escape(values[name]) for name in compared.folders))
    else:
        table.add_column("what differs", no_wrap=True)
        table.add_column("values, of the variants in order", overflow="fold")
        for key, values in differing.items():
            table.add_row(escape(key), escape(" · ".join(dict.fromkeys(values.values()))))
    console.print(table)
    console.print()


def _draw(compared: "Compared", file: Path, trust: bool) -> None:
    """Write the images on which the two variants disagree, with the true class and both answers."""
    from classlab.drawing import grids, render
    from classlab.drawing.blocks import Picture, Pictures
    from classlab.runs.finished import FinishedRun

    found = compared.disagreements()
    run = FinishedRun(next(iter(next(iter(compared.folders.values())).values())), trust=trust)
    dataset, names = run.dataset(), run.environment["class_names"]
    pictures = []
    for row in found[:MOST_PICTURES]:
        true, *answers = (names[row[key]] for key in ("true", "first", "second"))
        lines = (f"true {true}", *(f"{key} {answer}" for key, answer in zip("AB", answers, strict=True)))
        tones = ("plain", *("good" if answer == true else "bad" for answer in answers))
        image = grids.eight_bit(dataset.test_images[row["index"]])
        pictures.append(Picture(image, ", ".join(lines), lines, line_tones=tones))
    more = f", the most confident {len(pictures)} of them" if len(pictures) < len(found) else ""
    title = f"{len(found):,} test images on which the answers differ{more}"
    notes = [f"{key}: {name}" for key, name in zip("AB", compared.folders, strict=True)]
    drawing = grids.gallery(Pictures(title, tuple(pictures)), title=title, notes=notes)
    files.write(file, render.svg_to_png(drawing, scale=1.5))

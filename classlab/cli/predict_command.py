"""`classlab predict`: what a trained network says of the reader's own pictures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classlab.cli.options import Json, Trust
from classlab.errors import UserError

if TYPE_CHECKING:
    from classlab.use.predict import Prediction, Predictions


class Prepare(StrEnum):
    """How a picture is made ready."""

    digits = "digits"
    plain = "plain"


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder, as `classlab runs` lists them")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="picture files, or folders of them")],
    prepare: Annotated[
        Prepare | None,
        typer.Option(
            help="digits: ink found and centred as MNIST's; plain: resized; by default as the run's dataset asks"
        ),
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="read several digits of a picture one by one")] = False,
    explain: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="draw what was shown, what the network saw, its answer")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="OUT.csv", help="write the answers as a table")] = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Predict the class of images: PNG, JPEG, WebP, BMP, TIFF or GIF files, or all of a folder.

    Example: classlab predict runs/mnist-20k/s0-1a2b3c4d seven.jpg --explain seven.png

    Exit 0: every picture has an answer. 1: some could not be read; the others have theirs. 2: bad input, or none could.
    """
    from classlab.cli.output import console, print_json
    from classlab.plain_text import on_a_line
    from classlab.progress import progress
    from classlab.runs.finished import load
    from classlab.terminal import errors
    from classlab.use import predict as predicting

    _check_files(csv, explain)
    chosen = prepare.value if prepare else None

    def report(answer: "Prediction") -> None:
        errors.print(on_a_line(f"classlab: {answer.error}"), soft_wrap=True, markup=False)

    loaded, total = load(run, trust), predicting.count(images)
    with progress("reading pictures", total, "pictures") as advance:
        answers = predicting.predict(loaded, images, prepare=chosen, each=each, advance=advance, report=report)
    unread = sum(bool(answer.error) for answer in answers)
    # A file that cannot be written must not take the answers with it: they are printed first.
    if json:
        print_json({"run": str(run), "predictions": [answer.document() for answer in answers]})
    else:
        for answer in answers:
            if not answer.error:
                console.print(on_a_line(f"{answer.file}: {answer.sentence()}"), soft_wrap=True, markup=False)
        if len(answers) > 1 or unread:
            console.print(_total(answers, unread), soft_wrap=True, markup=False)
    written = [_write_csv(answers, csv)] if csv else []
    written += [answers.explain(explain)] if explain and unread < len(answers) else []
    for path in written if not json else []:
        console.print(str(path), soft_wrap=True, markup=False)
    if unread:
        raise typer.Exit(2 if unread == len(answers) else 1)


def _check_files(csv: Path | None, sheet: Path | None) -> None:
    """Refuse what can be seen to be no place for a file before any picture is read. Raises UserError."""
    from classlab.data.bounded_files import is_folder
    from classlab.use.explain import check_name

    if sheet:
        check_name(sheet)
    for path in filter(None, (csv, sheet)):
        if not is_folder(path.parent):
            raise UserError(f"{path} cannot be written: there is no folder {path.parent}")


def _total(answers: "Predictions", unread: int) -> str:
    if unread == len(answers):
        return f"none of {len(answers):,} pictures could be read"
    unsure = sum(answer.unsure for answer in answers) - unread
    read = f"{len(answers) - unread:,} of {len(answers):,} pictures have an answer, {unsure:,} of them unsure"
    prepared = {answer.prepared for answer in answers if answer.prepared}
    return f"{read}; prepared: {', '.join(sorted(prepared)) or 'none'}"


def _write_csv(answers: "Predictions", path: Path) -> Path:
    """Write one line a picture; a text that a spreadsheet would take for a formula is led by an apostrophe."""
    import csv
    import io

    from classlab import files
    from classlab.plain_text import spreadsheet_safe
    from classlab.use.predict import COLUMNS, row

    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(COLUMNS)
    for answer in answers:
        table.writerow([spreadsheet_safe(cell) if isinstance(cell, str) else cell for cell in row(answer).values()])
    files.write(path, stream.getvalue())
    return path

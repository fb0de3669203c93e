"""`classlab report`: the report of a run or a study, as HTML and PDF."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classlab.cli.options import Author, Course, Json, Roll, Trust
from classlab.errors import UserError

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun
    from classlab.study.result import StudyResult


def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN-OR-STUDY",
            help="the folder of a run or of a study; of a run also `latest`, or how its name begins",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="where to write, .html or .pdf; by default report.html in the folder")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="also write a PDF, beside the HTML")] = False,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="also write each figure as SVG, PNG and PDF, each table as CSV and LaTeX"),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="NOTES.md", help="your own words: # Introduction, # Conclusions, or # and the title of a section"
        ),
    ] = None,
    author: Author = None,
    roll: Roll = None,
    course: Course = None,
    open_: Annotated[bool, typer.Option("--open", help="show it in the browser")] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Write the report of a run or a study: one HTML file that needs no network, and a PDF.

    Example: classlab report runs/digits-quick/s0-1a2b3c4d --pdf --author "Ada Lovelace" --roll 052

    Example: classlab report studies/cifar-batch-size --pdf --figures figures
    """
    from classlab.cli.output import console, print_json
    from classlab.report.document import write

    subject = _subject(run, trust)
    path = write(subject, out=out, pdf=pdf, figures=figures, author=author, roll=roll, course=course, text=text)
    printed = path.with_suffix(".pdf") if pdf or path.suffix.lower() == ".pdf" else None
    if json:
        written = {"report": str(path), "pdf": str(printed) if printed else None}
        print_json({"run": str(run), **written, "figures": str(figures) if figures else None})
    else:
        for file in dict.fromkeys(file for file in (path, printed, figures) if file):
            console.print(str(file), soft_wrap=True, markup=False)
    if open_:
        typer.launch(path.resolve().as_uri())


def _subject(folder: Path, trust: bool) -> "FinishedRun | StudyResult":
    """Return the run or the study in a folder."""
    if (folder / "study.yaml").is_file():
        from classlab.study.result import load as load_study

        return load_study(folder, trust)
    from classlab.runs.finished import load

    try:
        return load(folder, trust)
    except UserError as error:
        hint = "; a study's folder would have study.yaml" if folder.is_dir() else ""
        raise UserError(f"{error}{hint}") from None

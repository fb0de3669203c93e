"""The report of a run: its sections in order, as a document."""

import datetime
from pathlib import Path

import classlab
from classlab.drawing.blocks import Document, Fact
from classlab.report import write as files
from classlab.report.sections import (
    again,
    confusion,
    curves,
    data,
    discussion,
    environment,
    network,
    predictions,
    question,
    reconstruction,
    verdict,
)
from classlab.runs.finished import FinishedRun as Run

SECTIONS = (
    verdict, question, data, network, curves, reconstruction, confusion, predictions, discussion, environment, again,
)  # fmt: skip


def build(run: Run, author: str | None = None, roll: str | None = None, course: str | None = None) -> Document:
    """Return the report of a run as a document, plain data that any shell can draw.

    Its figures are counted again from the run's files, whatever its summary says.
    """
    run = run.counted_again()
    made = (module.section(run) for module in SECTIONS)
    return Document(
        title=question.title(run),
        subtitle=f"Experiment {run.experiment.name}, seed {run.seed}",
        sections=tuple(section for section in made if section is not None),
        byline=byline(run, author, roll, course),
        footer=f"Written by classlab {classlab.__version__}. Every figure is computed from the files of the run.",
    )


def write(
    run: Run,
    out: str | Path | None = None,
    author: str | None = None,
    roll: str | None = None,
    course: str | None = None,
    pdf: bool = False,
    figures: str | Path | None = None,
) -> Path:
    """Write the report of a run and return its path: `out`, or report.html in the run's folder.

    out: .html, or .pdf for the PDF alone. pdf: also the PDF, beside it. figures: a folder for every figure and table.
    Raises UserError where a file cannot be written.
    """
    path = Path(out) if out is not None else run.path / "report.html"
    return files.write(build(run, author, roll, course), path, pdf=pdf, figures=figures)


def byline(run: Run | None, author: str | None, roll: str | None, course: str | None) -> tuple[Fact, ...]:
    """Return who the report is by, and on which day `run` was begun, as far as they are known."""
    reader = (("Author", author), ("Roll number", roll), ("Course", course), ("Trained", _date(run) if run else None))
    return tuple(Fact(label, value) for label, value in reader if value)


def _date(run: Run) -> str | None:
    """Return the day on which the run began, as its log says, "2 October 2026"."""
    try:
        day = datetime.datetime.fromisoformat(run.log.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return None
    return f"{day.day} {day:%B %Y}"

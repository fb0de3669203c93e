"""The report of a run: its sections in order, written as one HTML file."""

import datetime
from pathlib import Path

import classlab
from classlab.drawing import page
from classlab.drawing.blocks import Document, Fact
from classlab.errors import UserError
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
from classlab.runs.run import Run

SECTIONS = (
    verdict, question, data, network, curves, reconstruction, confusion, predictions, discussion, environment, again,
)  # fmt: skip


def build(run: Run, author: str | None = None, roll: str | None = None, course: str | None = None) -> Document:
    """Return the report of a run as a document, plain data that any shell can draw."""
    made = (module.section(run) for module in SECTIONS)
    reader = (("Author", author), ("Roll number", roll), ("Course", course), ("Trained", _date(run)))
    return Document(
        title=question.title(run),
        subtitle=f"Experiment {run.experiment.name}, seed {run.seed}",
        sections=tuple(section for section in made if section is not None),
        byline=tuple(Fact(label, value) for label, value in reader if value),
        footer=f"Written by classlab {classlab.__version__}. Every figure is computed from the files of the run.",
    )


def write(
    run: Run,
    out: str | Path | None = None,
    author: str | None = None,
    roll: str | None = None,
    course: str | None = None,
) -> Path:
    """Write the report of a run and return its path: `out`, or report.html in the run's folder.

    Raises UserError where the file cannot be written.
    """
    path = Path(out) if out is not None else run.path / "report.html"
    if path.suffix.lower() not in {".html", ".htm"}:
        raise UserError(f"a report is written as .html; got {path}")
    text = page.html(build(run, author, roll, course))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"the report cannot be written to {path}: {error.strerror}") from None
    return path


def _date(run: Run) -> str | None:
    """Return the day on which the run began, as its log says, "2 October 2026"."""
    try:
        day = datetime.datetime.fromisoformat(run.log.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return None
    return f"{day.day} {day:%B %Y}"

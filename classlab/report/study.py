"""The report of a study: its sections in order, as a document."""

from pathlib import Path

import classlab
from classlab.drawing.blocks import Document
from classlab.report import write as files
from classlab.report.document import byline
from classlab.report.study_sections import again, answer, curves, environment, question, runs
from classlab.study.result import StudyResult

SECTIONS = (answer, question, curves, runs, environment, again)


def build(
    result: StudyResult, author: str | None = None, roll: str | None = None, course: str | None = None
) -> Document:
    """Return the report of a study as a document, plain data that any shell can draw."""
    made = (module.section(result) for module in SECTIONS)
    begun = environment.begun(result)
    return Document(
        title=result.study.question.strip() or result.study.name,
        subtitle=f"Study {result.study.name}",
        sections=tuple(section for section in made if section is not None),
        byline=byline(begun[0] if begun else None, author, roll, course),
        footer=f"Written by classlab {classlab.__version__}. Every figure is computed from the files of the study.",
    )


def write(
    result: StudyResult,
    out: str | Path | None = None,
    author: str | None = None,
    roll: str | None = None,
    course: str | None = None,
    pdf: bool = False,
    figures: str | Path | None = None,
) -> Path:
    """Write the report of a study and return its path: `out`, or report.html in the study's folder.

    out: .html, or .pdf for the PDF alone. pdf: also the PDF, beside it. figures: a folder for every figure and table.
    Raises UserError where a file cannot be written.
    """
    path = Path(out) if out is not None else result.path / "report.html"
    return files.write(build(result, author, roll, course), path, pdf=pdf, figures=figures)

"""The report of a run or of a study as a document, and its files."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from classlab.drawing.blocks import Document, Fact
from classlab.report import document_files, spec
from classlab.report.blocks.question import title
from classlab.report.material import Material, Runs
from classlab.report.notes import with_notes
from classlab.report.sections import section
from classlab.report.spec import Part
from classlab.runs.finished import FinishedRun
from classlab.study.result import StudyResult
from classlab.version import __version__


def build(
    subject: FinishedRun | StudyResult,
    author: str | None = None,
    roll: str | None = None,
    course: str | None = None,
    text: str | Path | None = None,
) -> Document:
    """Return the report of a run or a study as a document, plain data that any shell can draw.

    text: a Markdown file with the author's own words, see report.notes.

    A run's figures are counted again from its files, whatever its summary says.
    """
    if isinstance(subject, StudyResult):
        runs = {variant: [*seeds.values()] for variant, seeds in subject.runs.items()}
        heading, subtitle, whole = title(subject), f"Study {subject.study.name}", "study"
        parts = _parts(spec.HOME / "study.yaml", runs, subject)
    else:
        run = subject.counted_again()
        runs, name = {run.experiment.name: [run]}, run.experiment.name
        heading, subtitle, whole = title(run), f"Experiment {name}, seed {run.seed}", "run"
        parts = _parts(spec.HOME / "run.yaml", runs)
    every = [run for seeds in runs.values() for run in seeds]
    sections = tuple(made for made in map(section, parts) if made.blocks)
    return Document(
        title=heading,
        subtitle=subtitle,
        sections=sections if text is None else with_notes(sections, text),
        byline=byline(every[0] if every else None, author, roll, course),
        footer=footer(whole),
    )


def _parts(file: Path, runs: Runs, study: StudyResult | None = None) -> list[Material]:
    parts: Sequence[Part] = spec.read(file).parts
    return [Material(part, runs, study) for part in parts]


def write(
    subject: FinishedRun | StudyResult,
    out: str | Path | None = None,
    author: str | None = None,
    roll: str | None = None,
    course: str | None = None,
    pdf: bool = False,
    figures: str | Path | None = None,
    text: str | Path | None = None,
) -> Path:
    """Write the report of a run or a study and return its path: `out`, or report.html in its folder.

    out: .html, or .pdf for the PDF alone. pdf: also the PDF, beside it. figures: a folder for every figure and table.
    text: a Markdown file with the author's own words, see report.notes.
    Raises UserError where a file cannot be written.
    """
    path = Path(out) if out is not None else subject.path / "report.html"
    return document_files.write(build(subject, author, roll, course, text), path, pdf=pdf, figures=figures)


def byline(run: FinishedRun | None, author: str | None, roll: str | None, course: str | None) -> tuple[Fact, ...]:
    """Return who the report is by, and on which day `run` was begun, as far as they are known."""
    reader = (
        ("Author", author),
        ("Roll number", roll),
        ("Course", course),
        ("Imported" if run and run.imported else "Trained", _date(run) if run else None),
    )
    return tuple(Fact(label, value) for label, value in reader if value)


def footer(whole: str) -> str:
    """Return the last line of a report. whole: what its figures are computed from, a run, a study, the runs."""
    return f"Written by classlab {__version__}. Every figure is computed from the files of the {whole}."


def _date(run: FinishedRun) -> str | None:
    """Return the day on which the run began, as its log says, "2 October 2026"."""
    try:
        day = datetime.datetime.fromisoformat(run.log.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return None
    return f"{day.day} {day:%B %Y}"

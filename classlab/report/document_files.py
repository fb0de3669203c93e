"""A document as files: one HTML file, one PDF, and each figure and table by itself."""

from pathlib import Path

from classlab import files
from classlab.drawing import figure_files, page, paper
from classlab.drawing.blocks import Document
from classlab.errors import UserError, did_you_mean

ENDINGS = (".html", ".htm", ".pdf")


def write(document: Document, path: Path, pdf: bool = False, figures: str | Path | None = None) -> Path:
    """Write the document to `path`, as HTML or PDF by its ending, and return the path.

    pdf: also as PDF beside it, under the same name. figures: a folder for each figure as SVG, PNG and PDF and each
    table as CSV and LaTeX. Raises UserError for another ending, or where something cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UserError(f"a report is written as .html or .pdf; got {path}{did_you_mean(ending, ENDINGS)}")
    if ending != ".pdf":
        files.write(path, page.html(document).encode())
    if pdf or ending == ".pdf":
        files.write(path.with_suffix(".pdf"), paper.document_pdf(document))
    if figures is not None:
        figure_files.write(document, Path(figures))
    return path

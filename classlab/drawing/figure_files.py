"""The figures and tables of a document as files: SVG, PNG and PDF of each figure, CSV and LaTeX of each table."""

from collections.abc import Iterator
from pathlib import Path

from classlab import files
from classlab.drawing import grids, render
from classlab.drawing.blocks import Block, Document, Drawing, Figures, Pictures, Strips, Table
from classlab.drawing.palette import LIGHT
from classlab.drawing.written import csv_text, latex
from classlab.plain_text import printable


def write(document: Document, folder: Path) -> list[Path]:
    """Write every figure and table of the document into the folder, made if need be, and return the files.

    Raises UserError where the folder cannot be written to; each file is then there whole, or as it was before.
    """
    files.make_folder(folder)
    written = []
    for name, content in _contents(document):
        files.write(folder / name, content)
        written.append(folder / name)
    return written


def _contents(document: Document) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name and content; where two things are called alike the second one is numbered."""
    seen = dict[str, int]()
    for section in document.sections:
        for name, block in _named(section.blocks):
            seen[name] = seen.get(name, 0) + 1
            stem = name if seen[name] == 1 else f"{name}-{seen[name]}"
            for ending, content in block:
                yield stem + ending, content


def _named(blocks: tuple[Block, ...]) -> Iterator[tuple[str, Iterator[tuple[str, bytes]]]]:
    for block in blocks:
        match block:
            case Figures(figures):
                yield from ((figure.name, _of_chart(figure.draw(LIGHT), figure.description)) for figure in figures)
            case Drawing():
                yield block.name, _of_svg(block.draw(LIGHT))
            case Pictures():
                yield block.name, _of_svg(grids.gallery(block))
            case Strips():
                yield block.name, _of_svg(grids.strips(block))
            case Table():
                yield block.name, iter([(".csv", csv_text(block).encode()), (".tex", latex(block).encode())])


def _of_chart(chart: "render.Chart", description: str) -> Iterator[tuple[str, bytes]]:
    yield ".svg", render.svg(chart, description).encode()
    yield ".png", render.png(chart)
    yield ".pdf", render.pdf(chart)


def _of_svg(text: str) -> Iterator[tuple[str, bytes]]:
    yield ".svg", printable(text).encode()
    yield ".png", render.svg_to_png(text)
    yield ".pdf", render.svg_to_pdf(text)

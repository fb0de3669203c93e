"""A document as PDF for paper: the same blocks as the page's, drawn by a typst template."""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from classlab.drawing import grids, pdf, render
from classlab.drawing.blocks import (
    Block,
    Code,
    Column,
    Document,
    Drawing,
    Facts,
    Figure,
    Figures,
    Heading,
    Numbers,
    Pictures,
    Strips,
    Table,
    Verdict,
    Words,
)
from classlab.drawing.palette import LIGHT
from classlab.drawing.tables import NUMERIC, cell_text

TEMPLATE = Path(__file__).with_name("paper.typ")
LONG_WORD = 30  # letters; a longer word may be broken, after a sign or after as many letters
TALLEST = 1100  # units of a drawing on one page; a taller one is cut
ROWS_BESIDE = 19  # of a cut drawing, in each of two columns
LONG_CODE = 90  # letters in fixed width, which fill a line


def document_pdf(document: Document) -> bytes:
    """Return the document as a PDF file."""
    data, files = _paper(document)
    return pdf.compile(TEMPLATE, data, files)


def document_pages(document: Document, pixels_per_inch: float = 72) -> list[bytes]:
    """Return the pages of the PDF as PNG files."""
    data, files = _paper(document)
    return pdf.pages(TEMPLATE, data, files, pixels_per_inch)


@dataclass
class _Files:
    """The pictures of a document, numbered as they come."""

    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, content: bytes, ending: str) -> str:
        name = f"{len(self.files)}{ending}"
        self.files[name] = content
        return name


def _paper(document: Document) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the template reads: the document as JSON and its pictures as files."""
    held = _Files()
    data = {
        "title": _broken(document.title),
        "subtitle": _broken(document.subtitle),
        "author": next((fact.value for fact in document.byline if fact.label == "Author"), None),
        "byline": [{"label": fact.label, "value": _broken(fact.value)} for fact in document.byline],
        "footer": document.footer,
        "mark": document.mark,
        "colours": asdict(LIGHT),
        "sections": [
            {"title": section.title, "blocks": [_block(block, held) for block in section.blocks]}
            for section in document.sections
        ],
    }
    return data, held.files


def _block(block: Block, held: _Files) -> dict[str, Any]:
    kind = type(block).__name__.lower()
    match block:
        case Words(text) | Heading(text):
            return {"kind": kind, "text": _broken(text)}
        case Verdict(tone, word, sentence):
            return {"kind": kind, "tone": tone, "word": word, "sentence": _broken(sentence)}
        case Numbers(numbers):
            return {"kind": kind, "numbers": [asdict(number) for number in numbers]}
        case Facts(facts, caption):
            listed = [{"label": fact.label, "value": _broken(fact.value)} for fact in facts]
            return {"kind": kind, "facts": listed, "caption": caption}
        case Code(text, caption):
            return {"kind": kind, "text": _broken(text, LONG_CODE), "caption": caption}
        case Table():
            return {"kind": kind, **_table(block)}
        case Figures(figures):
            return {"kind": kind, "figures": [_figure(figure, held) for figure in figures]}
        case Drawing():
            pieces = [held.add(render.svg_to_pdf(piece), ".pdf") for piece in _pieces_of(block, block.draw(LIGHT))]
            return {"kind": kind, "files": pieces, "caption": block.caption}
        case Pictures():
            return {"kind": kind, **_pictures(block, held)}
        case Strips():
            return {"kind": kind, **_strips(block, held)}


def _pieces_of(drawing: Drawing, svg: str) -> list[str]:
    """Return a drawing that is too tall for a page as several, cut between its rows, each a view of the same SVG."""
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if not drawing.row or size is None or float(size[2]) <= TALLEST:
        return [svg]
    width, tall = float(size[1]), float(size[2])
    rows = math.ceil((tall - drawing.top) / drawing.row)
    each = math.ceil(rows / math.ceil(rows / ROWS_BESIDE))
    cuts = [0.0, *(drawing.top + first * drawing.row for first in range(each, rows, each)), tall]
    opening = re.compile(r'viewBox="[^"]*" width="[^"]*" height="[^"]*"')
    return [
        opening.sub(
            f'viewBox="0 {start:g} {width:g} {end - start:g}" width="{width:g}" height="{end - start:g}"', svg, 1
        )
        for start, end in itertools.pairwise(cuts)
    ]


def _table(table: Table) -> dict[str, Any]:
    """Return the cells as text, and which columns stand to the right, in fixed width, or hold much text."""
    rows = [*table.rows, *([table.total] if table.total else [])]
    texts = [[cell_text(value, column) for value, column in zip(row, table.columns, strict=True)] for row in rows]
    columns = [
        {
            "label": column.label,
            "right": column.form in (*NUMERIC, "figure"),
            "code": column.form == "code",
            "longest": max((len(row[place]) for row in texts), default=0),
        }
        for place, column in enumerate(table.columns)
    ]
    cells = [
        [
            {"text": _broken(text), "tone": _tone(value, column)}
            for text, value, column in zip(row_texts, row, table.columns, strict=True)
        ]
        for row_texts, row in zip(texts, rows, strict=True)
    ]
    return {"caption": table.caption, "columns": columns, "rows": cells, "total": table.total is not None}


def _tone(value: Any, column: Column) -> str | None:
    return {True: "good", False: "bad"}.get(value) if column.form == "check" else None


def _figure(figure: Figure, held: _Files) -> dict[str, Any]:
    name = held.add(render.pdf(figure.draw(LIGHT)), ".pdf")
    return {"file": name, "caption": figure.caption, "description": figure.description}


def _pictures(block: Pictures, held: _Files) -> dict[str, Any]:
    pictures = [
        {
            "file": held.add(grids.png(picture.image), ".png"),
            "description": picture.description,
            "lines": [_broken(line, 12) for line in picture.lines],
            "tone": picture.tone,
        }
        for picture in block.pictures
    ]
    return {"caption": block.caption, "pictures": pictures}


def _strips(block: Strips, held: _Files) -> dict[str, Any]:
    """Return the rows with each strip as one picture, and how many images the longest holds."""
    rows = [
        {
            "name": _broken(name, 14),
            "strips": [
                {
                    "file": held.add(grids.png(grids.tile(strip.images, columns=len(strip.images), gap=1)), ".png"),
                    "description": strip.description,
                    "count": len(strip.images),
                }
                for strip in strips
            ],
        }
        for name, strips in block.rows
    ]
    most = max((strip["count"] for row in rows for strip in row["strips"]), default=1)
    return {"caption": block.caption, "headings": list(block.headings), "rows": rows, "most": most}


def _broken(text: str, longest: int = LONG_WORD) -> str:
    """Tie a number to its per cent sign, and let a word of more than `longest` letters break where a line is full."""
    return "".join(_pieces(text.replace(" %", "\u00a0%"), longest))


def _pieces(text: str, longest: int) -> Iterator[str]:
    for word in re.split(r"(\s+)", text):
        if len(word) <= longest or word.isspace():
            yield word
        else:
            yield re.sub(rf"([._/\\-]|\w{{{max(longest // 3, 4)}}})(?=.)", "\\1\u200b", word)

"""Blocks in a notebook: words and tables as HTML in the notebook's own style, pictures as PNG, all inside the file."""

import base64
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from classlab.drawing import render, sheet, tables
from classlab.drawing.blocks import (
    Block,
    Code,
    Drawing,
    Facts,
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
from classlab.plain_text import printable

SCALE = 1.5  # dots a point, so that lines are crisp; the notebook shows the picture at its own size
TONES = {"good": LIGHT.good, "bad": LIGHT.bad, "plain": "inherit"}


@dataclass(frozen=True)
class Shown:
    """Blocks that show themselves as the last line of a notebook's cell."""

    blocks: tuple[Block, ...]

    def __repr__(self) -> str:
        return f"{len(self.blocks)} blocks; a notebook shows them"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for data, metadata in bundles(self.blocks):
            display(data, metadata=metadata, raw=True)


def bundles(blocks: Sequence[Block]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Yield what a notebook displays for each block: content by MIME type, and its metadata."""
    for block in blocks:
        match block:
            case Figures(figures):
                for figure in figures:
                    yield _png(render.png(figure.draw(LIGHT), SCALE), figure.description)
                    yield _html(_caption(figure.caption))
            case Drawing():
                yield _png(render.svg_to_png(block.draw(LIGHT), SCALE), block.caption)
                yield _html(_caption(block.caption))
            case Pictures():
                yield _png(render.svg_to_png(sheet.gallery(block), SCALE), block.caption)
            case Strips():
                yield _png(render.svg_to_png(sheet.sheet("", block), SCALE), block.caption)
            case _:
                yield _html(_text(block))


def _png(content: bytes, description: str) -> tuple[dict[str, str], dict[str, Any]]:
    width = struct.unpack(">I", content[16:20])[0]
    description = printable(description)
    data = {"image/png": base64.b64encode(content).decode(), "text/plain": description}
    return data, {"image/png": {"width": round(width / SCALE), "alt": description}}


def _html(text: str) -> tuple[dict[str, str], dict[str, Any]]:
    return {"text/html": printable(text), "text/plain": ""}, {}


def _caption(text: str) -> str:
    return f"<p style='max-width:45em'><small>{escape(text)}</small></p>" if text else ""


def _text(block: Block) -> str:
    match block:
        case Words():
            return f"<p style='max-width:45em'>{escape(block.text)}</p>"
        case Heading():
            return f"<h4>{escape(block.text)}</h4>"
        case Verdict():
            word = f"<b style='color:{TONES[block.tone]}'>{escape(block.word)}</b>"
            return f"<p style='max-width:45em'>{word} {escape(block.sentence)}</p>"
        case Numbers():
            return _rows([(one.label, f"<b>{escape(one.value)}</b>", escape(one.note)) for one in block.numbers])
        case Facts():
            return _rows([(one.label, escape(one.value)) for one in block.facts]) + _caption(block.caption)
        case Code():
            return f"<pre>{escape(block.text)}</pre>{_caption(block.caption)}"
        case Table():
            return _table(block) + _caption(block.caption)
    raise AssertionError(f"a block that no notebook shows: {type(block).__name__}")


def _rows(rows: Sequence[tuple[str, ...]]) -> str:
    """Return names and what belongs to them as a table; all but the names is HTML already."""
    made = (
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return f"<table>{''.join(made)}</table>"


def _table(table: Table) -> str:
    sides = ["right" if one.form in (*tables.NUMERIC, "figure") else "left" for one in table.columns]
    head = "".join(
        f"<th style='text-align:{side}'>{escape(one.label)}</th>"
        for side, one in zip(sides, table.columns, strict=True)
    )
    rows = [*table.rows, *([table.total] if table.total else [])]
    body = "".join(
        "<tr>"
        + "".join(
            f"<td style='text-align:{side}'>{escape(tables.shown(value, column))}</td>"
            for side, value, column in zip(sides, row, table.columns, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

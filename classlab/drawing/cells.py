"""Blocks in a notebook: words and tables as HTML in the notebook's own style, pictures as PNG, all inside the file."""

import base64
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from classlab.drawing import grids, render, tables
from classlab.drawing.blocks import Block, Column, Drawing, Figures, Pictures, Strips
from classlab.drawing.html_templates import HERE, template
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
                    yield _html("caption", figure.caption)
            case Drawing():
                yield _png(render.svg_to_png(block.draw(LIGHT), SCALE), block.caption)
                yield _html("caption", block.caption)
            case Pictures():
                yield _png(render.svg_to_png(grids.gallery(block), SCALE), block.caption)
            case Strips():
                yield _png(render.svg_to_png(grids.strips(block), SCALE), block.caption)
            case _:
                yield _html(type(block).__name__.lower(), block)


def _png(content: bytes, description: str) -> tuple[dict[str, str], dict[str, Any]]:
    width = struct.unpack(">I", content[16:20])[0]
    description = printable(description)
    data = {"image/png": base64.b64encode(content).decode(), "text/plain": description}
    return data, {"image/png": {"width": round(width / SCALE), "alt": description}}


def _html(kind: str, block: Any) -> tuple[dict[str, str], dict[str, Any]]:
    text = template(HERE / "cell.html").render(
        kind=kind, block=block, tones=TONES, cell_text=tables.cell_text, side=_side
    )
    return {"text/html": text, "text/plain": ""}, {}


def _side(column: Column) -> str:
    return "right" if column.form in (*tables.NUMERIC, "figure") else "left"

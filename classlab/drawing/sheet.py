"""Sheets of small images as one SVG picture: strips under headings, a row for each class; galleries with words."""

import textwrap
from collections.abc import Sequence

from classlab.drawing.blocks import Pictures, Strips
from classlab.drawing.grids import data_uri, tile
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.svg import short, words

MARGIN, GAP, TITLE, HEADING = 24, 18, 56, 26
LETTER = 7.2  # about the width of a letter of the row names
SIDE = 48  # about how large an image is shown in a strip
NOTE = 2_000  # characters
TILE, PICTURES_ACROSS = 84, 8  # in a gallery


def sheet(title: str, strips: Strips, notes: Sequence[str] = (), palette: Palette = LIGHT) -> str:
    """Return the strips as SVG text, with a title above and notes below, every pixel of an image a crisp square."""
    height, width = strips.rows[0][1][0].images.shape[2:]
    scale = max(1, round(SIDE / max(height, width)))
    most = max(len(strip.images) for _, row in strips.rows for strip in row)
    row_height, strip_width = height * scale + 8, most * (width + 1) * scale
    columns = len(strips.rows[0][1])
    names = max(len(short(name)) for name, _ in strips.rows) * LETTER + GAP
    full_width = max(2 * MARGIN + names + columns * (strip_width + GAP), 2 * MARGIN + 7.5 * len(short(title)))
    notes = [line for note in notes for line in textwrap.wrap(short(note, NOTE), int((full_width - 2 * MARGIN) / 6))]
    full_height = TITLE + HEADING + len(strips.rows) * row_height + 20 * len(notes) + MARGIN
    parts = [*_opening(full_width, full_height, title, palette), _text(MARGIN, 36, title, palette.ink, 18, "600")]
    lefts = [MARGIN + names + number * (strip_width + GAP) for number in range(columns)]
    for left, heading in zip(lefts, strips.headings[1:], strict=True):
        parts.append(_text(left, TITLE + 14, _cut(heading, strip_width), palette.muted, 12.5))
    for number, (name, row) in enumerate(strips.rows):
        top = TITLE + HEADING + number * row_height
        parts.append(_text(MARGIN, top + height * scale / 2 + 5, name, palette.ink, 13.5))
        for left, strip in zip(lefts, row, strict=True):
            count = len(strip.images)
            wide, high = (count * (width + 1) - 1) * scale, height * scale
            picture = data_uri(tile(strip.images, columns=count, paper=255), scale)
            parts.append(f'<image x="{left:g}" y="{top}" width="{wide}" height="{high}" href="{picture}"/>')
    for number, note in enumerate(notes):
        at = full_height - MARGIN - 20 * (len(notes) - 1 - number)
        parts.append(_text(MARGIN, at, note, palette.muted, 12))
    return "\n".join([*parts, "</svg>", ""])


def gallery(pictures: Pictures, palette: Palette = LIGHT) -> str:
    """Return the pictures as SVG text, up to eight in a row, each with its lines below it and its tone as a line."""
    shown = pictures.pictures
    height, width = shown[0].image.shape[1:]
    scale = max(1, round(TILE / max(height, width)))
    longest = max((len(short(line)) for one in shown for line in one.lines), default=0)
    wide = max(width * scale, 6.2 * longest) + GAP
    tall = height * scale + 15 * max(len(one.lines) for one in shown) + 30
    across = min(PICTURES_ACROSS, len(shown))
    full_width, full_height = 2 * MARGIN + across * wide, 2 * MARGIN + -(-len(shown) // across) * tall
    parts = _opening(full_width, full_height, pictures.caption, palette)
    for number, one in enumerate(shown):
        left, top = MARGIN + number % across * wide, MARGIN + number // across * tall
        edge = {"good": palette.good, "bad": palette.bad, "plain": palette.muted}[one.tone]
        bottom = top + height * scale
        place = f'x="{left:g}" y="{top:g}" width="{width * scale}" height="{height * scale}"'
        parts.append(f'<image {place} href="{data_uri(one.image, scale)}"/>')
        parts.append(f'<rect x="{left:g}" y="{bottom:g}" width="{width * scale}" height="3" fill="{edge}"/>')
        for line, text in enumerate(one.lines):
            parts.append(_text(left, bottom + 18 + 15 * line, text, palette.ink, 11.5))
    return "\n".join([*parts, "</svg>", ""])


def _opening(width: float, height: float, title: str, palette: Palette) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{words(title, NOTE)}" '
        "font-family=\"system-ui, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', Arial, sans-serif\">",
        f'<rect width="100%" height="100%" fill="{palette.paper}"/>',
    ]


def _cut(text: str, width: float) -> str:
    """Shorten a heading to the width of its column."""
    letters = int(width / 6.3)
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"


def _text(x: float, y: float, text: str, colour: str, size: float, weight: str = "400") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{colour}">{words(text)}</text>'

"""Grids of small images: uint8 arrays in, PNG files and SVG drawings out, every pixel of an image a crisp square.

A gallery is images side by side, each with its lines below it. Strips are rows of images under headings, a row for each
class. Both may have a title and notes above them.
"""

import base64
import io
import math
import textwrap
from collections.abc import Sequence

import numpy as np

from classlab.drawing.blocks import Pictures, Strips
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.svg import drawing, short, text

GAP = 1  # pixels of the image between neighbours
MARGIN, SPACE = 24, 18  # units of a drawing: around it, between its columns
LEAST_WIDTH = 480  # of a drawing with a title
TILE, ACROSS, LINE, LETTERS = 84, 8, 15, 40  # a gallery: side of an image, images in a row, a line and its most letters
STRIP, HEADING = 48, 26  # strips: side of an image, height of the headings
NOTE = 2_000  # characters


def tile(images: np.ndarray, columns: int | None = None, gap: int = GAP, paper: int = 255) -> np.ndarray:
    """Return the images side by side as one, uint8 (channels, height, width).

    images: uint8, (count, channels, height, width), count at least 1. columns: default as near to a square as may be.
    paper: the grey level of the gaps and of places left over.
    """
    count, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((channels, rows * (height + gap) - gap, columns * (width + gap) - gap), paper, dtype=np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Return an image as uint8; floats are on the 0…1 scale."""
    return image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


def png(image: np.ndarray, scale: int = 1) -> bytes:
    """Return the image as a PNG file, each pixel `scale` × `scale` of the file's.

    image: uint8, (channels, height, width) with 1 or 3 channels; of any other number the first is shown in grey.
    """
    from PIL import Image

    rows = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
    rows = rows.repeat(scale, axis=0).repeat(scale, axis=1)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rows, dtype=np.uint8)).save(file, "PNG", optimize=True)
    return file.getvalue()


def data_uri(image: np.ndarray, scale: int = 1) -> str:
    """Return the image (as for `png`) as the address that a page holds it under, inside itself."""
    return "data:image/png;base64," + base64.b64encode(png(image, scale)).decode()


def gallery(
    block: Pictures, palette: Palette = LIGHT, title: str = "", notes: Sequence[str] = (), across: int = ACROSS
) -> str:
    """Return the pictures as SVG text, at most `across` in a row, each with a bar of its tone and its lines below."""
    pictures = block.pictures
    height, width = pictures[0].image.shape[1:] if pictures else (TILE, TILE)
    scale = max(1, round(TILE / max(height, width)))
    longest = max((len(short(line, LETTERS)) for picture in pictures for line in picture.lines), default=0)
    cell_width = max(width * scale, 6.2 * longest) + SPACE
    cell_height = height * scale + LINE * max((len(picture.lines) for picture in pictures), default=0) + 30
    across = max(1, min(across, len(pictures)))
    full_width = max(2 * MARGIN + across * cell_width, LEAST_WIDTH if title else 0)
    parts, below_head = _head(title, notes, full_width, palette)
    tones = {"good": palette.good, "bad": palette.bad, "plain": palette.ink}
    for place, picture in enumerate(pictures):
        left, top = MARGIN + place % across * cell_width, below_head + place // across * cell_height
        bottom, edge = top + height * scale, palette.muted if picture.tone == "plain" else tones[picture.tone]
        parts.append(_image(left, top, picture.image, scale))
        parts.append(f'<rect x="{left:g}" y="{bottom:g}" width="{width * scale}" height="3" fill="{edge}"/>')
        for number, line in enumerate(picture.lines):
            tone = picture.line_tones[number] if picture.line_tones else "plain"
            parts.append(text(left, bottom + 18 + LINE * number, short(line, LETTERS), tones[tone], 11.5))
    full_height = below_head + -(-len(pictures) // across) * cell_height + MARGIN
    return drawing(full_width, full_height, title or block.caption, parts, palette)


def strips(block: Strips, palette: Palette = LIGHT, title: str = "", notes: Sequence[str] = ()) -> str:
    """Return the strips as SVG text: a name at the head of each row, a heading over each column."""
    height, width = block.rows[0][1][0].images.shape[2:]
    scale = max(1, round(STRIP / max(height, width)))
    strip_width = scale * (width + GAP) * max(len(strip.images) for _, row in block.rows for strip in row)
    names = max(len(short(name)) for name, _ in block.rows) * 7.2 + SPACE
    lefts = [MARGIN + names + column * (strip_width + SPACE) for column in range(len(block.rows[0][1]))]
    full_width = max(lefts[-1] + strip_width + SPACE + MARGIN, LEAST_WIDTH if title else 0)
    parts, below_head = _head(title, notes, full_width, palette)
    for left, heading in zip(lefts, block.headings[1:], strict=True):
        parts.append(text(left, below_head + 14, short(heading, max(2, int(strip_width / 6.3))), palette.muted, 12.5))
    row_height = height * scale + 8
    for number, (name, row) in enumerate(block.rows):
        top = below_head + HEADING + number * row_height
        parts.append(text(MARGIN, top + height * scale / 2 + 5, name, palette.ink, 13.5))
        for left, strip in zip(lefts, row, strict=True):
            parts.append(_image(left, top, tile(strip.images, columns=len(strip.images)), scale))
    full_height = below_head + HEADING + len(block.rows) * row_height + MARGIN
    return drawing(full_width, full_height, title or block.caption, parts, palette)


def _head(title: str, notes: Sequence[str], width: float, palette: Palette) -> tuple[list[str], float]:
    """Return the title and the notes, on as many lines as they need, and where what is below them begins."""
    parts, y, room = [], float(MARGIN), width - 2 * MARGIN
    for texts, letter, line, size, weight, colour in (
        ([title], 9.5, 24, 17, "600", palette.ink),
        (notes, 7.0, 18, 13, "400", palette.muted),
    ):
        for part in (part for whole in texts for part in textwrap.wrap(short(whole, NOTE), int(room / letter))):
            parts.append(text(MARGIN, y + 12, part, colour, size, font_weight=weight))
            y += line
    return parts, y + 12 if parts else y


def _image(left: float, top: float, image: np.ndarray, scale: int) -> str:
    height, width = image.shape[1:]
    place = f'x="{left:g}" y="{top:g}" width="{width * scale}" height="{height * scale}"'
    return f'<image {place} href="{data_uri(image, scale)}"/>'

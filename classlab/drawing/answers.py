"""A sheet of small images, each with its true class and what two networks answered, as one PNG picture."""

import textwrap
from collections.abc import Sequence

import numpy as np

from classlab.drawing import render
from classlab.drawing.grids import data_uri
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.svg import words as drawn_words

MARGIN, SIDE, CELL, LINE, COLUMNS = 24, 84, 132, 16, 6
FONT = "font-family=\"system-ui, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', Arial, sans-serif\""


def answers_sheet(
    title: str,
    images: Sequence[np.ndarray],
    words: Sequence[tuple[str, str, str]],
    names: tuple[str, str],
    palette: Palette = LIGHT,
) -> bytes:
    """Return the images as a PNG file, below each its true class and both answers, a right one in green.

    images: (channels, height, width), uint8, or floats on the 0…1 scale. words: (true, first, second) of each image.
    names: of the two that answered; A and B stand for them below the images.
    """
    columns = min(COLUMNS, max(1, len(images)))
    width = max(2 * MARGIN + columns * CELL, 480)
    letters = int((width - 2 * MARGIN) / 7)
    notes = [line for key, name in zip("AB", names, strict=True) for line in textwrap.wrap(f"{key}: {name}", letters)]
    heads = textwrap.wrap(title, int((width - 2 * MARGIN) / 9.5))
    top = MARGIN + 24 * len(heads) + 18 * len(notes) + 12
    row_height = SIDE + 3 * LINE + 18
    height = top + -(-len(images) // columns) * row_height + MARGIN // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'{FONT}><rect width="100%" height="100%" fill="{palette.paper}"/>'
    ]
    for place, line in enumerate(heads):
        parts.append(_text(MARGIN, MARGIN + 12 + 24 * place, line, palette.ink, 17, "600"))
    for place, line in enumerate(notes):
        parts.append(_text(MARGIN, MARGIN + 10 + 24 * len(heads) + 18 * place, line, palette.muted, 13))
    for place, (image, (true, first, second)) in enumerate(zip(images, words, strict=True)):
        x, y = MARGIN + place % columns * CELL, top + place // columns * row_height
        pixels = image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
        scale = max(1, SIDE // max(image.shape[1:]))
        tall, wide = (SIDE * side / max(image.shape[1:]) for side in image.shape[1:])
        picture = data_uri(pixels, scale)
        parts.append(f'<image x="{x}" y="{y}" width="{wide:g}" height="{tall:g}" href="{picture}"/>')
        parts.append(_text(x, y + SIDE + LINE, f"true {true}", palette.ink, 12.5))
        for line, (key, said) in enumerate((("A", first), ("B", second)), 2):
            colour = palette.good if said == true else palette.bad
            parts.append(_text(x, y + SIDE + line * LINE, f"{key} {said}", colour, 12.5))
    return render.svg_to_png("\n".join([*parts, "</svg>"]), scale=1.5)


def _text(x: float, y: float, text: str, colour: str, size: float, weight: str = "400") -> str:
    place = f'x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}"'
    return f'<text {place} fill="{colour}">{drawn_words(text, 90)}</text>'

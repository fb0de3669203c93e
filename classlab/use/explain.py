"""A sheet that explains answers: what each picture shows, what the network saw of it, and what it made of that."""

import functools
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import files
from classlab.errors import UserError
from classlab.plain_text import on_a_line

if TYPE_CHECKING:
    from classlab.use.predict import Prediction

SIDE, GAP, BARS = 168, 16, 250  # pixels: of a picture, between things, of the probabilities' column
LINE = 26
WIDTH, HEIGHT = 2 * SIDE + BARS + 4 * GAP, SIDE + LINE + GAP
MOST = 120  # answers on one sheet
LETTERS = 200  # of a text, more than any place here is wide
INK, FAINT, PAPER, EDGE = (28, 32, 38), (98, 105, 114), (255, 255, 255), (214, 218, 223)
SURE, UNSURE, TRACK = (27, 94, 160), (176, 92, 10), (236, 239, 243)


def check_name(out: Path) -> None:
    """Raise UserError where the sheet cannot have this name, so that this is said before any picture is read."""
    if out.suffix.lower() != ".png":
        raise UserError(f"the sheet that explains is a PNG file: give a name that ends in .png, got {out}")


def explain(answers: "list[Prediction]", out: Path) -> Path:
    """Write the sheet as PNG, one answer a cell, at most 120 of them, and return its path. Raises UserError."""
    check_name(out)
    from PIL import Image

    readable = [answer for answer in answers if not answer.error][:MOST]
    if not readable:
        raise UserError(f"{out} is not written: no picture could be read, so there is nothing to explain")
    columns = 1 if len(readable) < 4 else 2 if len(readable) < 13 else 3
    rows = -(-len(readable) // columns)
    left = len([answer for answer in answers if not answer.error]) - len(readable)
    sheet = Image.new("RGB", (columns * WIDTH, rows * HEIGHT + GAP + (LINE if left else 0)), PAPER)
    for index, answer in enumerate(readable):
        _cell(sheet, answer, index % columns * WIDTH, index // columns * HEIGHT + GAP)
    if left:
        _write(sheet, (GAP, rows * HEIGHT + GAP), f"and {left:,} more, not shown", FAINT)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    files.write(out, file.getvalue())
    return out


def _cell(sheet: Any, answer: "Prediction", x: int, y: int) -> None:
    """Draw one answer: the picture, what the network saw, the three likeliest classes."""
    from PIL import Image, ImageDraw

    assert answer.picture is not None and answer.seen is not None
    draw = ImageDraw.Draw(sheet)
    name = Path(answer.file).name
    _write(sheet, (x + GAP, y), _shortened(name, 2 * SIDE + BARS), FAINT)
    top = y + LINE
    picture = Image.fromarray(answer.picture)
    if max(picture.size) < SIDE:
        factor = max(1, SIDE // max(picture.size))
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((SIDE, SIDE))
    seen = answer.seen if len(answer.seen) == 3 else np.repeat(answer.seen, 3, axis=0)
    saw = Image.fromarray(np.ascontiguousarray(seen.transpose(1, 2, 0)))
    saw = saw.resize((SIDE, max(1, round(SIDE * saw.height / saw.width))), Image.Resampling.NEAREST)
    for column, image in enumerate((picture, saw)):
        left = x + GAP + column * (SIDE + GAP)
        sheet.paste(image, (left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2))
        draw.rectangle([left - 1, top - 1, left + SIDE, top + SIDE], outline=EDGE)
    _bars(sheet, answer, x + 3 * GAP + 2 * SIDE, top)


def _bars(sheet: Any, answer: "Prediction", left: int, top: int) -> None:
    from PIL import ImageDraw

    draw, colour = ImageDraw.Draw(sheet), UNSURE if answer.unsure else SURE
    verdict = f"{answer.name}{', but unsure' if answer.unsure else ''}"
    _write(sheet, (left, top), _shortened(verdict, BARS, 20), INK, 20)
    for index, (name, probability) in enumerate(answer.top):
        y = top + 34 + index * 34
        draw.rectangle([left, y + 17, left + BARS, y + 24], fill=TRACK)
        if round(BARS * probability):
            draw.rectangle([left, y + 17, left + round(BARS * probability), y + 24], fill=colour)
        _write(sheet, (left, y - 2), _shortened(name, BARS - 70), INK)
        share = f"{100 * probability:.1f} %"
        _write(sheet, (left + BARS - _length(share), y - 2), share, INK)
    how = {
        "digits": "cropped, scaled, centred as MNIST's",
        "plain": "resized, its middle cut out",
        "as it is": "shown as it is",
    }
    for index, text in enumerate(filter(None, (how[answer.prepared], answer.note))):
        _write(sheet, (left, top + 136 + 17 * index), _shortened(text, BARS, 12), FAINT, 12)


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _length(text: str, size: int = 14) -> int:
    return int(_font(size).getlength(text))


def _shortened(text: str, width: int, size: int = 14) -> str:
    """Return the text on one line, its end replaced by … where it is wider than `width` pixels."""
    text = on_a_line(text[:LETTERS])
    if _length(text, size) <= width:
        return text
    while text and _length(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def _write(sheet: Any, place: tuple[int, int], text: str, colour: tuple[int, int, int], size: int = 14) -> None:
    from PIL import ImageDraw

    ImageDraw.Draw(sheet).text(place, text, fill=colour, font=_font(size))

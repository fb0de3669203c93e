"""A sheet that explains answers: what each picture shows, what the network saw, its answer, where that came from."""

import functools
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import files
from classlab.errors import UserError
from classlab.plain_text import on_a_line

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun
    from classlab.use.evidence import Evidence
    from classlab.use.predict import Prediction, Predictions

SIDE, GAP, BARS = 168, 16, 250  # pixels: of a picture, between things, of the probabilities' column
LINE = 26
WIDTH, HEIGHT = 2 * SIDE + BARS + 4 * GAP, 2 * (SIDE + LINE) + 2 * GAP
SMALL = 12  # letters of what is said below
MOST = 120  # answers on one sheet
LETTERS = 200  # of a text, more than any place here is wide
INK, FAINT, PAPER, EDGE = (28, 32, 38), (98, 105, 114), (255, 255, 255), (214, 218, 223)
SURE, UNSURE, TRACK = (27, 94, 160), (176, 92, 10), (236, 239, 243)


def check_name(out: Path) -> None:
    """Raise UserError where the sheet cannot have this name, so that this is said before any picture is read."""
    if out.suffix.lower() != ".png":
        raise UserError(f"the sheet that explains is a PNG file: give a name that ends in .png, got {out}")


def explain(answers: "Predictions", out: Path) -> Path:
    """Write the sheet as PNG, one answer a cell, at most 120 of them, and return its path. Raises UserError."""
    check_name(out)
    from PIL import Image

    readable = [answer for answer in answers if not answer.error][:MOST]
    if not readable:
        raise UserError(f"{out} is not written: no picture could be read, so there is nothing to explain")
    maps = maps_of(answers.run, readable) if answers.run else []
    columns = 1 if len(readable) < 4 else 2 if len(readable) < 13 else 3
    rows = -(-len(readable) // columns)
    left = len([answer for answer in answers if not answer.error]) - len(readable)
    lines = [f"and {left:,} more, not shown"] if left else []
    lines += [line for text in said(maps) for line in textwrap.wrap(text, int((columns * WIDTH - 2 * GAP) / 6.1))]
    sheet = Image.new("RGB", (columns * WIDTH, rows * HEIGHT + 2 * GAP + 17 * len(lines)), PAPER)
    for index, answer in enumerate(readable):
        place = index % columns * WIDTH, index // columns * HEIGHT + GAP
        _cell(sheet, answer, *place)
        _maps(sheet, maps, index, *place)
    for number, line in enumerate(lines):
        _write(sheet, (GAP, rows * HEIGHT + GAP + 17 * number), line, FAINT, SMALL)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    files.write(out, file.getvalue())
    return out


def maps_of(run: "FinishedRun", answers: "Sequence[Prediction]") -> "list[Evidence]":
    """Return the maps of what spoke for each answer, by every method that the network allows."""
    from classlab.progress import progress
    from classlab.use.evidence import Network

    network, images = Network(run), np.stack([answer.seen for answer in answers if answer.seen is not None])
    methods, found = network.methods(), []
    with progress("where the answers came from", len(methods), "maps") as advance:
        for method in methods:
            found.append(network.evidence(images, method, [answer.name or "" for answer in answers]))
            found[-1].check  # noqa: B018 - worked out here, under the bar, and kept
            advance(1)
    return found


def said(maps: "Sequence[Evidence]") -> list[str]:
    """Return what colours mean, and of each method in words what it shows and whether these maps can be believed."""
    from classlab.drawing.heat_maps import KEY
    from classlab.use.evidence import WORDS

    return [KEY] * bool(maps) + [f"{WORDS[found.method]}: {found.about()}; {found.check.sentence()}." for found in maps]


def _maps(sheet: Any, maps: "Sequence[Evidence]", index: int, x: int, y: int) -> None:
    """Draw below an answer what in the picture spoke for it, a method beside the other."""
    from PIL import Image

    from classlab.use.evidence import NOTHING, WORDS

    top = y + LINE + SIDE + GAP
    for column, found in enumerate(maps):
        left = x + GAP + column * (SIDE + GAP)
        picture = Image.fromarray(np.ascontiguousarray(found.picture(index).transpose(1, 2, 0)))
        picture = picture.resize((SIDE, max(1, round(SIDE * picture.height / picture.width))), Image.Resampling.NEAREST)
        picture.thumbnail((SIDE, SIDE))
        sheet.paste(picture, (left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2))
        text = f"{WORDS[found.method]}{f': {NOTHING}' if found.empty[index] else ''}"
        _write(sheet, (left, top + SIDE + 4), _shortened(text, SIDE, SMALL), FAINT, SMALL)


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

    text = text.replace("×", "x").replace("−", "-")  # which Pillow's font lacks
    ImageDraw.Draw(sheet).text(place, text, fill=colour, font=_font(size))

"""What a document is made of: plain data, a dataclass a kind of block. Who draws them (page.py, paper.py) decides how.

Text is plain text and never markup; values in tables are the numbers themselves and get their form when drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from classlab.drawing.palette import Palette

if TYPE_CHECKING:
    import altair

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Verdict:
    """The answer, in a word and a sentence."""

    tone: Tone
    word: str
    sentence: str


@dataclass(frozen=True)
class Number:
    """One figure with its name and, in small print, what belongs to it (an interval, a limit)."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Numbers:
    """A few figures side by side."""

    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Fact:
    """A name and what it stands for."""

    label: str
    value: str


@dataclass(frozen=True)
class Facts:
    """A list of names and what they stand for."""

    facts: tuple[Fact, ...]
    caption: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its heading and the form of its values.

    form: text; code (text in fixed width); figure (text that is mostly a number, set to the right); count (whole
    numbers, 1,234). Also number (`digits` decimals); percent (a fraction, as per cent with `digits` decimals); check
    (true or false, as kept or not kept).
    """

    label: str
    form: Literal["text", "code", "figure", "count", "number", "percent", "check"] = "text"
    digits: int = 2


@dataclass(frozen=True)
class Table:
    """Rows of values under headings; `total` is a last row set apart. None is shown as a dash."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Figure:
    """A chart. `draw` makes it in the colours of a palette; `description` says in words what it shows."""

    name: str
    caption: str
    description: str
    draw: "Callable[[Palette], altair.LayerChart | altair.Chart | altair.FacetChart]"


@dataclass(frozen=True)
class Figures:
    """Charts side by side where there is room."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Drawing:
    """A drawing of lines and words that is not a chart. `draw` gives its SVG text in the colours of a palette.

    top, row: where its first row begins and how tall each is; where it is taller than a page it is cut between rows
    (row 0: never). The SVG element opens with viewBox, width and height, in this order.
    """

    name: str
    caption: str
    draw: Callable[[Palette], str]
    top: int = 0
    row: int = 0


@dataclass(frozen=True)
class Picture:
    """One small image, uint8 (channels, height, width), with lines of words below it.

    line_tones: of each line where lines differ in it, seen in drawings.
    """

    image: np.ndarray
    description: str
    lines: tuple[str, ...] = ()
    tone: Tone = "plain"
    line_tones: tuple[Tone, ...] = ()


@dataclass(frozen=True)
class Pictures:
    """Small images side by side."""

    caption: str
    pictures: tuple[Picture, ...]
    name: str = "pictures"


@dataclass(frozen=True)
class Strip:
    """Images in a row, uint8 (count, channels, height, width), with what they show."""

    images: np.ndarray
    description: str


@dataclass(frozen=True)
class Strips:
    """A table of strips: a name at the head of each row, a heading over each column of strips."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Strip, ...]], ...]
    name: str = "strips"


@dataclass(frozen=True)
class Code:
    """Text in fixed width, to read or to copy."""

    text: str
    caption: str = ""


Block = Words | Heading | Verdict | Numbers | Facts | Table | Figures | Drawing | Pictures | Strips | Code


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A title, who it is by (name and value), and sections in order. mark: a warning that stands on every page."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    byline: tuple[Fact, ...] = ()
    footer: str = ""
    mark: str = ""

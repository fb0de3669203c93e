"""What a workbook's file holds: sheets, cells and defined names, read from its XML as it stands and nothing else of it.

Numbers are taken as they are stored, whatever format shows them (a date is its number of days). Merged cells, empty
cells, formats, pictures, charts and links cost nothing, for no object is made of any.
"""

import math
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from classlab import limits
from classlab.errors import UserError
from classlab.lesson.archive import Part, Parts
from classlab.lesson.formula import Address, Value, address_of, number_of
from classlab.plain_text import on_a_line

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384  # of a sheet
LONGEST_TEXT = 32_767  # characters in a cell
DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell holds: a typed value, or a formula with the value stored beside it (None where none is stored).

    A formula that is filled down may be stored once: then `stands_at` is the cell for which it is written.
    """

    value: Value
    formula: str | None = None
    stands_at: Address | None = None


@dataclass
class Contents:
    """The sheets' names in order, the cells that hold something, and the defined names: "name" or "sheet!name".

    `remarks` say what could not be read of the file.
    """

    sheets: list[str] = field(default_factory=list)
    cells: dict[Address, Cell] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read(parts: Parts) -> Contents:
    """Read a workbook. Raises UserError, in one sentence, for one that is broken or too large."""
    place = _workbook_part(parts)
    sheets, defined = _outline(parts, place)
    links = _links(parts, place)
    strings = next((_shared_strings(parts, part) for kind, part in links.values() if kind == "sharedStrings"), [])
    contents = Contents()
    unpacked: list[Part] = []  # all of them before any is read, so that too many are refused at once
    for title, link in sheets:
        kind, name = links.get(link, ("", ""))
        if kind == "worksheet" and name in parts:
            if title in contents.sheets:
                raise parts.twice(title)
            contents.sheets.append(title)
            unpacked.append(parts.unpack(name))
    for title, part in zip(contents.sheets, unpacked, strict=True):
        _read_cells(parts, part, title, strings, contents.cells)
    for name, sheet, meaning in defined:
        if meaning and sheet is None:
            contents.names[name.lower()] = meaning
        elif meaning and sheet is not None and sheet < len(sheets):
            contents.names[f"{sheets[sheet][0]}!{name.lower()}"] = meaning
    return contents


def _workbook_part(parts: Parts) -> str:
    """Return the name of the part that lists the sheets."""
    links = _links(parts, "") if "_rels/.rels" in parts else {}
    return next((part for kind, part in links.values() if kind == "officeDocument"), "xl/workbook.xml")


def _links(parts: Parts, source: str) -> dict[str, tuple[str, str]]:
    """Return where the links of a part lead, by their ids: what kind of part, and its name."""
    folder, name = posixpath.split(source)
    links: dict[str, tuple[str, str]] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
            links[attributes.get("Id", "")] = attributes.get("Type", "").rpartition("/")[2], target.lstrip("/")

    part = posixpath.join(folder, "_rels", f"{name}.rels")
    if part in parts:
        parts.walk(parts.unpack(part), start)
    return links


def _outline(parts: Parts, place: str) -> tuple[list[tuple[str, str]], list[tuple[str, int | None, str]]]:
    """Return the sheets as (title, link) and the defined names as (name, number of its sheet or None, meaning)."""
    sheets: list[tuple[str, str]] = []
    names: list[tuple[str, int | None, str]] = []
    text: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "sheet":
            link = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            sheets.append((attributes.get("name", ""), link))
            if len(sheets) > limits.WORKBOOK_SHEETS:
                raise UserError(
                    f"{parts.file} has more than {limits.WORKBOOK_SHEETS:,} sheets; at most that many are read"
                )
        elif tag == "definedName":
            text.clear()
            sheet = attributes.get("localSheetId")
            names.append((attributes.get("name", ""), None if sheet is None else _whole(sheet, len(DIGITS)), ""))
            if len(names) > limits.WORKBOOK_NAMES:
                most = limits.WORKBOOK_NAMES
                raise UserError(f"{parts.file} defines more than {most:,} names; at most that many are read")

    def end(tag: str) -> None:
        if tag == "definedName":
            names[-1] = (*names[-1][:2], "".join(text))

    parts.walk(parts.unpack(place), start, end, text.append)
    return sheets, names


def _shared_strings(parts: Parts, part: str) -> list[str]:
    """Return the texts that cells name by number. How a text is spoken (rPh) is no part of it."""
    texts: list[str] = []
    text: list[str] = []
    inside = {"t": 0, "rPh": 0}

    def start(tag: str, _: dict[str, str]) -> None:
        if tag == "si":
            text.clear()
        elif tag in inside:
            inside[tag] += 1

    def end(tag: str) -> None:
        if tag == "si":
            texts.append(_text(text))
        elif tag in inside:
            inside[tag] -= 1

    def hold(piece: str) -> None:
        if inside["t"] and not inside["rPh"]:
            text.append(piece)

    if part in parts:
        parts.walk(parts.unpack(part), start, end, hold)
    return texts


def _read_cells(parts: Parts, part: Part, sheet: str, strings: Sequence[str], cells: dict[Address, Cell]) -> None:
    """Add the cells of one sheet to `cells`. It reads attributes, formulas, values and texts."""
    place = _Position(parts)
    shared: dict[str, tuple[str, Address | None]] = {}
    cell: dict[str, str] | None = None  # the attributes of the cell that is open
    formula_is: dict[str, str] = {}
    formula = value = inline = ""
    pieces: list[str] | None = None  # of the text that is collected
    spoken = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal cell, formula, value, inline, pieces, spoken, formula_is
        if tag == "c":
            cell, formula_is, formula, value, inline = attributes, {}, "", "", ""
            place.go(attributes.get("r"))
        elif tag == "row":
            place.open_row(attributes.get("r"))
        elif cell is None:
            return
        elif tag == "v" or (tag == "t" and not spoken):
            pieces = []
        elif tag == "f":
            pieces, formula_is = [], attributes
        elif tag == "rPh":
            spoken = True

    def text(piece: str) -> None:
        if pieces is not None:
            pieces.append(piece)

    def end(tag: str) -> None:
        nonlocal cell, formula, value, inline, pieces, spoken
        if tag == "c" and cell is not None:
            at = address_of((sheet, place.row, place.column))
            held = _value(parts, cell.get("t"), inline or value, strings)
            written, stands_at = _formula(formula, formula_is, at, shared) if formula or formula_is else (None, None)
            cell = None
            if held is not None or written is not None:
                cells[at] = Cell(held, written, stands_at)
                if len(cells) > limits.WORKBOOK_CELLS:
                    most = limits.WORKBOOK_CELLS
                    raise UserError(f"{parts.file} has more than {most:,} cells; that is not a workbook of this lesson")
        elif tag == "rPh":
            spoken = False
        elif pieces is not None and tag in ("v", "f", "t"):
            collected, pieces = _text(pieces), None
            if tag == "v":
                value = collected
            elif tag == "f":
                formula = collected
            else:
                inline += collected

    parts.walk(part, start, end, text)


class _Position:
    """Where the cell stands whose XML is read. Rows and cells without an address follow those before them."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.row = self.column = 0
        self._row = ""  # as it is written
        self._columns: dict[str, int] = {}

    def open_row(self, written: str | None) -> None:
        """Go to the start of a row."""
        self._set_row(str(self.row + 1) if written is None else written)
        self.column = 0

    def go(self, written: str | None) -> None:
        """Go to a cell."""
        if written is None:
            self.column += 1
        else:
            name = written.rstrip(DIGITS)
            self.column = self._columns.get(name) or self._columns.setdefault(name, _column(name))
            if written[len(name) :] != self._row:
                self._set_row(written[len(name) :])
        if not 1 <= self.column <= LAST_COLUMN or not self.row:
            raise self.parts.unreadable(f"it names a cell {written!r:.40}")

    def _set_row(self, written: str) -> None:
        row = _whole(written, 7)
        if row is None or not 1 <= row <= LAST_ROW:
            raise self.parts.unreadable(f"it names a row {written!r:.40}")
        self.row, self._row = row, written


def _formula(
    text: str, attributes: dict[str, str], at: Address, shared: dict[str, tuple[str, Address | None]]
) -> tuple[str | None, Address | None]:
    """Return the formula of the cell `at`, and the cell for which it is written where that is another one."""
    kind, group = attributes.get("t"), attributes.get("si", "")
    if kind == "shared" and group in shared and "ref" not in attributes:
        return shared[group]
    if not text or kind == "dataTable":
        return None, None
    formula = text if text.startswith("=") else f"={text}"
    if kind == "shared":
        shared[group] = formula, at
    return formula, None


def _value(parts: Parts, kind: str | None, text: str, strings: Sequence[str]) -> Value:
    """Return a cell's value. One that is not a number although it says so stays the text that it is."""
    if not text:
        return None
    if kind is None or kind == "n":
        number = _number(text)
        return text if number is None else number
    if kind == "s":
        index = _whole(text, 9)
        if index is None or index >= len(strings):
            raise parts.unreadable(f"a cell names a text {on_a_line(text[:20])!r} that is not there")
        return strings[index] or None
    return text != "0" if kind == "b" else text


def _text(pieces: Sequence[str]) -> str:
    """Return the pieces as one text, as long as a cell can hold. Excel writes _x005F_ for a _ that it would misread."""
    text = "".join(pieces)[:LONGEST_TEXT]
    return text.replace("_x005F_", "_") if "_x005F_" in text else text


def _number(text: str) -> float | None:
    """Return a number, None for a text that is none: Python also reads 1_000, nan and inf, a spreadsheet does not."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _whole(text: str, digits: int) -> int | None:
    """Return a whole number from 0 of at most so many digits; None for another text."""
    plain = text.strip()
    return int(plain) if 0 < len(plain) <= digits and plain.isascii() and plain.isdigit() else None


def _column(name: str) -> int:
    """Return the number of a column, 0 for a text that names none."""
    return number_of(name) if 0 < len(name) <= 3 and name.isascii() and name.isalpha() else 0

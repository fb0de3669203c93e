"""What an OpenDocument spreadsheet (.ods) holds, read from its XML within the same limits as an .xlsx workbook.

Formulas are turned into those of .xlsx: of:=[.E36]-[$'LR 1'.$C$2] is =E36-'LR 1'!$C$2.
"""

import re

from classlab import limits
from classlab.errors import UserError
from classlab.lesson.archive import Parts
from classlab.lesson.formula import LONGEST_TEXT, Value, address_of
from classlab.lesson.functions import as_number
from classlab.lesson.xlsx import LAST_COLUMN, LAST_ROW, Cell, Contents

CONTENT = "content.xml"
_CORNER = r"(?:\$?('(?:[^']|'')+'|[^.':\[\]]+))?\.(\$?[A-Za-z]{1,3}\$?[0-9]{1,7})"
_QUOTED_OR_REFERENCE = re.compile(rf'"(?:[^"]|"")*"|\[{_CORNER}(?::{_CORNER})?\]')
_CELLS = ("table:table-cell", "table:covered-table-cell")
# What stands on a sheet and is no cell's text. The prefix of the root, office:, is left out of names of elements.
_ASIDE = ("annotation", "draw:frame", "table:shapes")


def read(parts: Parts) -> Contents:
    """Read a spreadsheet. Raises UserError, in one sentence, for one that is broken or too large."""
    reader = _Reader(parts)
    parts.walk(parts.unpack(CONTENT), reader.start, reader.end, reader.text)
    return reader.contents


class _Reader:
    """Follows the XML of a spreadsheet: where it is, and the cell that is open."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.contents = parts, Contents()
        self.row = self.column = 0
        self.cell: dict[str, str] | None = None
        self.rows_repeated = 1
        self.of_row: list[tuple[int, Cell]] = []
        self.pieces: list[str] = []
        self.aside = self.paragraphs = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        if tag in _ASIDE:
            self.aside += 1
        elif self.aside:
            return
        elif tag == "table:table":
            self._open_sheet(attributes.get("table:name", ""))
        elif tag == "table:table-row":
            self.column, self.of_row = 0, []
            self.rows_repeated = _repeated(attributes, "table:number-rows-repeated")
        elif tag in _CELLS:
            self.cell, self.pieces, self.paragraphs = attributes, [], 0
        elif tag == "text:p":
            self.pieces += ["\n"] if self.paragraphs else []
            self.paragraphs += 1
        elif tag in ("text:s", "text:tab", "text:line-break"):
            self.pieces.append("\n" if tag == "text:line-break" else " ")
        elif tag == "table:named-range" and len(self.contents.names) < limits.WORKBOOK_NAMES:
            meaning = _plain_formula(f"[{attributes.get('table:cell-range-address', '')}]")
            self.contents.names[attributes.get("table:name", "").lower()] = f"={meaning}"

    def end(self, tag: str) -> None:
        """Close an element."""
        if tag in _ASIDE:
            self.aside -= 1
        elif self.aside:
            return
        elif tag in _CELLS and self.cell is not None:
            self._close_cell(self.cell)
            self.cell = None
        elif tag == "table:table-row":
            self._close_row()

    def text(self, piece: str) -> None:
        """Take in text."""
        if self.cell is not None and self.paragraphs and not self.aside:
            self.pieces.append(piece)

    def _open_sheet(self, title: str) -> None:
        sheets = self.contents.sheets
        if title in sheets:
            raise self.parts.twice(title)
        sheets.append(title)
        if len(sheets) > limits.WORKBOOK_SHEETS:
            most = limits.WORKBOOK_SHEETS
            raise UserError(f"{self.parts.file} has more than {most:,} sheets; at most that many are read")
        self.row = 0

    def _close_cell(self, attributes: dict[str, str]) -> None:
        times = _repeated(attributes, "table:number-columns-repeated")
        value = _value(attributes, "".join(self.pieces)[:LONGEST_TEXT])
        formula = _plain_formula(attributes["table:formula"]) if "table:formula" in attributes else None
        if value is not None or formula is not None:
            self._check_place(self.row + 1, self.column + times, times * self.rows_repeated)
            self.of_row += [(self.column + number, Cell(value, formula)) for number in range(1, times + 1)]
        self.column += times

    def _close_row(self) -> None:
        if self.of_row and self.contents.sheets:
            self._check_place(self.row + self.rows_repeated, 1, len(self.of_row) * self.rows_repeated)
            for row in range(self.row + 1, self.row + self.rows_repeated + 1):
                for column, cell in self.of_row:
                    self.contents.cells[address_of((self.contents.sheets[-1], row, column))] = cell
        self.row += self.rows_repeated
        self.of_row = []

    def _check_place(self, row: int, column: int, more: int) -> None:
        """Raise UserError for a cell outside a sheet, or for one cell more than is read."""
        if row > LAST_ROW or column > LAST_COLUMN:
            raise self.parts.unreadable("it has cells outside of a sheet")
        if len(self.contents.cells) + len(self.of_row) + more > limits.WORKBOOK_CELLS:
            most = limits.WORKBOOK_CELLS
            raise UserError(f"{self.parts.file} has more than {most:,} cells; that is not a workbook of this lesson")


def _repeated(attributes: dict[str, str], name: str) -> int:
    """Return how often a row or a cell is repeated; 1 for what is not such a number."""
    written = attributes.get(name, "1")
    return max(1, int(written)) if len(written) <= 7 and written.isascii() and written.isdigit() else 1


def _value(attributes: dict[str, str], text: str) -> Value:
    """Return a cell's value: a number as it is stored, however it is shown, a truth value or a text."""
    kind = attributes.get("office:value-type") or attributes.get("calcext:value-type")
    if kind in ("float", "percentage", "currency"):
        written = attributes.get("office:value", "")
        number = as_number(written)
        return written or None if number is None else number
    if kind == "boolean":
        return attributes.get("office:boolean-value") == "true"
    return attributes.get("office:string-value", text)[:LONGEST_TEXT] or None


def _plain_formula(written: str) -> str:
    """Return a formula as .xlsx has it. What is no reference of this kind stays, and is then unknown."""

    def plain(match: re.Match[str]) -> str:
        sheet, first, _, last = match.groups()
        if first is None:
            return match[0]
        return (f"{sheet}!" if sheet else "") + first + (f":{last}" if last else "")

    return _QUOTED_OR_REFERENCE.sub(plain, re.sub(r"^(?:of|oooc|msoxl):(?==)", "", written))

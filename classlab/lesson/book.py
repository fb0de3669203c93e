"""Somebody's workbook, read with suspicion: sizes first, no macros, no links, every formula calculated by ourselves."""

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classlab.errors import UserError
from classlab.lesson import formula as formulas
from classlab.lesson.formula import Address, Unknown, Value
from classlab.lesson.functions import FormulaError, as_number

MOST_BYTES = 40_000_000
MOST_PARTS = 3000
MOST_CELLS = 400_000


@dataclass(frozen=True)
class Cell:
    """What a cell holds: a typed value, or a formula with the value stored beside it (None where none is stored)."""

    value: Value
    formula: str | None = None


@dataclass
class Book:
    """The cells of all sheets by address, and the defined names. Ask `value` for a cell's value."""

    sheets: list[str]
    cells: dict[Address, Cell]
    names: dict[str, str]
    trees: dict[tuple[Any, ...], formulas.Node | Unknown] = field(default_factory=dict)
    values: dict[Address, "Value | FormulaError"] = field(default_factory=dict)

    def tree(self, address: Address) -> formulas.Node | None:
        """Return the tree of the formula in a cell, None where there is no formula that we calculate."""
        cell = self.cells.get(address)
        if cell is None or cell.formula is None:
            return None
        try:
            return self._parsed(cell.formula, address)
        except Unknown:
            return None

    def value(self, address: Address) -> "Value | FormulaError":
        """Return a cell's value; a formula's is calculated, or the stored one where we do not know how.

        Needs no recursion, so that a column of ten thousand rows is no deeper than one of ten.
        """
        waiting = [address]
        while waiting:
            current = waiting[-1]
            if current in self.values:
                waiting.pop()
                continue
            try:
                self.values[current] = self._calculated(current)
            except _Needs as needed:
                if needed.address in waiting:
                    self.values[current] = FormulaError("a circle: the formula needs its own value")
                else:
                    waiting.append(needed.address)
        return self.values[address]

    def number(self, address: Address) -> float | None:
        """Return a cell's value as a number, also one typed as text ("0.5", "0,5"); None where it holds none."""
        value = self.value(address)
        if isinstance(value, bool) or value is None or isinstance(value, FormulaError):
            return None
        return float(value) if isinstance(value, int | float) else as_number(value)

    def defined(self, name: str, sheet: str) -> formulas.Node:
        """Return what a defined name means on a sheet. Raises FormulaError for a name that is not defined."""
        plain = name.rpartition("!")[2].lower()
        owner = name.rpartition("!")[0].strip("'") or sheet
        written = self.names.get(f"{owner}!{plain}") or self.names.get(plain)
        if written is None:
            raise FormulaError("#NAME?")
        return self._parsed(written, Address(sheet, 1, 1))

    def by_row(self) -> Iterator[tuple[Address, Cell]]:
        """Yield all cells, sheet by sheet, row by row."""
        yield from sorted(self.cells.items(), key=lambda item: (self.sheets.index(item[0].sheet), item[0]))

    def _parsed(self, written: str, base: Address) -> formulas.Node:
        found = formulas.tokens(written, base)
        if found not in self.trees:
            try:
                self.trees[found] = formulas.parse(found)
            except Unknown as unknown:
                self.trees[found] = unknown
        tree = self.trees[found]
        if isinstance(tree, Unknown):
            raise tree
        return tree

    def _calculated(self, address: Address) -> "Value | FormulaError":
        cell = self.cells.get(address)
        if cell is None:
            return None
        if cell.formula is None:
            return cell.value
        try:
            tree = self._parsed(cell.formula, address)
            return formulas.calculate(tree, address, self._ready, lambda name: self.defined(name, address.sheet))
        except FormulaError as error:
            return error
        except Unknown:
            return cell.value if cell.value is not None else FormulaError(NOT_CALCULATED)

    def _ready(self, address: Address) -> Value:
        if address not in self.values:
            raise _Needs(address)
        value = self.values[address]
        if isinstance(value, FormulaError):
            raise value
        return value


NOT_CALCULATED = "a formula that is not calculated here"


class _Needs(Exception):
    """Another cell has to be calculated first."""

    def __init__(self, address: Address) -> None:
        super().__init__(str(address))
        self.address = address


def read(file: Path) -> Book:
    """Read a workbook. Raises UserError, in one sentence, for a file that is missing, broken, hostile or too large."""
    _look_before(file)
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            written = openpyxl.load_workbook(file, keep_links=False)
            stored = openpyxl.load_workbook(file, keep_links=False, data_only=True)
    except Exception as error:  # a broken file may fail anywhere inside the reader
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{file} cannot be read as an .xlsx workbook: {reason}") from None
    cells: dict[Address, Cell] = {}
    for sheet in written.worksheets:
        values = stored[sheet.title]._cells
        # The cells that exist: the bounding box of a hostile sheet has seventeen thousand million.
        for (row, column), cell in sheet._cells.items():
            found = _cell(cell.value, values[row, column].value if (row, column) in values else None)
            if found:
                cells[Address(sheet.title, row, column)] = found
        if len(cells) > MOST_CELLS:
            raise UserError(f"{file} has more than {MOST_CELLS:,} cells; that is no workbook of this lesson")
    names = {name.lower(): str(one.attr_text) for name, one in written.defined_names.items() if one.attr_text}
    for sheet in written.worksheets:
        names |= {f"{sheet.title}!{name.lower()}": str(one.attr_text) for name, one in sheet.defined_names.items()}
    return Book([sheet.title for sheet in written.worksheets], cells, names)


def _cell(written: Any, stored: Any) -> Cell | None:
    """Return our own cell for what openpyxl gives: a value, a formula as text, an array formula as an object."""
    text = getattr(written, "text", written)
    if isinstance(text, str) and text.startswith("=") and len(text) > 1:
        return Cell(_value(stored), text)
    value = _value(written)
    return None if value is None else Cell(value)


def _value(value: Any) -> Value:
    if isinstance(value, bool | str):
        return value if value != "" else None
    if isinstance(value, int | float):
        return float(value)
    return None if value is None else str(value)


def _look_before(file: Path) -> None:
    """Refuse what is no workbook, or one made to harm, before any of it is read in earnest."""
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise UserError(f"{file} is an old .xls file or locked with a password; save it as .xlsx without one")
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            written = [part for part in parts if part.filename.lower().endswith((".xml", ".rels", ".vml"))]
            sizes = sum(part.file_size for part in written), sum(part.file_size for part in parts) / 5
            if len(parts) > MOST_PARTS or max(sizes) > MOST_BYTES:
                raise UserError(f"{file} unpacks to more than {MOST_BYTES:,} bytes; that is no workbook of this lesson")
            if "[Content_Types].xml" not in archive.namelist():
                raise UserError(f"{file} is not an .xlsx workbook")
            for part in written:
                text = archive.read(part)
                if any(word in text for word in DECLARATIONS):
                    raise UserError(f"{file} declares entities of its own, which no spreadsheet does; it is not read")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        raise UserError(f"{file} is not an .xlsx workbook, or is damaged") from None


DECLARATIONS = [
    word.encode(encoding) for word in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le", "utf-16-be")
]

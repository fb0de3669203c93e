"""Somebody's workbook as the check asks for it: what each cell holds, every formula calculated by ourselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from classlab import limits
from classlab.lesson import formula as formulas
from classlab.lesson import workbook_file
from classlab.lesson.formula import Address, CellsNeeded, Formula, Pattern, Place, Token, Value
from classlab.lesson.functions import FormulaError, UnknownFormula, as_number
from classlab.lesson.meter import Meter, WorkSpent
from classlab.lesson.xlsx import Cell

NOT_CALCULATED = "a formula that is not calculated here"
CIRCLE = "a circle: the formula needs its own value"
STEPS_PER_TOKEN = 24  # that reading a formula takes
STEPS_PER_DETOUR = 10  # by a cell that has to be calculated first
STEPS_PER_CELL = 18  # that a cell takes which is read, and looked at a few times
Result = Value | FormulaError


@dataclass
class Book:
    """The cells of all sheets by address, and the defined names. Ask `value` for a cell's value.

    `title` is the file's name without its ending, `remarks` what could not be read of it. `meter` counts the work of
    all formulas together; `dropped` are the cells whose formulas it did not allow.
    """

    sheets: list[str]
    cells: dict[Address, Cell]
    names: dict[str, str]
    title: str = ""
    remarks: Sequence[str] = ()
    values: dict[Address, Result] = field(default_factory=dict)
    meter: Meter = field(default_factory=lambda: Meter(limits.WORKBOOK_STEPS))
    dropped: dict[Address, None] = field(default_factory=dict)
    # None stands for a formula that we do not calculate.
    _by_tokens: dict[tuple[Token, ...], Formula | None] = field(default_factory=dict)
    _by_address: dict[Address, Formula | None] = field(default_factory=dict)
    _above: dict[tuple[str, int], tuple[Pattern, Formula | None]] = field(default_factory=dict)
    _meanings: dict[tuple[str, str], Formula | None] = field(default_factory=dict)
    _cells_by_sheet: dict[str, list[tuple[Address, Cell]]] = field(default_factory=dict)

    @cached_property
    def _place(self) -> Place:
        """Where formulas are calculated: one place, moved from cell to cell."""
        return Place(Address("", 1, 1), self._ready, self.defined, self.meter.spend)

    def formula(self, address: Address) -> Formula | None:
        """Return the formula in a cell, None where there is none that we calculate."""
        if address in self._by_address:
            return self._by_address[address]
        cell = self.cells.get(address)
        if cell is None or cell.formula is None:
            return None
        try:
            formula = self._read(cell.formula, cell.stands_at or address) if self.meter.left else None
        except WorkSpent:
            formula = None
        if not self.meter.left:
            self.dropped[address] = None
        self._by_address[address] = formula
        return formula

    def tree(self, address: Address) -> formulas.Node | None:
        """Return the tree of the formula in a cell, None where there is no formula that we calculate."""
        formula = self.formula(address)
        return None if formula is None else formula.tree

    def written(self, address: Address) -> str | None:
        """Return the formula in a cell as it is written, None for none."""
        cell = self.cells.get(address)
        if cell is None or cell.formula is None or cell.stands_at is None:
            return None if cell is None else cell.formula
        try:
            return formulas.moved(cell.formula, cell.stands_at, address)
        except UnknownFormula:
            return cell.formula

    def value(self, address: Address) -> Result:
        """Return a cell's value; a formula's is calculated, or the stored one where we do not know how."""
        cell = self.cells.get(address)
        if cell is None or cell.formula is None:
            return None if cell is None else cell.value
        return self.values[address] if address in self.values else settle(address, self.values, self._calculated)

    def number(self, address: Address) -> float | None:
        """Return a cell's value as a number, also one typed as text ("0.5", "0,5"); None where it holds none."""
        value = self.value(address)
        if type(value) is float:
            return value
        if isinstance(value, str):
            return as_number(value)
        return float(value) if type(value) is int else None

    def defined(self, name: str, sheet: str) -> Formula:
        """Return what a defined name means on a sheet.

        Raises FormulaError where none is defined, UnknownFormula and WorkSpent.
        """
        if (name, sheet) not in self._meanings:
            plain = name.rpartition("!")[2].lower()
            owner = name.rpartition("!")[0].strip("'") or sheet
            written = self.names.get(f"{owner}!{plain}") or self.names.get(plain)
            if written is None:
                raise FormulaError("#NAME?")
            self._meanings[name, sheet] = self._read(written, Address(sheet, 1, 1))
        meaning = self._meanings[name, sheet]
        if meaning is None:
            raise UnknownFormula(name)
        return meaning

    def cells_of(self, sheet: str) -> list[tuple[Address, Cell]]:
        """Return a sheet's cells, row by row."""
        if not self._cells_by_sheet:
            self._cells_by_sheet = {name: [] for name in self.sheets}
            for item in sorted(self.cells.items()):  # an address comes once, so that no two cells are compared
                self._cells_by_sheet[item[0].sheet].append(item)
        return self._cells_by_sheet[sheet]

    def _read(self, written: str, base: Address) -> Formula | None:
        """Return a formula, read now or before: that of another row, filled down, is the same one. Raises WorkSpent."""
        column = base.sheet, base.column
        above = self._above.get(column)
        if above is None or above[0].at(base.row) != written:
            self.meter.spend(10 + 3 * len(written))
            try:
                tokens, pattern = formulas.scan(written, base)
            except UnknownFormula:
                return None
            if tokens not in self._by_tokens:
                self.meter.spend(STEPS_PER_TOKEN * len(tokens))
                self._by_tokens[tokens] = _parsed(tokens)
            self._above[column] = above = pattern, self._by_tokens[tokens]
        return above[1]

    def _calculated(self, address: Address) -> Result:
        formula = self.formula(address)
        try:
            if formula is not None:
                self._place.base = address
                return formulas.calculate(formula, self._place)
        except FormulaError as error:
            return FormulaError(str(error))  # a new one: an error that was raised holds on to all that it went through
        except UnknownFormula:
            pass
        except WorkSpent:
            self.dropped[address] = None
        stored = self.cells[address].value
        return FormulaError(NOT_CALCULATED) if stored is None or address in self.dropped else stored

    def _ready(self, address: Address) -> Value:
        """Return a cell's value, if it is known. Raises CellsNeeded, and FormulaError for a cell with an error."""
        if address in self.values:
            value = self.values[address]
            if isinstance(value, Exception):
                raise FormulaError(str(value))
            return value
        cell = self.cells.get(address)
        if cell is None or cell.formula is None:
            return None if cell is None else cell.value
        self.meter.spend(STEPS_PER_DETOUR)
        raise CellsNeeded(address)


def settle(address: Address, values: dict[Address, Any], work: Callable[[Address], Any]) -> Any:
    """Return the value of a cell; `work` calculates one, or raises CellsNeeded, and the values are kept in `values`.

    Needs no recursion, so that a column of ten thousand rows is no deeper than one of ten.
    """
    try:
        values[address] = work(address)
        return values[address]
    except CellsNeeded as needed:
        waiting, begun = [address, *needed.addresses], {address}
    while waiting:
        current = waiting[-1]
        if current not in values:
            try:
                values[current] = work(current)
            except CellsNeeded as needed:
                begun.add(current)
                if begun.isdisjoint(needed.addresses):
                    waiting.extend(needed.addresses)
                    continue
                values[current] = FormulaError(CIRCLE)
        waiting.pop()
    return values[address]


def read(file: Path) -> Book:
    """Read a workbook. Raises UserError, in one sentence, for a file that is missing, broken, hostile or too large."""
    contents = workbook_file.read(file)
    book = Book(contents.sheets, contents.cells, contents.names, file.stem, contents.remarks)
    book.meter.spend(STEPS_PER_CELL * len(book.cells))
    return book


def _parsed(tokens: tuple[Token, ...]) -> Formula | None:
    try:
        return formulas.formula_of(tokens)
    except UnknownFormula:
        return None

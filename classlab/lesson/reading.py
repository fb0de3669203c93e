"""A table read as a network: what its cells hold, what they should hold, and how far rounding may part the two."""

import math
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from classlab.lesson.book import Book, Cell
from classlab.lesson.book_tables import Key, Table, WrittenNumber
from classlab.lesson.expression import (
    Computed,
    Expression,
    Name,
    compiled,
    differential,
    evaluate,
    minus,
    multiply,
    size,
)
from classlab.lesson.formula import Address, Formula
from classlab.lesson.meter import Meter
from classlab.lesson.quantities import RATE, TOTAL, Quantity, Shape, parameters, quantities, update

RELATIVE, ABSOLUTE = 1e-9, 1e-13
ENOUGH = 3  # numbers of a column show to how many digits it is rounded
ALL_DIGITS = 17  # a number with as many is not rounded
MOST_LOOKED_AT = 2_000  # numbers of a column, to see whether they are of 32 bits
EXACT = 1e-14  # a number that is rounded by a smaller share of itself has all its digits
SINGLE = 2.0**-22  # how far a number of 32 bits may be from the right one, as a share of it: two steps


class MissingQuantity(Exception):
    """A quantity that the table neither holds nor allows to compute."""


class BrokenQuantity(MissingQuantity):
    """A quantity whose cell holds no number (an error, a text), so that nothing can be computed from it."""


@dataclass(frozen=True)
class HeldColumn:
    """What a column holds, row by row: its cells, None where nothing stands, their numbers, the formulas we know."""

    cells: list[Cell | None]
    numbers: list[float | None]
    known: list[Formula | None]

    @cached_property
    def count(self) -> int:
        """How many cells hold something."""
        return len(self.cells) - self.cells.count(None)

    @cached_property
    def formulas(self) -> list[bool]:
        """Which cells hold formulas."""
        return [cell is not None and cell.formula is not None for cell in self.cells]

    @cached_property
    def typed(self) -> bool:
        """Whether there is no formula in the column."""
        return not any(self.formulas)

    @cached_property
    def from_above(self) -> list[float | None]:
        """The numbers, each taken from the cells above where a cell has none."""
        filled: list[float | None] = []
        for number in self.numbers:
            filled.append(filled[-1] if number is None and filled else number)
        return filled

    @cached_property
    def array(self) -> np.ndarray:
        """The numbers as float64, (rows,); not a number where a cell has none."""
        return np.array(self.numbers, np.float64)


def held(book: Book, table: Table) -> dict[str, HeldColumn]:
    """Return what each column of a table holds. Formulas are calculated row by row, as they follow from each other."""
    columns = {name: HeldColumn([], [], []) for name in table.columns}
    for address, (name, _) in table.places():
        column, cell = columns[name], book.cells.get(address)
        column.cells.append(cell)
        column.numbers.append(None if cell is None else book.number(address))
        column.known.append(None if cell is None or cell.formula is None else book.formula(address))
    return columns


Digits = tuple[int, int]  # decimals, significant figures


@dataclass(frozen=True)
class RoundedColumns:
    """How typed columns are rounded: most decimals and most significant figures, and which hold numbers of 32 bits.

    `by_display` has them separately for the numbers of a column that a spreadsheet shows with as many digits. Numbers
    pasted as displayed have fewer where a sign, an exponent or more digits before the point take room. `rows` were
    pasted as a whole into columns that hold formulas otherwise.
    """

    digits: Mapping[str, Digits] = field(default_factory=dict)
    by_display: Mapping[tuple[str, int], Digits] = field(default_factory=dict)
    single: frozenset[str] = frozenset()
    rows: frozenset[int] = frozenset()


@dataclass
class Reading:
    """A table as a network. `held` is what its columns hold, `rounded` how.

    `rate` is the learning rate to hold updates against, `rate_at` where it stands, `written` all rates of the sheet.
    `constants` are inputs and targets that are not in the table, `beside` where they stand, `taken` the remark if they
    stand nowhere. `meter` counts the work.
    """

    book: Book
    table: Table
    held: Mapping[str, HeldColumn]
    shape: Shape
    meter: Meter
    written: Sequence[WrittenNumber] = ()
    rounded: RoundedColumns = field(default_factory=RoundedColumns)
    rate: float | None = None
    rate_at: WrittenNumber | None = None
    constants: dict[str, float] = field(default_factory=dict)
    beside: dict[Address, str] = field(default_factory=dict)
    taken: str = ""
    scaled: bool = False
    allowed: dict[Key, float] = field(default_factory=dict)
    trials: dict[tuple[int, bool], dict[Address, Any]] = field(default_factory=dict)
    _random: dict[tuple[int, int, bool], dict[str, float]] = field(default_factory=dict)

    @cached_property
    def quantities(self) -> Mapping[str, Quantity]:
        """All quantities of the recognised network, by name."""
        return quantities(self.shape)

    @cached_property
    def parameters(self) -> Collection[str]:
        """The names of all weights and biases."""
        return parameters(self.shape)

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """The formula of every name that is computed from its row, or, for parameters, from the row before."""
        formulas = {name: q.expression for name, q in self.quantities.items() if q.expression is not None}
        for name in self.parameters:
            new, gradient = f"new {name}", f"∂E/∂{name}"
            row = 0 if new in self.table.columns else -1
            formulas[name] = Name(new, -1) if row == 0 else update(name)
            if self.scaled:
                formulas[gradient] = multiply(Name(RATE), formulas[gradient])
            if row == 0 or self.scaled:
                step = Name(gradient, row) if self.scaled else multiply(Name(RATE), Name(gradient))
                formulas[new if row == 0 else name] = minus(Name(name, row), step)
        return formulas

    @cached_property
    def order(self) -> list[str]:
        """The table's known columns in the order in which they are computed; links (∂a_o1/∂o1) before gradients."""
        computed = list(self.quantities)
        new = [f"new {name}" for name in self.parameters]
        links = [name for name in self.table.columns if self.link(name)]
        first = next(index for index, name in enumerate(computed) if name.startswith("∂"))
        return [name for name in computed[:first] + links + computed[first:] + new if name in self.table.columns]

    @cached_property
    def costs(self) -> dict[str, int]:
        """How many steps it takes to compute each name."""
        return {name: 4 + 2 * size(expression) for name, expression in self.expressions.items()}

    def number(self, name: str, row: int) -> float | None:
        """Return what the table holds. Inputs and targets may be given once, at the top or beside the table."""
        column = self._numbers.get(name)
        if column is None:
            return self.constants.get(name) if self.is_given(name) else None
        return column[row] if 0 <= row < len(column) else None

    @cached_property
    def _numbers(self) -> dict[str, list[float | None]]:
        return {
            name: column.from_above if self.is_given(name) else column.numbers for name, column in self.held.items()
        }

    @cached_property
    def _computed(self) -> dict[str, Computed]:
        return {name: compiled(expression) for name, expression in self.expressions.items()}

    def is_given(self, name: str) -> bool:
        """Say whether a name is an input or a target of the network."""
        return name in self.quantities and self.quantities[name].kind in ("input", "target")

    def link(self, name: str) -> tuple[str, str] | None:
        """Return (above, below) for a derivative that is not a quantity of the derivation: ∂a_o1/∂o1, ∂E/∂a_h1."""
        if not name.startswith("∂") or name in self.quantities:
            return None
        above, _, below = name[1:].partition("/∂")
        above = TOTAL if above == "E" else above
        return (above, below) if above in self.quantities and below in self.quantities else None

    def expected(
        self, name: str, row: int, instead: Mapping[Key, float] | None = None, used: set[Key] | None = None
    ) -> float:
        """Return what a cell should hold, from the other cells of its row and the row before.

        `instead` replaces cells; `used` collects those that were read. Raises MissingQuantity. With cells replaced it
        returns NaN instead: what comes before the missing quantity may have been no number, and is one then.
        """
        values = _Values(self, instead or {}, set() if used is None else used)
        try:
            return self.compute(name, row, values.value)
        except MissingQuantity:
            if instead:
                return math.nan
            raise

    def compute(self, name: str, row: int, value: Callable[[str, int], float]) -> float:
        """Return the name's formula, or its link, evaluated with values from `value`."""

        def lookup(inner: Name) -> float:
            # An update takes the rate of the row whose gradient it takes, where each row has its own.
            return value(inner.name, row + (-1 if inner.name == RATE and name in self.parameters else inner.row))

        link = self.link(name)
        self.meter.spend(self._link_cost if link else self.costs[name])
        try:
            if link:
                return self._link(link[0], link[1], lambda inner: value(inner.name, row))
            return self._computed[name](lookup)
        except (ZeroDivisionError, OverflowError, ValueError):
            return math.nan

    @cached_property
    def _link_cost(self) -> int:
        """How many steps a link takes: it may lead through the whole network, deriving each product by each factor."""
        return 3 * sum(self.costs.values())

    def _link(self, above: str, below: str, value: Callable[[Name], float]) -> float:
        return _Changes(self.quantities, value, {below: 1.0}).change(Name(above))

    def tolerance(self, name: str, row: int, expected: float) -> float:
        """Return how far a cell may be from what it should hold: by rounding, if its column is typed rounded."""
        plain = ABSOLUTE + RELATIVE * abs(expected)
        if self.held[name].formulas[row]:
            return plain
        if (name, row) not in self.allowed:
            self.allowed[name, row] = self._allowed(name, row)
        return plain + self.allowed[name, row]

    def _allowed(self, name: str, row: int) -> float:
        """Return how far rounding may move a cell: its own, and that of each cell that it follows from."""
        used: set[Key] = set()
        centre = self.expected(name, row, used=used)
        allowed = self.rounding(name, row)
        for key in used:
            half = self.rounding(*key) if key[1] >= 0 else 0.0
            number = self.number(*key) if half else None
            if number is not None:
                allowed += abs(self.expected(name, row, {key: number + half}) - centre)
        return allowed

    def rounding(self, name: str, row: int) -> float:
        """Return half of the last digit of a typed number, as its whole column is typed; 0 for formulas and givens."""
        return float(self.roundings[name][row]) if name in self.roundings and self.held[name].cells[row] else 0.0

    @cached_property
    def roundings(self) -> dict[str, np.ndarray]:
        """What `rounding` returns, for whole columns that are rounded: float64, (rows,)."""
        return {name: self._roundings(name) for name in self.rounded.digits}

    def _roundings(self, name: str) -> np.ndarray:
        column, digits = self.held[name], self.rounded.digits[name]
        numbers = np.nan_to_num(column.array)
        codes, half = displays(numbers), np.zeros(len(numbers))
        with np.errstate(all="ignore"):
            magnitudes = np.floor(np.log10(np.abs(numbers))) + 1
        for code in np.unique(codes):
            decimals, figures = self.rounded.by_display.get((name, int(code)), digits)
            by_figures = np.where(numbers == 0, 0.0, 10.0 ** (magnitudes - figures))
            half = np.where(codes == code, 0.505 * np.maximum(10.0**-decimals, by_figures), half)
        half = half + SINGLE * np.abs(numbers) if name in self.rounded.single else half
        typed = np.array([cell is not None and cell.formula is None for cell in column.cells])
        if not column.typed:
            typed &= np.isin(np.arange(len(typed)), list(self.rounded.rows))
        # The first row of a parameter is where training starts: it is stated there, not rounded from anything.
        if self.kind(name) == "parameter":
            typed[0] = False
        return np.where(typed & (half > EXACT * np.abs(numbers)), half, 0.0)

    def kind(self, name: str) -> str:
        """What is rounded alike has one kind."""
        kind = self.quantities[name].kind if name in self.quantities else "link"
        alike = {"input": "given", "target": "given", "weight": "parameter", "bias": "parameter", "total": "error"}
        return "given" if name == RATE else "new" if name.startswith("new ") else alike.get(kind, kind)

    def agrees(self, name: str, row: int, expected: float) -> bool:
        """Say whether the cell holds what it should."""
        number = self.number(name, row)
        if number is None or not math.isfinite(expected):
            return False
        apart = abs(number - expected)
        return apart <= ABSOLUTE + RELATIVE * abs(expected) or apart <= self.tolerance(name, row, expected)

    def random_row(self, seed: int, row: int, free: bool = False) -> dict[str, float]:
        """Return a row of the same network with other weights, everything in it right: what formulas are tried on.

        Inputs, targets and the rate stay, because formulas may hold them as plain numbers; unless `free`, then they are
        drawn too, so that no two quantities are equal by chance.
        """
        if (seed, row, free) in self._random:
            return self._random[seed, row, free]
        self.meter.spend(self._link_cost)
        generator = np.random.default_rng([seed, row + 100_000])
        common = np.random.default_rng(seed)  # inputs, targets and the rate are the same in every row
        fixed = {
            name: float(common.uniform(0.1, 0.9))
            for name in [RATE, *self.quantities]
            if name[0] in "it" or name == RATE
        }
        if not free:
            fixed[RATE] = (self.number(RATE, row) if row >= 0 else None) or self.rate or 0.7
            fixed |= {name: kept for name in fixed if (kept := self.number(name, max(row, 0))) is not None}
        values = {RATE: fixed[RATE]}
        for name, quantity in self.quantities.items():
            expression = self.expressions[name] if quantity.expression is not None else None
            drawn = float(generator.uniform(0.2, 1.0) * generator.choice([-1, 1, 1]))
            if expression is None:
                values[name] = fixed.get(name, drawn)
            else:
                values[name] = _or_nan(evaluate, expression, lambda inner: values[inner.name])
        for name in self.table.columns:
            link = self.link(name)
            if link:
                self.meter.spend(self._link_cost)
                values[name] = _or_nan(self._link, *link, lambda inner: values[inner.name])
            elif name.startswith("new "):
                old = name.removeprefix("new ")
                if old in values and f"∂E/∂{old}" in values:
                    values[name] = values[old] - (1 if self.scaled else values[RATE]) * values[f"∂E/∂{old}"]
        self._random[seed, row, free] = values
        return values


class _Values:
    """The values that one cell's formula reads: those of other cells, or computed where there is no such column.

    A class, for a function that calls itself by way of others is garbage that only a search for it finds.
    """

    def __init__(self, reading: Reading, instead: Mapping[Key, float], used: set[Key]) -> None:
        self.reading, self.instead, self.used = reading, instead, used
        self.derived: dict[Key, float] = {}

    def value(self, name: str, row: int) -> float:
        """Return the value of a name in a row. Raises MissingQuantity."""
        reading, key = self.reading, (name, row)
        self.used.add(key)
        number = self.instead[key] if key in self.instead else reading.number(name, row)
        if number is not None:
            return number
        if name == RATE:
            if reading.rate is None:
                raise MissingQuantity(RATE)
            return reading.rate
        if name in reading.held and reading.held[name].cells[max(row, 0)] is not None:
            raise BrokenQuantity(name)
        if name not in reading.expressions or name in reading.parameters:
            raise MissingQuantity(name)
        if key not in self.derived:
            self.derived[key] = reading.compute(name, row, self.value)
        return self.derived[key]


class _Changes:
    """How much each quantity changes with one of them, by the chain rule; `known` starts with that one's 1."""

    def __init__(
        self, quantities: Mapping[str, Quantity], value: Callable[[Name], float], known: dict[str, float]
    ) -> None:
        self.quantities, self.value, self.known = quantities, value, known

    def change(self, name: Name) -> float:
        """Return how much a quantity changes."""
        if name.name not in self.known:
            expression = self.quantities[name.name].expression
            change = differential(expression, self.value, self.change) if expression is not None else 0.0
            self.known[name.name] = change
        return self.known[name.name]


def displays(numbers: np.ndarray) -> np.ndarray:
    """Return a code for each number, float64 to int64, equal where a spreadsheet's column shows as many decimals.

    A number below 0.0001 is shown with an exponent, a sign and each further digit before the point take a place.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.nan_to_num(np.floor(np.log10(np.abs(numbers))), nan=0.0, neginf=0.0)
    return (2 * np.where(exponents < -4, -1, np.clip(exponents, 0, None)) + (numbers < 0)).astype(np.int64)


def rounded(reading: Reading) -> RoundedColumns:
    """Return how the typed columns of a table are rounded.

    A column with too few numbers to show it has at least the digits usual among its kind (gradients, …), or among all.
    """
    rows = _pasted_rows(reading)
    typed = _typed(reading, rows)
    by_display: dict[tuple[str, int], list[float]] = {}
    for name, numbers in typed.items():
        for number, code in zip(numbers, displays(np.array(numbers, np.float64)).tolist(), strict=True):
            by_display.setdefault((name, code), []).append(number)
    digits = _digits(typed, {name: (reading.kind(name), "") for name in typed})
    apart = _digits(by_display, {(name, code): (reading.kind(name), code) for name, code in by_display})
    # A number with an exponent is shown with two or three figures, and may be the only one.
    for key in by_display.keys() - apart.keys():
        if key[1] < 0:
            decimals, figures = _most_digits(by_display[key])
            apart[key] = decimals + max(2 - figures, 0), max(figures, 2)
    single = {name for name, numbers in typed.items() if numbers and all(map(_is_single, numbers[:MOST_LOOKED_AT]))}
    return RoundedColumns(digits, apart, frozenset(single), rows)


def _pasted_rows(reading: Reading) -> frozenset[int]:
    """Return the rows in which most cells are numbers although most of their columns hold formulas."""
    computed = [column for name, column in reading.held.items() if reading.kind(name) != "given" and not column.typed]
    if not computed:
        return frozenset()
    typed = np.array([[not f and n is not None for f, n in zip(c.formulas, c.numbers, strict=True)] for c in computed])
    return frozenset(np.flatnonzero(typed.mean(axis=0) > 0.6).tolist())


def _typed(reading: Reading, rows: Collection[int]) -> dict[str, list[float]]:
    """Return the computed numbers, but for zeros, that are typed: of columns without formulas, and of pasted rows."""
    numbers: dict[str, list[float]] = {}
    for name, column in reading.held.items():
        kind = reading.kind(name)
        if kind != "given" and (column.typed or rows):
            computed = list(enumerate(column.numbers))[1 if kind == "parameter" else 0 :]
            numbers[name] = [number for row, number in computed if number and (column.typed or row in rows)]
    return numbers


def _digits(typed: Mapping[Any, list[float]], alike: Mapping[Any, tuple[str, object]]) -> dict[Any, Digits]:
    """Return the digits of each group of numbers; one with too few has those usual among the groups like it, or all."""
    counted = {key: _most_digits(set(numbers)) for key, numbers in typed.items() if numbers}

    def usual(keys: Collection[Any]) -> Digits | None:
        """Return the digits usual among some groups; None where even these have too few numbers to show it."""
        if sum(len(typed[key]) for key in keys) < ENOUGH:
            return None
        decimals, figures = zip(*(counted[key] for key in keys), strict=True)
        return statistics.median_low(decimals), statistics.median_low(figures)

    by_kind: dict[object, list[Any]] = {}
    by_code: dict[object, list[Any]] = {}
    for key in counted:
        by_kind.setdefault(alike[key], []).append(key)
        by_code.setdefault(alike[key][1], []).append(key)
    usual_of_kind = {kind: usual(keys) for kind, keys in by_kind.items()}
    usual_of_code = {code: usual(keys) for code, keys in by_code.items()}
    digits: dict[Any, Digits] = {}
    for key, numbers in typed.items():
        if len(numbers) >= ENOUGH:
            digits[key] = counted[key]
        elif least := usual_of_kind.get(alike[key]) or usual_of_code.get(alike[key][1]):
            decimals, figures = counted.get(key, (0, 0))
            digits[key] = max(decimals, least[0]), max(figures, least[1])
    return digits


def ratios(reading: Reading, row: int) -> list[tuple[float, float]]:
    """Return (how large the gradient is, (w − next w) / gradient) of all parameters in a row."""
    found: list[tuple[float, float]] = []
    for name in reading.parameters:
        new = f"new {name}"
        before = reading.number(name, row)
        after = reading.number(new, row) if new in reading.table.columns else reading.number(name, row + 1)
        try:
            slope = reading.number(f"∂E/∂{name}", row) or reading.expected(f"∂E/∂{name}", row)
        except MissingQuantity:
            continue
        if before is None or after is None or not slope or not math.isfinite(slope):
            continue
        if math.isfinite((before - after) / slope):
            found.append((abs(slope), (before - after) / slope))
    return found


def _or_nan(compute: Callable[..., float], *arguments: Any) -> float:
    """Return what is computed, not a number where a number on the way is too large or there is none."""
    try:
        return compute(*arguments)
    except (ZeroDivisionError, OverflowError, ValueError):
        return math.nan


def _most_digits(numbers: Collection[float]) -> tuple[int, int]:
    """Return the most decimals and the most significant figures among numbers that are not 0."""
    decimals = figures = 0
    for number in numbers:
        mantissa, _, exponent = repr(abs(number)).partition("e")
        whole, _, fraction = mantissa.partition(".")
        fraction = fraction.rstrip("0")
        decimals = max(decimals, len(fraction) - int(exponent or 0))
        figures = max(figures, len((whole + fraction).strip("0")))
        if min(decimals, figures) >= ALL_DIGITS:
            break
    return decimals, figures


def _is_single(number: float) -> bool:
    """Say whether a number is one of 32 bits, in full as PyTorch's .item() gives it, or printed.

    A spreadsheet keeps 15 digits of what is pasted.
    """
    with np.errstate(over="ignore"):
        single = np.float32(number)
    return any(math.isclose(candidate, number, rel_tol=1e-14) for candidate in (float(single), float(str(single))))

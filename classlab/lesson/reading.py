"""A table read as a network: what its cells hold, what they should hold, and how far rounding may part the two."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import numpy as np

from classlab.lesson.book import Book
from classlab.lesson.derivation import RATE, TOTAL, Quantity, Shape, parameters, quantities, update
from classlab.lesson.expression import Expression, Name, differential, evaluate, minus, multiply
from classlab.lesson.formula import Address
from classlab.lesson.tables import Table, Written

RELATIVE, ABSOLUTE = 1e-9, 1e-13
ENOUGH = 3  # numbers of a column tell to how many digits it is rounded
SINGLE = 2.0**-22  # how far a number of 32 bits may be from the right one, as a share of it: two steps
Key = tuple[str, int]


class Missing(Exception):
    """A quantity that the table neither holds nor allows to compute."""


class Broken(Missing):
    """A quantity whose cell holds no number (an error, a text), so that nothing can be computed from it."""


@dataclass
class Reading:
    """A table as a network. `numbers` are those in its cells.

    `rate` is the learning rate to hold updates against, `rate_at` where it stands. `constants` are inputs and targets
    that are not in the table, `beside` where they stand, `taken` the remark if they stand nowhere.
    """

    book: Book
    table: Table
    numbers: dict[Key, float | None]
    shape: Shape
    rate: float | None = None
    rate_at: Written | None = None
    constants: dict[str, float] = field(default_factory=dict)
    beside: dict[Address, str] = field(default_factory=dict)
    taken: str = ""
    _random: dict[tuple[int, int, bool], dict[str, float]] = field(default_factory=dict)

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """All quantities of the recognised network, by name."""
        return quantities(self.shape)

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """The formula of every name that is computed from its row, or, for parameters, from the row before."""
        found = {name: q.expression for name, q in self.quantities.items() if q.expression is not None}
        for name in parameters(self.shape):
            new = f"new {name}"
            if new in self.table.columns:
                found[new] = minus(Name(name), multiply(Name(RATE), Name(f"∂E/∂{name}")))
                found[name] = Name(new, -1)
            else:
                found[name] = update(name)
        return found

    @cached_property
    def order(self) -> list[str]:
        """The table's known columns in the order in which they are computed; links (∂a_o1/∂o1) before gradients."""
        computed = list(self.quantities)
        new = [f"new {name}" for name in parameters(self.shape)]
        links = [name for name in self.table.columns if self.link(name)]
        first = next(index for index, name in enumerate(computed) if name.startswith("∂"))
        return [name for name in computed[:first] + links + computed[first:] + new if name in self.table.columns]

    @cached_property
    def places(self) -> dict[Address, Key]:
        """What each cell of the table is."""
        return self.table.places()

    def own(self, name: str, row: int) -> float | None:
        """Return what the table holds. Inputs and targets may be given once, at the top or beside the table."""
        number = self.numbers.get((name, row))
        if number is None and name in self.quantities and self.quantities[name].kind in ("input", "target"):
            if name not in self.table.columns:
                return self.constants.get(name)
            return next(
                (n for n in (self.numbers.get((name, above)) for above in range(row, -1, -1)) if n is not None), None
            )
        return number

    def link(self, name: str) -> tuple[str, str] | None:
        """Return (above, below) for a derivative that is no quantity of the derivation: ∂a_o1/∂o1, ∂E/∂a_h1."""
        if not name.startswith("∂") or name in self.quantities:
            return None
        above, _, below = name[1:].partition("/∂")
        above = TOTAL if above == "E" else above
        return (above, below) if above in self.quantities and below in self.quantities else None

    def expected(
        self, name: str, row: int, instead: Mapping[Key, float] | None = None, used: set[Key] | None = None
    ) -> float:
        """Return what a cell should hold, from the other cells of its row and the row before.

        `instead` replaces cells; `used` collects those that were read. Raises Missing.
        """
        instead, used = instead or {}, set() if used is None else used

        def value(name: str, row: int) -> float:
            used.add((name, row))
            number = instead.get((name, row), self.own(name, row) if row >= 0 else None)
            if number is not None:
                return number
            if name == RATE:
                if self.rate is None:
                    raise Missing(RATE)
                return self.rate
            if name in self.table.columns and self.table.address(name, max(row, 0)) in self.book.cells:
                raise Broken(name)
            if name not in self.expressions or name in parameters(self.shape):
                raise Missing(name)
            if (name, row) not in derived:
                derived[name, row] = self.compute(name, row, value)
            return derived[name, row]

        derived: dict[Key, float] = {}
        return self.compute(name, row, value)

    def compute(self, name: str, row: int, value: Callable[[str, int], float]) -> float:
        """Return the name's formula, or its link, evaluated with values from `value`."""

        def lookup(inner: Name) -> float:
            # An update takes the rate of the row whose gradient it takes, where each row has its own.
            shift = -1 if inner.name == RATE and not name.startswith("new") else inner.row
            return value(inner.name, row + shift)

        link = self.link(name)
        try:
            if link:
                return self._link(link[0], link[1], lambda inner: value(inner.name, row))
            return evaluate(self.expressions[name], lookup)
        except (ZeroDivisionError, OverflowError, ValueError):
            return math.nan

    def _link(self, above: str, below: str, value: Callable[[Name], float]) -> float:
        known: dict[str, float] = {below: 1.0}

        def change(name: Name) -> float:
            if name.name not in known:
                expression = self.quantities[name.name].expression
                known[name.name] = differential(expression, value, change) if expression is not None else 0.0
            return known[name.name]

        return change(Name(above))

    def tolerance(self, name: str, row: int, expected: float) -> float:
        """Return how far a cell may be from what it should hold: by rounding, if its column is typed rounded."""
        plain = ABSOLUTE + RELATIVE * abs(expected)
        if self.book.cells[self.table.address(name, row)].formula is not None:
            return plain
        used: set[Key] = set()
        centre = self.expected(name, row, used=used)
        allowed = plain + self.rounding(name, row)
        for key in used:
            half = self.rounding(*key) if key[0] in self.table.columns and key[1] >= 0 else 0.0
            number = self.own(*key) if half else None
            if number is not None:
                allowed += abs(self.expected(name, row, {key: number + half}) - centre)
        return allowed

    def rounding(self, name: str, row: int) -> float:
        """Return half of the last digit of a typed number, as its whole column is typed; 0 for formulas and givens."""
        first = row == 0 and self._kind(name) == "parameter"
        digits = self._digits.get(name)
        if first or digits is None or self.table.address(name, row) not in self.book.cells:
            return 0.0
        number = self.own(name, row) or 0.0
        by_figures = 10.0 ** (math.floor(math.log10(abs(number))) + 1 - digits[1]) if number else 0.0
        half = 0.505 * max(10.0 ** -digits[0], by_figures)
        return half + SINGLE * abs(number) if name in self._single else half

    @cached_property
    def _digits(self) -> dict[str, tuple[int, int]]:
        """Most decimals and most significant figures of each typed column.

        One with too few numbers to tell has at least the digits usual among its kind (gradients, …), or among all.
        """
        own = {name: _most_digits(numbers) for name, numbers in self._typed.items() if numbers}
        found: dict[str, tuple[int, int]] = {}
        for name, numbers in self._typed.items():
            alike = [name] if len(numbers) >= ENOUGH else self._alike(name)
            usual = [statistics.median_low(counts) for counts in zip(*(own[one] for one in alike), strict=True)]
            if usual:
                decimals, figures = own.get(name, (0, 0))
                found[name] = max(decimals, usual[0]), max(figures, usual[1])
        return found

    def _alike(self, name: str) -> list[str]:
        """Return the typed columns of the same kind, or all; none where even these have too few numbers to tell."""
        filled = [other for other, numbers in self._typed.items() if numbers]
        kin = [other for other in filled if self._kind(other) == self._kind(name)]
        return next((some for some in (kin, filled) if sum(len(self._typed[one]) for one in some) >= ENOUGH), [])

    @cached_property
    def _single(self) -> set[str]:
        """The typed columns in which every number is one of 32 bits."""
        return {name for name, numbers in self._typed.items() if numbers and all(map(_is_single, numbers))}

    @cached_property
    def _typed(self) -> dict[str, list[float]]:
        """The computed numbers, but for zeros, of each column in which no number is a formula."""
        found: dict[str, list[float]] = {}
        for name in self.table.columns:
            kind, rows = self._kind(name), range(len(self.table.lines))
            cells = [self.book.cells.get(self.table.address(name, row)) for row in rows]
            if kind != "given" and not any(cell is not None and cell.formula is not None for cell in cells):
                computed = rows[1:] if kind == "parameter" else rows
                found[name] = [number for row in computed if (number := self.numbers[name, row])]
        return found

    def _kind(self, name: str) -> str:
        """What is rounded alike has one kind."""
        kind = self.quantities[name].kind if name in self.quantities else "link"
        alike = {"input": "given", "target": "given", "weight": "parameter", "bias": "parameter", "total": "error"}
        return "given" if name == RATE else "new" if name.startswith("new ") else alike.get(kind, kind)

    def agrees(self, name: str, row: int, expected: float) -> bool:
        """Say whether the cell holds what it should."""
        number = self.own(name, row)
        return number is not None and abs(number - expected) <= self.tolerance(name, row, expected)

    def random_row(self, seed: int, row: int, free: bool = False) -> dict[str, float]:
        """Return a row of the same network with other weights, everything in it right: what formulas are tried on.

        Inputs, targets and the rate stay, because formulas may hold them as plain numbers; unless `free`, then they are
        drawn too, so that no two quantities are equal by chance.
        """
        if (seed, row, free) in self._random:
            return self._random[seed, row, free]
        generator = np.random.default_rng([seed, row + 100_000])
        common = np.random.default_rng(seed)  # inputs, targets and the rate are the same in every row
        given = {
            name: float(common.uniform(0.1, 0.9))
            for name in [RATE, *self.quantities]
            if name[0] in "it" or name == RATE
        }
        if not free:
            given[RATE] = (self.own(RATE, row) if row >= 0 else None) or self.rate or 0.7
            given |= {name: kept for name in given if (kept := self.own(name, max(row, 0))) is not None}
        found = {RATE: given[RATE]}
        for name, quantity in self.quantities.items():
            drawn = float(generator.uniform(0.2, 1.0) * generator.choice([-1, 1, 1]))
            if quantity.expression is None:
                found[name] = given.get(name, drawn)
            else:
                found[name] = evaluate(quantity.expression, lambda inner: found[inner.name])
        for name in self.table.columns:
            link = self.link(name)
            if link:
                found[name] = self._link(link[0], link[1], lambda inner: found[inner.name])
            elif name.startswith("new "):
                old = name.removeprefix("new ")
                found[name] = found[old] - found[RATE] * found[f"∂E/∂{old}"]
        self._random[seed, row, free] = found
        return found


def _most_digits(numbers: Sequence[float]) -> tuple[int, int]:
    """Return the most decimals and the most significant figures among numbers that are not 0."""
    written = [Decimal(repr(number)).normalize().as_tuple() for number in numbers]
    decimals = max(-number.exponent for number in written if isinstance(number.exponent, int))
    return max(decimals, 0), max(len(number.digits) for number in written)


def _is_single(number: float) -> bool:
    """Say whether a number is one of 32 bits, in full as PyTorch's .item() gives it, or printed.

    A spreadsheet keeps 15 digits of what is pasted.
    """
    with np.errstate(over="ignore"):
        single = np.float32(number)
    return any(math.isclose(one, number, rel_tol=1e-14) for one in (float(single), float(str(single))))

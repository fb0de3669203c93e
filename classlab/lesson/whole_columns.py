"""Whole columns at once: which cells hold what their rows make of them, in arrays of float64, a number per row.

The same rules as Reading.expected and Reading.tolerance, for the many cells of a long table that are right. A cell that
is not found right here may still be: it reads something that no number stands for, and is looked at by itself.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from classlab.lesson.expression import Name, evaluate
from classlab.lesson.meter import WorkSpent
from classlab.lesson.quantities import RATE
from classlab.lesson.reading import ABSOLUTE, RELATIVE, Reading

ROWS_PER_STEP = 800  # of an array, for each operation
Shifted = tuple[str, int]  # a column, and how many rows further down it is read
FUNCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(0.0, x),
    "step": lambda x: np.where(np.isnan(x), np.nan, np.where(x > 0, 1.0, 0.0)),
    "exp": np.exp,
    "ln": np.log,
}


def right_cells(reading: Reading) -> dict[str, np.ndarray]:
    """Return for each column that is computed from its row which cells are surely right, one truth value per row.

    A column for which there is no work left is not among them.
    """
    rows, right = _Rows(reading), {}
    with np.errstate(all="ignore"), suppress(WorkSpent):
        for name in reading.order:
            if name in reading.expressions:
                right[name] = _right(rows, name)
    return right


@dataclass
class _Rows:
    """The columns of a table as arrays. `instead` holds others in place of some, `read` collects which were read."""

    reading: Reading
    instead: Mapping[Shifted, np.ndarray] = field(default_factory=dict)
    read: set[Shifted] = field(default_factory=set)
    known: dict[Shifted, np.ndarray] = field(default_factory=dict)

    def column(self, name: str, shift: int) -> np.ndarray:
        """Return what each row reads for a name, `shift` rows further down; not a number where there is none."""
        if (name, shift) in self.instead:
            return self.instead[name, shift]
        if (name, shift) not in self.known:
            self.known[name, shift] = self._column(name, shift)
        if name in self.reading.held:
            self.read.add((name, shift))
        return self.known[name, shift]

    def expected(self, name: str) -> np.ndarray:
        """Return what each cell of a column should hold. Raises WorkSpent."""
        return self._computed(name, 0)

    def _column(self, name: str, shift: int) -> np.ndarray:
        reading, count = self.reading, len(self.reading.table.lines)
        if name in reading.held:
            held = reading.held[name]
            is_given = reading.is_given(name)  # once, at the top, or in every row
            return _shifted(np.array(held.from_above, np.float64) if is_given else held.array, shift)
        number = reading.rate if name == RATE else reading.number(name, 0)
        if number is not None:
            return np.full(count, number)
        if name not in reading.expressions or name in reading.parameters:
            return np.full(count, np.nan)
        return self._computed(name, shift)

    def _computed(self, name: str, shift: int) -> np.ndarray:
        def value(inner: Name) -> np.ndarray:
            # An update takes the rate of the row whose gradient it takes, where each row has its own.
            further = -1 if inner.name == RATE and name in self.reading.parameters else inner.row
            return self.column(inner.name, shift + further)

        count = len(self.reading.table.lines)
        self.reading.meter.spend(self.reading.costs[name] * (2 + count // ROWS_PER_STEP))
        return evaluate(self.reading.expressions[name], value, FUNCTIONS)


def _right(rows: _Rows, name: str) -> np.ndarray:
    """Return which cells of a column agree with their rows, within what rounding may part the two."""
    reading = rows.reading
    rows.read.clear()
    # Columns that the sheet lacks are computed anew for each name: were they kept, `read` would miss what they read.
    rows.known = {key: column for key, column in rows.known.items() if key[0] in reading.held}
    expected = rows.expected(name)
    apart = np.abs(reading.held[name].array - expected)
    allowed = ABSOLUTE + RELATIVE * np.abs(expected)
    right = np.isfinite(expected) & (apart <= allowed)
    # Most columns end here. What rounding allows costs a computation of the whole column for each column that it reads.
    if right.all() or not reading.rounded.digits:
        return right
    nothing = np.zeros(len(right))
    allowed = allowed + reading.roundings.get(name, nothing)
    for read, shift in sorted(rows.read):
        half = reading.roundings.get(read, nothing)
        if half.any():
            further = rows.column(read, shift) + _shifted(half, shift)
            allowed += np.abs(_Rows(reading, {(read, shift): further}).expected(name) - expected)
    typed = ~np.array(reading.held[name].formulas)
    return right | (typed & np.isfinite(expected) & (apart <= allowed))


def _shifted(column: np.ndarray, shift: int) -> np.ndarray:
    """Return the column as rows see it that read `shift` rows further down; not a number beyond its ends."""
    if not shift:
        return column
    moved = np.full(len(column), np.nan)
    if abs(shift) < len(column):
        moved[max(-shift, 0) : len(column) - max(shift, 0)] = column[max(shift, 0) : len(column) + min(shift, 0)]
    return moved

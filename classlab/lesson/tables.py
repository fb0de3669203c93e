"""The tables of a workbook: where the header stands, what each column means, which rows follow, and its η."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from classlab.lesson import headers
from classlab.lesson.book import Book
from classlab.lesson.formula import Address, Value
from classlab.lesson.functions import as_number

FEWEST_NAMES = 5
BLANK_ROWS = 2


@dataclass(frozen=True)
class Written:
    """A number written outside the table: its value, the cell that holds it, and whether formulas can use that cell."""

    value: float
    address: Address
    usable: bool


@dataclass(frozen=True)
class Table:
    """One table. `columns` gives each name its place across, `lines` each row its place down; both from 1.

    A table that runs sideways (names down, epochs across) is `turned`; then columns are rows of the sheet.
    """

    sheet: str
    columns: Mapping[str, int]
    header: int
    lines: Sequence[int]
    turned: bool

    def address(self, name: str, row: int) -> Address:
        """Return the cell of a quantity in a row; rows count from 0."""
        return self._at(self.lines[row], self.columns[name])

    def header_address(self, name: str) -> Address:
        """Return the cell of a header."""
        return self._at(self.header, self.columns[name])

    def places(self) -> dict[Address, tuple[str, int]]:
        """Return what each cell of the table is: a quantity and a row."""
        return {self.address(name, row): (name, row) for name in self.columns for row in range(len(self.lines))}

    def _at(self, line: int, column: int) -> Address:
        return Address(self.sheet, column, line) if self.turned else Address(self.sheet, line, column)


def find(book: Book) -> list[Table]:
    """Return every table of the workbook in reading order: a header row with weights and more, and numbers under it."""
    found: list[Table] = []
    for sheet in book.sheets:
        upright = list(_tables(book, sheet, turned=False))
        found += upright or list(_tables(book, sheet, turned=True))
    return found


def rates(book: Book, table: Table) -> list[Written]:
    """Return the learning rates written on the table's sheet, nearest to the header first, the sheet's name last."""
    found: list[Written] = []
    inside = set(table.places()) | {table.header_address(name) for name in table.columns}
    for address, cell in book.by_row():
        if address.sheet != table.sheet or address in inside or not isinstance(cell.value, str) or cell.formula:
            continue
        if headers.is_rate_label(cell.value):
            found += list(_beside(book, address, inside))
        elif (value := headers.rate_in(cell.value)) is not None:
            found.append(Written(value, address, usable=False))
    start = table.header_address(next(iter(table.columns)))
    found.sort(
        key=lambda rate: (not rate.usable, abs(rate.address.row - start.row), abs(rate.address.column - start.column))
    )
    named = headers.rate_in(table.sheet)
    return [*found, Written(named, Address(table.sheet, 0, 0), usable=False)] if named is not None else found


def nearest_rate(book: Book, table: Table) -> Written | None:
    """Return the learning rate in a cell of the table's sheet that stands nearest to its header; None for none."""
    return next((rate for rate in rates(book, table) if rate.address.row > 0), None)


def settings(book: Book, table: Table) -> dict[str, Written]:
    """Return inputs and targets that stand beside the table, as "i1 =" with a number to its right or below."""
    found: dict[str, Written] = {}
    inside = set(table.places()) | {table.header_address(name) for name in table.columns}
    for address, cell in book.by_row():
        label = headers.setting_named(cell.value) if address.sheet == table.sheet and address not in inside else None
        if label and label[0] not in found:
            name, number = label
            written = _beside(book, address, inside) if number is None else [Written(number, address, usable=False)]
            found.update((name, one) for one in written)
    return found


def _beside(book: Book, label: Address, inside: set[Address]) -> Iterator[Written]:
    """Yield the first number right of a label, or else under, left of or above it."""
    near = [(0, 1), (0, 2), (1, 0), (0, 3), (2, 0), (0, -1), (-1, 0)]
    for down, across in near:
        if label.row + down < 1 or label.column + across < 1:
            continue
        address = Address(label.sheet, label.row + down, label.column + across)
        value = book.number(address)
        if value is not None and address not in inside:
            yield Written(value, address, usable=True)
            return


def _tables(book: Book, sheet: str, turned: bool) -> Iterator[Table]:
    grid: dict[int, dict[int, str]] = {}
    filled: dict[int, set[int]] = {}
    for address, cell in book.cells.items():
        if address.sheet != sheet:
            continue
        line, column = (address.column, address.row) if turned else (address.row, address.column)
        name = headers.quantity_named(cell.value) if cell.formula is None else None
        if name:
            grid.setdefault(line, {})[column] = name
        if cell.formula is not None or _is_number(cell.value):
            filled.setdefault(line, set()).add(column)
    heads = {line: _segments(names) for line, names in sorted(grid.items())}
    heads = {line: segments for line, segments in heads.items() if segments}
    for line, segments in heads.items():
        for columns in segments:
            below = [other for other, more in heads.items() if other > line and _overlap(columns, more)]
            lines = _lines(filled, set(columns.values()), line, min(below, default=None))
            if lines:
                yield Table(sheet, _kept(columns, filled, lines), line, lines, turned)


def _is_number(value: Value) -> bool:
    """Say whether a cell holds a number, or a text that is one: 0,15 is, where a point was expected."""
    return isinstance(value, float) or (isinstance(value, str) and as_number(value) is not None)


def _kept(columns: Mapping[str, int], filled: Mapping[int, set[int]], lines: Sequence[int]) -> dict[str, int]:
    """Leave out columns that hold next to nothing, such as the header "η" over a single number."""
    counts = {name: sum(column in filled[line] for line in lines) for name, column in columns.items()}
    few = {name for name, count in counts.items() if count < 2 < len(lines) and name[0] not in "itwb"}
    few |= {name for name in columns if name == "η" and counts[name] < len(lines) / 2}
    return {name: column for name, column in columns.items() if name not in few}


def _segments(names: Mapping[int, str]) -> list[dict[str, int]]:
    """Cut a header row into tables: a name that comes again opens the next one, or is the updated weight of this."""
    segments: list[dict[str, int]] = [{}]
    ordered = sorted(names.items())
    for index, (column, name) in enumerate(ordered):
        current = segments[-1]
        again = {later for _, later in ordered[index:] if later in current}
        if name not in current:
            current[name] = column
        elif name[0] in "wb" and all(later[0] in "wb" for later in again) and f"new {name}" not in current:
            current[f"new {name}"] = column
        else:
            segments.append({name: column})
    return [_from_one(segment) for segment in segments if _is_header(segment)]


def _is_header(columns: Mapping[str, int]) -> bool:
    weights = [name for name in columns if name[0] == "w"]
    others = [name for name in columns if name[0] not in "wbitn" and name != "η"]
    return len(columns) >= FEWEST_NAMES and len(weights) >= 2 and len(others) >= 1


def _from_one(columns: dict[str, int]) -> dict[str, int]:
    """Some count from 0: then w0 is our w1."""
    import re

    if "w0" not in columns:
        return columns
    return {re.sub(r"(?<=[a-zE])\d+", lambda digits: str(int(digits[0]) + 1), name): at for name, at in columns.items()}


def _overlap(columns: Mapping[str, int], segments: Sequence[Mapping[str, int]]) -> bool:
    first, last = min(columns.values()), max(columns.values())
    return any(first <= column <= last for segment in segments for column in segment.values())


def _lines(filled: Mapping[int, set[int]], columns: set[int], header: int, stop: int | None) -> list[int]:
    """Return the rows under a header in which at least two of its columns hold something, up to a gap or `stop`."""
    lines: list[int] = []
    line, gap = header + 1, 0
    while gap <= BLANK_ROWS and (stop is None or line < stop):
        if len(columns & filled.get(line, set())) >= 2:
            lines.append(line)
            gap = 0
        else:
            gap += 1
        line += 1
    return lines

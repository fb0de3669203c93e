"""The tables of a workbook: where the header stands, what each column means, which rows follow, and its η."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from classlab import limits
from classlab.errors import UserError
from classlab.lesson import headers
from classlab.lesson.book import Book
from classlab.lesson.formula import Address, Value, address_of
from classlab.lesson.functions import as_number

FEWEST_NAMES = 5
BLANK_ROWS = 2
MOST_LABELS = 500  # of a sheet, the first ones
Key = tuple[str, int]


class Meaning(NamedTuple):
    """What a text may mean: a quantity in a header, a label of the rate, a rate, an input or target beside a table."""

    quantity: str | None
    labels_rate: bool
    rate: float | None
    setting: tuple[str, float | None] | None


class Label(NamedTuple):
    """A cell with a text that may belong to a table: what it means, and whether a formula gives it."""

    address: Address
    meaning: Meaning
    calculated: bool


Meanings = Mapping[str, Meaning]


@dataclass(frozen=True)
class WrittenNumber:
    """A number written outside the table: its value, the cell that holds it, and whether formulas can use that cell."""

    value: float
    address: Address
    usable: bool


@dataclass(frozen=True)
class Table:
    """One table. `columns` gives each name its place across, `lines` each row its place down; both from 1.

    A table that runs sideways (names down, epochs across) is `turned`; then columns are rows of the sheet. `labels` are
    the texts of its sheet that announce a rate, an input or a target.
    """

    sheet: str
    columns: Mapping[str, int]
    header: int
    lines: Sequence[int]
    turned: bool
    labels: Sequence[Label] = ()

    def address(self, name: str, row: int) -> Address:
        """Return the cell of a quantity in a row; rows count from 0."""
        return self._at(self.lines[row], self.columns[name])

    def header_address(self, name: str) -> Address:
        """Return the cell of a header."""
        return self._at(self.header, self.columns[name])

    def places(self) -> Iterator[tuple[Address, Key]]:
        """Yield what each cell of the table is, a quantity and a row, in the order in which they stand on the sheet."""
        rows, names = list(enumerate(self.lines)), self.columns.items()
        if self.turned:
            yield from ((self._at(line, column), (name, row)) for name, column in names for row, line in rows)
        else:
            yield from ((self._at(line, column), (name, row)) for row, line in rows for name, column in names)

    def key(self, address: Address) -> Key | None:
        """Return what a cell is, a quantity and a row; None for a cell outside."""
        line, column = (address.column, address.row) if self.turned else (address.row, address.column)
        name, row = self._names.get(column), self._rows.get(line)
        return None if name is None or row is None or address.sheet != self.sheet else (name, row)

    def covers(self, address: Address) -> bool:
        """Say whether a cell is one of the table's or of its header."""
        line, column = (address.column, address.row) if self.turned else (address.row, address.column)
        in_header = line == self.header and column in self._names and address.sheet == self.sheet
        return in_header or self.key(address) is not None

    @cached_property
    def _names(self) -> dict[int, str]:
        return {column: name for name, column in self.columns.items()}

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {line: row for row, line in enumerate(self.lines)}

    def _at(self, line: int, column: int) -> Address:
        return address_of((self.sheet, column, line) if self.turned else (self.sheet, line, column))


def find(book: Book) -> list[Table]:
    """Return every table of the workbook in reading order: a header row with weights and more, and numbers under it.

    Raises UserError for more of them, or larger ones, than are checked.
    """
    meanings = _meanings(book)
    tables: list[Table] = []
    for sheet in book.sheets:
        labels = list(_labels(book, sheet, meanings))
        upright = list(_tables(book, sheet, meanings, labels, turned=False))
        tables += upright or _tables(book, sheet, meanings, labels, turned=True)
        if len(tables) > limits.WORKBOOK_TABLES:
            most = limits.WORKBOOK_TABLES
            raise UserError(f"the workbook holds more than {most:,} tables; at most that many are checked")
    cells = sum(len(table.columns) * len(table.lines) for table in tables)
    if cells > limits.WORKBOOK_CELLS:
        most = limits.WORKBOOK_CELLS
        raise UserError(f"the tables have {cells:,} cells, empty ones among them; at most {most:,} are checked")
    return tables


def _meanings(book: Book) -> Meanings:
    """Return what the workbook's texts mean, each of them read once."""
    meanings: dict[str, Meaning] = {}
    for cell in book.cells.values():
        text = cell.value
        if isinstance(text, str) and text not in meanings and as_number(text) is None:
            if len(meanings) >= limits.WORKBOOK_TEXTS:
                most = limits.WORKBOOK_TEXTS
                raise UserError(f"the workbook holds more than {most:,} different texts; at most that many are read")
            rate, setting = headers.rate_in(text), headers.setting_named(text)
            meanings[text] = Meaning(headers.quantity_named(text), headers.is_rate_label(text), rate, setting)
    return meanings


def _labels(book: Book, sheet: str, meanings: Meanings) -> Iterator[Label]:
    count = 0
    for address, cell in book.cells_of(sheet):
        meaning = meanings.get(cell.value) if isinstance(cell.value, str) else None
        if meaning and (meaning.labels_rate or meaning.rate is not None or meaning.setting):
            yield Label(address, meaning, cell.formula is not None)
            count += 1
        if count == MOST_LABELS:
            return


def rates(book: Book, table: Table) -> list[WrittenNumber]:
    """Return the learning rates written on the table's sheet, nearest to the header first, the sheet's name last."""
    numbers: list[WrittenNumber] = []
    for label in table.labels:
        if label.calculated or table.covers(label.address):
            continue
        if label.meaning.labels_rate:
            numbers += list(_beside(book, label.address, table))
        elif label.meaning.rate is not None:
            numbers.append(WrittenNumber(label.meaning.rate, label.address, usable=False))
    start = table.header_address(next(iter(table.columns)))
    numbers.sort(
        key=lambda rate: (not rate.usable, abs(rate.address.row - start.row), abs(rate.address.column - start.column))
    )
    named = headers.rate_in(table.sheet)
    return [*numbers, WrittenNumber(named, Address(table.sheet, 0, 0), usable=False)] if named is not None else numbers


def nearest(written: Sequence[WrittenNumber]) -> WrittenNumber | None:
    """Return the learning rate in a cell that stands nearest to a table's header, of all `rates`; None for none."""
    return next((rate for rate in written if rate.address.row > 0), None)


def settings(book: Book, table: Table) -> dict[str, WrittenNumber]:
    """Return inputs and targets that stand beside the table, as "i1 =" with a number to its right or below."""
    numbers: dict[str, WrittenNumber] = {}
    for label in table.labels:
        if label.meaning.setting and label.meaning.setting[0] not in numbers and not table.covers(label.address):
            name, number = label.meaning.setting
            at = label.address
            written = _beside(book, at, table) if number is None else [WrittenNumber(number, at, usable=False)]
            numbers.update((name, beside) for beside in written)
    return numbers


def _beside(book: Book, label: Address, table: Table) -> Iterator[WrittenNumber]:
    """Yield the first number right of a label, or else under, left of or above it."""
    near = [(0, 1), (0, 2), (1, 0), (0, 3), (2, 0), (0, -1), (-1, 0)]
    for down, across in near:
        if label.row + down < 1 or label.column + across < 1:
            continue
        address = Address(label.sheet, label.row + down, label.column + across)
        value = book.number(address) if address in book.cells else None
        if value is not None and not table.covers(address):
            yield WrittenNumber(value, address, usable=True)
            return


def _tables(book: Book, sheet: str, meanings: Meanings, labels: Sequence[Label], turned: bool) -> Iterator[Table]:
    grid: dict[int, dict[int, str]] = {}
    filled: dict[int, set[int]] = {}
    for address, cell in book.cells_of(sheet):
        line, column = (address.column, address.row) if turned else (address.row, address.column)
        meaning = meanings.get(cell.value) if isinstance(cell.value, str) and cell.formula is None else None
        if meaning and meaning.quantity:
            grid.setdefault(line, {})[column] = meaning.quantity
        if cell.formula is not None or _is_number(cell.value):
            filled.setdefault(line, set()).add(column)
    heads = {line: _segments(names) for line, names in sorted(grid.items())}
    heads = {line: segments for line, segments in heads.items() if segments}
    if sum(map(len, heads.values())) > limits.WORKBOOK_TABLES:
        most = limits.WORKBOOK_TABLES
        raise UserError(f"sheet {sheet!r} has more than {most:,} header rows of tables; at most that many are read")
    for line, segments in heads.items():
        for columns in segments:
            below = [other for other, more in heads.items() if other > line and _overlap(columns, more)]
            lines = _lines(filled, set(columns.values()), line, min(below, default=None))
            if lines:
                yield Table(sheet, _kept(columns, filled, lines), line, lines, turned, labels)


def _is_number(value: Value) -> bool:
    """Say whether a cell holds a number, or a text that is one: 0,15 is, where a point was expected."""
    return isinstance(value, float) or (isinstance(value, str) and as_number(value) is not None)


def _kept(columns: Mapping[str, int], filled: Mapping[int, set[int]], lines: Sequence[int]) -> dict[str, int]:
    """Leave out columns that hold next to nothing, such as the header "η" over a single number."""
    wanted = set(columns.values())
    held = Counter(column for line in lines for column in filled[line] & wanted)
    counts = {name: held[column] for name, column in columns.items()}
    few = {name for name, count in counts.items() if count < 2 < len(lines) and name[0] not in "itwb"}
    few |= {name for name in columns if name == "η" and counts[name] < len(lines) / 2}
    return {name: column for name, column in columns.items() if name not in few}


def _segments(names: Mapping[int, str]) -> list[dict[str, int]]:
    """Cut a header row into tables: a name that comes again opens the next one, or is the updated weight of this."""
    segments: list[dict[str, int]] = [{}]
    last = {name: column for column, name in sorted(names.items())}
    reach = 0  # the last column with a name that this table has and that is no parameter's
    for column, name in sorted(names.items()):
        current = segments[-1]
        if name not in current:
            current[name] = column
        elif name[0] in "wb" and column > reach and f"new {name}" not in current:
            current[f"new {name}"] = column
            reach = max(reach, last.get(f"new {name}", 0))
        else:
            segments.append({name: column})
            reach = 0
        if name[0] not in "wb" and last[name] > column:
            reach = max(reach, last[name])
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

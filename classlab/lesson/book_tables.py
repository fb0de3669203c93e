"""The tables of a workbook: where the header stands, what each column means, which rows follow, and its η."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from classlab import limits
from classlab.errors import UserError
from classlab.lesson import headers
from classlab.lesson.book import Book
from classlab.lesson.formula import Address, Value, address_of
from classlab.lesson.functions import as_number

FEWEST_NAMES = 5
FEWEST_NAMES_OF_AN_EMPTY_TABLE = 10
BLANK_ROWS = 2
NEAR = 3  # columns from a table's last one, where one that is not read may still be part of it
LONGEST_LIST = 12  # numbers after one label
MOST_LABELS = 500  # of a sheet, the first ones
Key = tuple[str, int]


class Meaning(NamedTuple):
    """What a text may mean: a quantity in a header, a label of the rate, a rate, an input or target beside a table.

    `perhaps_rate`: it may be a label of the rate where nothing else is one.
    """

    quantity: str | None
    labels_rate: bool
    perhaps_rate: bool
    rate: float | None
    setting: tuple[str, float | None] | None


class Label(NamedTuple):
    """A cell with a text that may belong to a table: what it means, and whether a formula gives it."""

    address: Address
    meaning: Meaning
    calculated: bool


Meanings = Mapping[str, Meaning]


class WrittenNumber(NamedTuple):
    """A number written outside the table: its value, the cell that holds it, and whether formulas can use that cell.

    In the name of a sheet or a file it has no cell: the row is 0. `certain` is false where its label is a guess.
    """

    value: float
    address: Address
    usable: bool
    certain: bool = True


@dataclass(frozen=True)
class Table:
    """One table. `columns` gives each name its place across, `lines` each row its place down; both from 1.

    A table that runs sideways (names down, epochs across) is `turned`; then columns are rows of the sheet. `labels` are
    the texts of its sheet that announce a rate, an input or a target. `unread` are the places of columns that hold
    something but have no known name. `by_use` are those that were read nevertheless, by what formulas do with them.
    `empty` are those of names without a cell under them. An empty table has no `lines`.
    """

    sheet: str
    columns: Mapping[str, int]
    header: int
    lines: Sequence[int]
    turned: bool
    labels: Sequence[Label] = ()
    unread: Collection[int] = ()
    by_use: Mapping[str, int] = field(default_factory=dict)
    empty: Mapping[str, int] = field(default_factory=dict)

    def address(self, name: str, row: int) -> Address:
        """Return the cell of a quantity in a row; rows count from 0."""
        return self.at(self.lines[row], self.columns[name])

    def header_address(self, name: str) -> Address:
        """Return the cell of a header."""
        return self.at(self.header, self.columns[name])

    def places(self) -> Iterator[tuple[Address, Key]]:
        """Yield what each cell of the table is, a quantity and a row, in the order in which they stand on the sheet."""
        rows, names = list(enumerate(self.lines)), self.columns.items()
        if self.turned:
            yield from ((self.at(line, column), (name, row)) for name, column in names for row, line in rows)
        else:
            yield from ((self.at(line, column), (name, row)) for row, line in rows for name, column in names)

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

    def header_at(self, column: int) -> Address:
        """Return the cell of the header of any column."""
        return self.at(self.header, column)

    def unread_column(self, address: Address) -> int | None:
        """Return the column without a known name, or the empty one, that a cell of the table's rows is in, or None."""
        line, column = (address.column, address.row) if self.turned else (address.row, address.column)
        inside = line in self._rows and address.sheet == self.sheet
        return column if inside and (column in self.unread or column in self.empty.values()) else None

    def holds(self, address: Address) -> bool:
        """Say whether a cell is in one of the table's columns, read or not."""
        return self.key(address) is not None or self.unread_column(address) is not None

    @cached_property
    def _names(self) -> dict[int, str]:
        return {column: name for name, column in self.columns.items()}

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {line: row for row, line in enumerate(self.lines)}

    def at(self, line: int, column: int) -> Address:
        """Return the cell in a line and a column of the table."""
        return address_of((self.sheet, column, line) if self.turned else (self.sheet, line, column))


def find(book: Book) -> list[Table]:
    """Return every table of the workbook in reading order: a header row with weights and more, and numbers under it.

    Of a sheet that holds such a header and nothing under it, the empty table. Raises UserError for more tables, or
    larger ones, than are checked.
    """
    meanings = _meanings(book)
    tables: list[Table] = []
    for sheet in book.sheets:
        labels = list(_labels(book, sheet, meanings))
        upright = list(_tables(book, sheet, meanings, labels, turned=False))
        filled = [table for table in upright if table.lines]
        tables += filled or list(_tables(book, sheet, meanings, labels, turned=True)) or upright[:1]
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
            labels_rate, perhaps_rate = headers.is_rate_label(text), headers.is_perhaps_rate_label(text)
            meanings[text] = Meaning(headers.quantity_named(text), labels_rate, perhaps_rate, rate, setting)
    return meanings


def _labels(book: Book, sheet: str, meanings: Meanings) -> Iterator[Label]:
    count = 0
    for address, cell in book.cells_of(sheet):
        meaning = meanings.get(cell.value) if isinstance(cell.value, str) else None
        if meaning and (meaning.labels_rate or meaning.perhaps_rate or meaning.rate is not None or meaning.setting):
            yield Label(address, meaning, cell.formula is not None)
            count += 1
        if count == MOST_LABELS:
            return


def rates(book: Book, table: Table) -> list[WrittenNumber]:
    """Return the learning rates written for a table, nearest to the header first, in names of sheet and file last.

    Where none has a label that is certain, those with one that may mean the rate count.
    """
    numbers: list[WrittenNumber] = []
    for label in table.labels:
        meaning = label.meaning
        if label.calculated or table.covers(label.address):
            continue
        if meaning.labels_rate or meaning.perhaps_rate:
            found = _beside(book, label.address, table)
            numbers += [rate._replace(certain=rate.certain and meaning.labels_rate) for rate in found]
        elif meaning.rate is not None:
            numbers.append(WrittenNumber(meaning.rate, label.address, usable=False))
    if any(rate.certain for rate in numbers):
        numbers = [rate for rate in numbers if rate.certain]
    start = table.header_address(next(iter(table.columns)))
    numbers.sort(
        key=lambda rate: (not rate.usable, abs(rate.address.row - start.row), abs(rate.address.column - start.column))
    )
    named = [headers.rate_in_name(name) for name in (table.sheet, book.title)]
    return numbers + [WrittenNumber(rate, Address(table.sheet, 0, 0), False) for rate in named if rate is not None]


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
            numbers.update((name, beside) for beside in itertools.islice(written, 1))
    return numbers


def _beside(book: Book, label: Address, table: Table) -> Iterator[WrittenNumber]:
    """Yield the first number right of a label, or else under, left of or above it; of a list all, but none certain."""
    near = [(0, 1), (0, 2), (1, 0), (0, 3), (2, 0), (0, 4), (0, -1), (-1, 0)]
    for down, across in near:
        found = list(_numbers_from(book, label, down, across, table))
        if found:
            yield from (WrittenNumber(value, at, usable=True, certain=len(found) == 1) for at, value in found)
            return


def _numbers_from(book: Book, label: Address, down: int, across: int, table: Table) -> Iterator[tuple[Address, float]]:
    """Yield the numbers from a place near a label on, away from it, as long as there are more."""
    row, column = label.row + down, label.column + across
    for _ in range(LONGEST_LIST):
        address = Address(label.sheet, row, column)
        value = book.number(address) if address in book.cells else None
        if value is None or table.covers(address):
            return
        yield address, value
        row, column = row + (down > 0) - (down < 0), column + (across > 0) - (across < 0)


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
    heads = {line: _segments(_by_group(book, sheet, turned, line, names)) for line, names in sorted(grid.items())}
    heads = {line: segments for line, segments in heads.items() if segments}
    if sum(map(len, heads.values())) > limits.WORKBOOK_TABLES:
        most = limits.WORKBOOK_TABLES
        raise UserError(f"sheet {sheet!r} has more than {most:,} header rows of tables; at most that many are read")
    for line, segments in heads.items():
        for columns in segments:
            below = [other for other, more in heads.items() if other > line and _overlap(columns, more)]
            lines = _lines(filled, columns, line, min(below, default=None))
            if lines:
                beside = {column for segment in segments if segment is not columns for column in segment.values()}
                kept, empty = _kept(columns, filled, lines)
                unread = _unread(columns, kept, filled, lines, beside)
                yield Table(sheet, kept, line, lines, turned, labels, unread, empty=empty)
            elif not turned and _is_dense(columns):
                yield Table(sheet, columns, line, [], turned, labels)


def _is_dense(columns: Mapping[str, int]) -> bool:
    """Say whether a header over nothing is surely that of a table: many names, one beside the other."""
    places = columns.values()
    return len(columns) >= FEWEST_NAMES_OF_AN_EMPTY_TABLE and max(places) - min(places) < 1.3 * len(columns)


def _by_group(book: Book, sheet: str, turned: bool, line: int, names: Mapping[int, str]) -> dict[int, str]:
    """Return a header's names; a weight that comes twice is a gradient or a new weight if the text above it says so."""
    named, group = dict(names), ""
    if not any(count > 1 for name, count in Counter(names.values()).items() if name[0] in "wb"):
        return named
    for column in range(min(names), max(names) + 1):
        above = book.cells.get(Address(sheet, column, line - 1) if turned else Address(sheet, line - 1, column))
        if above and isinstance(above.value, str):
            group = headers.group_named(above.value)
        if group and column in names and names[column][0] in "wb":
            named[column] = f"{group}{names[column]}"
    return named


def _unread(
    columns: Mapping[str, int],
    kept: Mapping[str, int],
    filled: Mapping[int, set[int]],
    lines: Sequence[int],
    beside: Collection[int],
) -> list[int]:
    """Return the columns among and next to those of a table that hold something and are not read."""
    held = Counter(column for line in lines for column in filled[line])
    known = {*kept.values(), *beside}
    first, last = min(columns.values()), max(columns.values())

    def counts(column: int) -> bool:
        return column not in known and 2 * held[column] >= len(lines)

    while before := next((column for column in range(first - 1, first - 1 - NEAR, -1) if counts(column)), 0):
        first = before
    while after := next((column for column in range(last + 1, last + 1 + NEAR) if counts(column)), 0):
        last = after
    return [column for column in range(first, last + 1) if counts(column)]


def _is_number(value: Value) -> bool:
    """Say whether a cell holds a number, or a text that is one: 0,15 is, where a point was expected."""
    return isinstance(value, float) or (isinstance(value, str) and as_number(value) is not None)


def _kept(
    columns: Mapping[str, int], filled: Mapping[int, set[int]], lines: Sequence[int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the columns that hold something, and those that hold nothing.

    Neither holds a header over a single number, such as "η", where the table has more rows.
    """
    wanted = set(columns.values())
    held = Counter(column for line in lines for column in filled[line] & wanted)
    counts = {name: held[column] for name, column in columns.items()}
    empty = {name for name, count in counts.items() if not count and name[0] not in "itwbη"}
    few = {name for name, count in counts.items() if count < 2 < len(lines) and name[0] not in "itwb"}
    few |= {name for name in columns if name == "η" and counts[name] < len(lines) / 2}
    kept = {name: column for name, column in columns.items() if name not in few and name not in empty}
    # A text farther away in the header's row, such as a chart's title, is no header of this table.
    places = {columns[name] for name in empty}
    reach = max(kept.values(), default=0)
    while reach + 1 in places:
        reach += 1
    return kept, {name: columns[name] for name in columns if name in empty and columns[name] <= reach}


def _segments(names: Mapping[int, str]) -> list[dict[str, int]]:
    """Cut a header row into tables: a name that comes again opens the next one, or is the updated weight of this."""
    segments: list[dict[str, int]] = [{}]
    last = {name: column for column, name in sorted(names.items())}
    reach = 0  # the last column with a name that this table has and that is not a parameter's
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
    tables: list[dict[str, int]] = []
    for segment in segments:
        if _is_header(segment) or not tables:
            tables.append(segment)
        else:  # a column that is there twice, for a chart perhaps, does not cut the table in two
            tables[-1] = segment | tables[-1]
    return [_from_one(table) for table in tables if _is_header(table)]


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


def _lines(filled: Mapping[int, set[int]], columns: Mapping[str, int], header: int, stop: int | None) -> list[int]:
    """Return the rows under a header in which at least two of its columns hold something, up to a gap or `stop`.

    Without a weight a row under others is a sum or an average of them. After a blank row only one that is filled like
    the others goes on with the table: a list below it does not.
    """
    places = set(columns.values())
    weights = {column for name, column in columns.items() if name.removeprefix("new ")[0] == "w"}
    lines: list[int] = []
    line, gap, usual = header + 1, 0, 0
    while gap <= BLANK_ROWS and (stop is None or line < stop):
        held = places & filled.get(line, set())
        goes_on = not lines or (held & weights and not (gap and len(held) < 0.6 * usual))
        if len(held) >= 2 and goes_on:
            lines.append(line)
            gap, usual = 0, max(usual, len(held))
        else:
            gap += 1
        line += 1
    return lines

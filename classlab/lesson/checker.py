"""The check of somebody's workbook: per column right, or the first wrong cell, what belongs there, the likely slip.

Every cell is held against the other cells of its own row (an update against the row before), so that an error is told
from its consequences: what follows rightly from a wrong cell is right.
"""

import gc
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from classlab import limits
from classlab.errors import UserError, listing
from classlab.lesson import book as books
from classlab.lesson import book_tables, headers, recognise, slips
from classlab.lesson.book_tables import Key, Table
from classlab.lesson.formula import Address, Formula, letters
from classlab.lesson.functions import FormulaError
from classlab.lesson.meter import Meter, Spent
from classlab.lesson.quantities import RATE
from classlab.lesson.reading import Broken, Held, Missing, Reading, held
from classlab.lesson.whole_columns import right_cells

MOST_FINDINGS = 5
MOST_COMBINED = 4
MOST_REMARKS = 20
STEPS_PER_CELL = 10  # that it takes to judge one, besides what is computed
LONGEST_FORMULA = 1_000  # characters of one that is shown


@dataclass(frozen=True)
class Finding:
    """A wrong cell: what it holds and should hold, its formula and a right one, the likely slip, how many share it."""

    cell: str
    holds: float | str | None
    formula: str | None
    should_hold: float | None
    should_be_formula: str | None
    slip: str
    cells: int


@dataclass(frozen=True)
class Column:
    """One column. verdict: right, wrong, given (inputs and targets) or unchecked (something it needs is missing)."""

    name: str
    header: str
    column: str
    verdict: str
    wrong_cells: int = 0
    findings: Sequence[Finding] = ()


@dataclass(frozen=True)
class TableCheck:
    """One table: the network and settings recognised, its columns, and remarks that are no errors."""

    sheet: str
    cells: str
    rows: int
    network: str
    settings: str
    like: str | None
    learning_rate: float | None
    learning_rate_cell: str | None
    columns: Sequence[Column]
    remarks: Sequence[str]

    @property
    def right(self) -> bool:
        """Whether no column is wrong."""
        return not any(column.verdict == "wrong" for column in self.columns)


@dataclass(frozen=True)
class Check:
    """A whole workbook."""

    file: str
    tables: Sequence[TableCheck]
    remarks: Sequence[str] = ()

    @property
    def right(self) -> bool:
        """Whether every table is right."""
        return all(table.right for table in self.tables)


@dataclass
class _Judged:
    """A reading with what was found wrong in it.

    wrong: what a wrong cell should hold by its row as it is, and, where that differs, by its row as it should be.
    told: what is said after its address, where it is no slip in a formula.
    right: the cells of each column that were found right all at once.
    dropped: how many cells are not judged because that would be too much work.
    """

    reading: Reading
    wrong: dict[Key, tuple[float, ...]] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)
    told: dict[Key, str] = field(default_factory=dict)
    right: Mapping[str, np.ndarray] = field(default_factory=dict)
    dropped: int = 0


def check(file: Path) -> Check:
    """Check a workbook. Raises UserError, one sentence, for a file that cannot be read or holds no table to check."""
    collecting = gc.isenabled()
    gc.disable()  # all that is made lives to the end: to look for garbage in it takes a sixth of the time
    try:
        return _check(file)
    finally:
        if collecting:
            gc.enable()


def _check(file: Path) -> Check:
    book = books.read(file)
    rest = book.meter.part(0.1)  # for when all formulas are calculated
    found = book_tables.find(book)
    if not found:
        raise UserError(
            f"{file} holds no table to check: a row of headers such as w1, w2, h1, a_h1, o1, E_tot, ∂E/∂w1 over numbers"
        )
    columns = [held(book, table) for table in found]
    rest.give_back(book.meter.part(0.9))
    recognising = rest.part(0.4)
    readings, problems = _readings(book, found, columns, recognising)
    if not readings:
        raise UserError(f"{file}, {problems[0]}")
    rest.give_back(recognising)
    judging = rest.part(0.75)
    judged = [_judge(read, judging) for read in readings]
    rest.give_back(judging)
    for table in judged:
        table.reading.meter = rest
    _compare_starts(judged)
    remarks = [str(problem) for problem in problems]
    return Check(str(file), [_table_check(table) for table in judged], remarks)


def _readings(
    book: books.Book, found: Sequence[Table], columns: Sequence[Mapping[str, Held]], meter: Meter
) -> tuple[list[Reading], list[UserError]]:
    """Return the tables read as networks, and what speaks against the others."""
    written = [book_tables.rates(book, table) for table in found]
    nearest = [book_tables.nearest(rates) for rates in written]
    readings: list[Reading] = []
    problems: list[UserError] = []
    for index, table in enumerate(found):
        theirs = [*nearest[:index], *nearest[index + 1 :]]
        try:
            readings.append(recognise.read(book, table, columns[index], written[index], theirs, meter))
        except UserError as problem:
            problems.append(problem)
        except Spent:
            problems.append(UserError(f"sheet {table.sheet!r}: this table takes too much work to recognise"))
    return readings, problems


def _judge(read: Reading, meter: Meter) -> _Judged:
    read.meter = meter
    judged = _Judged(read, right=right_cells(read))
    for name in read.order:
        if read.is_given(name):
            _judge_given(judged, name)
    for row, name in itertools.product(range(len(read.table.lines)), read.order):
        if name in judged.right and judged.right[name][row]:
            judged.checked.add(name)
            continue
        kind = read.quantities[name].kind if name in read.quantities else "link"
        if kind in ("input", "target") or (kind in ("weight", "bias") and row == 0):
            continue
        try:
            if read.book.dropped and read.table.address(name, row) in read.book.dropped:
                raise Spent
            meter.spend(STEPS_PER_CELL)
            _judge_cell(judged, (name, row))
        except Spent:
            judged.dropped += 1
            judged.unchecked.add(name)
    judged.unchecked -= judged.checked  # a first row without gradients is no loss
    return judged


def _judge_cell(judged: _Judged, key: Key) -> None:
    read, (name, row) = judged.reading, key
    address = read.table.address(name, row)
    cell = read.book.cells.get(address)
    used: set[Key] = set()
    try:
        expected = read.expected(name, row, used=used)
    except Broken:  # something it needs holds no number; then only the formula itself can be judged
        if cell is not None and cell.formula is not None:
            right = slips.is_right_formula(read, key)
            if right is None:
                judged.unchecked.add(name)
            elif not right:
                judged.wrong[key] = ()
        return
    except Missing:
        if cell is not None:
            judged.unchecked.add(name)
        return
    if cell is None:
        if _belongs(read, key):
            judged.wrong[key] = (expected,)
        return
    judged.checked.add(name)
    value = read.book.value(address)
    if isinstance(value, FormulaError) and str(value) == books.NOT_CALCULATED:
        judged.unchecked.add(name)
        judged.checked.discard(name)
        return
    if read.agrees(name, row, expected) or _agrees_otherwise(judged, key, used):
        return
    if cell.formula is not None and slips.is_right_formula(read, key):
        return
    mended = {one: fixed[-1] for one in used if (fixed := judged.wrong.get(one))}
    judged.wrong[key] = tuple(dict.fromkeys([expected, read.expected(*key, mended)]))


def _agrees_otherwise(judged: _Judged, key: Key, used: set[Key]) -> bool:
    """Say whether the cell follows from its row once wrong cells there hold what they should: those are to blame."""
    read = judged.reading
    suspects = [one for one in sorted(used) if judged.wrong.get(one)]
    choices = [
        [None, *judged.wrong[one]] if len(suspects) <= MOST_COMBINED else [judged.wrong[one][-1]] for one in suspects
    ]
    for chosen in itertools.product(*choices):
        instead = {one: number for one, number in zip(suspects, chosen, strict=True) if number is not None}
        if instead and read.agrees(*key, read.expected(*key, instead)):
            return True
    return False


def _belongs(read: Reading, key: Key) -> bool:
    """Say whether an empty cell should be filled: the column is filled elsewhere, and most of the row here."""
    name, row = key
    across = [read.held[other].cells[row] is not None for other in read.order]
    return read.held[name].count >= len(read.table.lines) / 2 and sum(across) > 0.6 * len(across)


def _judge_given(judged: _Judged, name: str) -> None:
    """Inputs and targets stay: a cell that differs from the others is wrong, and so is a series filled down."""
    read = judged.reading
    rows = range(len(read.table.lines))
    numbers = {row: number for row in rows if (number := read.own(name, row)) is not None}
    if len(set(numbers.values())) <= 1:
        return
    usual, times = Counter(numbers.values()).most_common(1)[0]
    first = next(iter(numbers.values()))
    steps = {round(b - a, 9) for a, b in itertools.pairwise(numbers.values())}
    if times >= 0.6 * len(numbers):
        wanted = usual
    elif len(steps) == 1 or all(read.held[name].formulas[row] for row in numbers):
        wanted = first
    else:
        return  # each row has an example of its own
    series = len(steps) == 1 and len(numbers) > 2
    why = "a series was filled down" if series else f"{name} is the same in every row"
    for row, number in numbers.items():
        if number != wanted:
            judged.wrong[name, row] = (wanted,)
            judged.told[name, row] = f"holds {number:g} where {wanted:g} belongs: {why}"


def _compare_starts(judged: Sequence[_Judged]) -> None:
    """Where all other tables start from the same parameters, inputs and targets, one that does not is wrong."""
    shapes = {one.reading.shape.sizes for one in judged}
    if len(judged) < 3 or len(shapes) > 1:
        return
    for name, quantity in judged[0].reading.quantities.items():
        if quantity.kind not in ("weight", "bias"):
            continue
        starts = [one.reading.own(name, 0) if name in one.reading.table.columns else None for one in judged]
        usual, times = Counter(starts).most_common(1)[0]
        if usual is None or times != len(judged) - 1:
            continue
        odd = next(index for index, start in enumerate(starts) if start != usual)
        start = starts[odd]
        if start is not None:
            judged[odd].wrong[name, 0] = (usual,)
            judged[odd].told[name, 0] = f"starts at {start:g} where all other sheets start at {usual:g}"


def _table_check(judged: _Judged) -> TableCheck:
    read = judged.reading
    table, shape = read.table, read.shape
    names = {"squared_error": "½ squared error", "whole_squared_error": "squared error without the ½"}
    loss = names.get(shape.loss, "cross-entropy")
    biases = "with biases" if shape.biases else "no biases"
    rate = read.rate
    at = read.rate_at.address if read.rate_at and read.rate_at.address.row else None
    corners = [table.header_address(min(table.columns, key=lambda name: table.columns[name]))]
    corners.append(table.address(max(table.columns, key=lambda name: table.columns[name]), len(table.lines) - 1))
    wrong: dict[str, list[int]] = {}
    for name, row in sorted(judged.wrong):
        wrong.setdefault(name, []).append(row)
    order = sorted(read.order, key=lambda name: table.columns[name])
    return TableCheck(
        sheet=table.sheet,
        cells=":".join(map(str, corners)),
        rows=len(table.lines),
        network="-".join(map(str, shape.sizes)),
        settings=f"{shape.hidden} hidden, {shape.output} output, {loss}, {biases}",
        like=recognise.like(read),
        learning_rate=rate,
        learning_rate_cell=str(at) if at else None,
        columns=[_column(judged, name, wrong.get(name, [])) for name in order],
        remarks=_remarks(judged),
    )


def _column(judged: _Judged, name: str, rows: Sequence[int]) -> Column:
    """Return what is found of a column; `rows` are its wrong cells, the first first."""
    read = judged.reading
    at = read.table.header_address(name)
    header = str(read.book.cells[at].value).strip()
    where = str(at.row) if read.table.turned else letters(at.column)
    if not rows:
        verdict = "given" if read.is_given(name) else "unchecked" if name in judged.unchecked else "right"
        return Column(name, header, where, verdict)
    groups: dict[object, list[int]] = {}
    for row in rows:
        groups.setdefault(read.held[name].known[row], []).append(row)
    first = sorted(groups.values(), key=lambda group: group[0])[:MOST_FINDINGS]
    return Column(name, header, where, "wrong", len(rows), [_finding(judged, name, group) for group in first])


def _finding(judged: _Judged, name: str, rows: Sequence[int]) -> Finding:
    read, key = judged.reading, (name, rows[0])
    address = read.table.address(*key)
    value = read.book.value(address)
    holds = value if isinstance(value, float | bool) or value is None else _cut(str(value), limits.ECHO)
    wanted = next(iter(judged.wrong[key]), None)
    formula = read.book.written(address)
    return Finding(
        cell=str(address),
        holds=holds,
        formula=_cut(formula, LONGEST_FORMULA) if formula else None,
        should_hold=wanted if wanted is not None and math.isfinite(wanted) else None,
        should_be_formula=slips.right_formula(read, key) if key not in judged.told else None,
        slip=_slip(judged, key, rows),
        cells=len(rows),
    )


def _slip(judged: _Judged, key: Key, rows: Sequence[int]) -> str:
    """Return the likely slip, in a sentence that begins with the cell's address."""
    read = judged.reading
    address = read.table.address(*key)
    try:
        if key not in judged.told:
            return slips.diagnose(read, key, rows)
        moved = slips.moved_reference(read, key) if read.is_given(key[0]) else None
        return f"{address} {moved or judged.told[key]}"
    except Spent:
        return f"{address} {judged.told.get(key, 'does not hold what its row makes of it')}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _remarks(judged: _Judged) -> list[str]:
    read = judged.reading
    table = read.table
    remarks = [read.taken] if read.taken else []
    if read.rate_at is None and RATE not in table.columns and read.rate is not None:
        remarks.append(f"no learning rate is written on the sheet; the updates follow {read.rate:.6g}")
    nearest = book_tables.nearest(read.written) if read.rate_at else None
    if nearest and read.rate is not None and not math.isclose(nearest.value, read.rate, rel_tol=0.02):
        remarks.append(
            f"the updates follow η = {read.rate:g}; nearer to the table stands {nearest.value:g} ({nearest.address})"
        )
    named = headers.rate_in(table.sheet)
    if named is not None and read.rate is not None and not math.isclose(named, read.rate, rel_tol=0.02):
        remarks.append(f"the sheet is named {table.sheet!r}, its learning rate is {read.rate:g}")
    remarks += _of_cells(judged)
    return remarks[:MOST_REMARKS]


def _of_cells(judged: _Judged) -> list[str]:
    """Return the remarks on numbers typed as texts, values that are stored wrongly, and what is not checked."""
    read = judged.reading
    stale: list[Address] = []
    texts: list[Address] = []
    typed: dict[str, Address] = {}
    for name, column in read.held.items():
        by_hand: list[int] = []
        for row, (cell, now) in enumerate(zip(column.cells, column.numbers, strict=True)):
            if cell is None or (cell.formula is not None and cell.value == now and now is not None):
                continue
            if cell.formula is None:
                if isinstance(cell.value, float):
                    by_hand.append(row)
                elif now is not None:
                    texts.append(read.table.address(name, row))
            elif now is None:
                continue
            elif isinstance(cell.value, float) and not math.isclose(cell.value, now, rel_tol=1e-6, abs_tol=1e-9):
                stale.append(read.table.address(name, row))
        by_hand = [row for row in by_hand if row > 0 and (name, row) not in judged.wrong]
        if 0 < len(by_hand) < sum(column.formulas):
            typed[name] = read.table.address(name, by_hand[0])
    remarks: list[str] = []
    if judged.dropped:
        remarks.append(f"{judged.dropped:,} cells are not checked: the workbook asks for more work than a check does")
    if judged.unchecked:
        names = listing(sorted(judged.unchecked), 40)
        remarks.append(f"not checked, for want of numbers to check them against: {names}")
    if texts:
        remarks.append(
            f"{min(texts)} holds its number as text"
            + (f", and so do {len(texts) - 1:,} more cells" if len(texts) > 1 else "")
        )
    if stale:
        remarks.append(
            f"{len(stale)} cells, first {min(stale)}, store other values than their formulas give; recalculate"
        )
    remarks += _by_chance(judged)
    for name, address in sorted(typed.items(), key=lambda item: item[1]):
        remarks.append(f"{address} holds a number typed over its formula ({name}); the number is right")
    return remarks


def _by_chance(judged: _Judged) -> Iterator[str]:
    """Yield a remark for each formula that would be wrong with other inputs, targets or another rate."""
    read = judged.reading
    for name, column in read.held.items():
        seen: set[Formula | None] = {None}
        for row, formula in enumerate(column.known):
            if formula in seen or (name, row) in judged.wrong:
                continue
            seen.add(formula)
            try:
                slip = slips.right_by_chance(read, (name, row))
            except Spent:
                return
            if slip:
                yield f"{read.table.address(name, row)} {slip}; the number is right only because both are equal here"


def as_json(found: Check) -> Mapping[str, object]:
    """Return the check as plain data for --json."""
    whole: dict[str, Any] = asdict(found)
    whole["right"] = found.right
    for plain, table in zip(whole["tables"], found.tables, strict=True):
        plain["right"] = table.right
        for column in plain["columns"]:
            column["first_wrong"] = column["findings"][0] if column["findings"] else None
    return whole

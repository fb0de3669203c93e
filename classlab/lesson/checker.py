"""The check of somebody's workbook: per column right, or the first wrong cell, what belongs there, the likely slip.

Every cell is compared with the other cells of its own row (an update with the row before). So an error is separated
from its consequences: what follows correctly from a wrong cell is right.
"""

import gc
import itertools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from classlab import limits
from classlab.errors import UserError, listing
from classlab.lesson import book as books
from classlab.lesson import book_tables, headers, recognise, slips
from classlab.lesson.adopted_columns import adopted
from classlab.lesson.book_tables import Key, Table
from classlab.lesson.formula import Address, Formula, letters, unknown_functions
from classlab.lesson.functions import FormulaError
from classlab.lesson.meter import Meter, WorkSpent
from classlab.lesson.reading import BrokenQuantity, HeldColumn, MissingQuantity, Reading, held
from classlab.lesson.whole_columns import right_cells

MOST_FINDINGS = 5
MOST_COMBINED = 4
MOST_REMARKS = 20
# What remarks that are alike may differ in: cells, columns, rows and the names of quantities.
SAME_REMARK = re.compile(r"\$?\b[A-Z]{1,3}\$?\d+\b|\(column [A-Z]+\)|\(row \d+\)|E_tot|[∂/a-zA-Z_]+\d+")
MOST_GIVENS = 20  # different numbers of an input or a target that others are compared with
STEPS_PER_CELL = 10  # that it takes to judge one, besides what is computed
STEPS_PER_TABLE = 4_000_000  # that may be spent on saying what is wrong in one, a second and a half
STEPS_PER_FINDING = 600_000
LONGEST_FORMULA = 1_000  # characters of one that is shown


@dataclass(frozen=True)
class Finding:
    """A wrong cell: what it holds and should hold, its formula and a right one, the likely slip, how many share it.

    `known_slip` names a slip that many workbooks have, because the sheet they are copied from has it.
    """

    cell: str
    holds: float | str | None
    formula: str | None
    should_hold: float | None
    should_be_formula: str | None
    slip: str
    cells: int
    known_slip: str | None = None


@dataclass(frozen=True)
class Column:
    """One column.

    verdict: right, wrong, given (inputs and targets), unchecked (something it needs is missing), unfinished (cells are
    missing) or not read (its header means nothing to us; the name is empty).
    """

    name: str
    header: str
    column: str
    verdict: str
    wrong_cells: int = 0
    findings: Sequence[Finding] = ()


@dataclass(frozen=True)
class TableCheck:
    """One table: the network and settings recognised, its columns, and remarks that are not errors."""

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
    def verdict(self) -> str:
        """wrong, where a column is; else unfinished, where cells are missing; else right."""
        verdicts = {column.verdict for column in self.columns}
        return (
            "wrong" if "wrong" in verdicts else "unfinished" if "unfinished" in verdicts or not self.rows else "right"
        )

    @property
    def right(self) -> bool:
        """Whether no column is wrong, and none unfinished."""
        return self.verdict == "right"


@dataclass(frozen=True)
class Check:
    """A whole workbook."""

    file: str
    tables: Sequence[TableCheck]
    remarks: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """wrong, unfinished or right: that of the worst table."""
        verdicts = {table.verdict for table in self.tables}
        return next(verdict for verdict in ("wrong", "unfinished", "right") if verdict in verdicts)

    @property
    def right(self) -> bool:
        """Whether every table is right."""
        return self.verdict == "right"


@dataclass
class _Judgement:
    """A reading with what was found wrong in it.

    wrong: what a wrong cell should hold by its row as it is, and, where that differs, by its row as it should be.
    unknown: columns with a cell that cannot be judged for what it takes: a function, or a column that is not read.
    reasons: why a cell is wrong, to be said after its address, where that is not a slip in a formula.
    right: the cells of each column that were found right all at once.
    ends: the last row that each computed column fills; unfinished: those that end before the table, or hold nothing.
    dropped: how many cells are not judged because that would be too much work.
    """

    reading: Reading
    wrong: dict[Key, tuple[float, ...]] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)
    reasons: dict[Key, str] = field(default_factory=dict)
    right: Mapping[str, np.ndarray] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
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
    tables = book_tables.find(book)
    if not tables:
        raise UserError(
            f"{file} holds no table to check: a row of headers such as w1, w2, h1, a_h1, o1, E_tot, ∂E/∂w1 over numbers"
        )
    filled = [adopted(book, table) for table in tables if table.lines]
    columns = [held(book, table) for table in filled]
    rest.give_back(book.meter.part(0.9))
    recognising = rest.part(0.4)
    readings, problems = _readings(book, filled, columns, recognising)
    if filled and not readings:
        raise UserError(f"{file}, {problems[0]}")
    rest.give_back(recognising)
    judging = rest.part(0.75)
    judged = [_judge(reading, judging) for reading in readings]
    rest.give_back(judging)
    _compare_starts(judged)
    rates = {table.reading.rate_at.address for table in judged if table.reading.rate_at}
    found = [_table_check(table, rates, rest) for table in judged]
    found += [_empty_check(table) for table in tables if not table.lines]
    remarks = [*book.remarks, *map(str, problems)]
    return Check(str(file), sorted(found, key=lambda table: book.sheets.index(table.sheet)), remarks)


def _readings(
    book: books.Book, tables: Sequence[Table], columns: Sequence[Mapping[str, HeldColumn]], meter: Meter
) -> tuple[list[Reading], list[UserError]]:
    """Return the tables read as networks, and what speaks against the others."""
    written = [book_tables.rates(book, table) for table in tables]
    nearest = [book_tables.nearest(rates) for rates in written]
    readings: list[Reading] = []
    problems: list[UserError] = []
    for index, table in enumerate(tables):
        theirs = [*nearest[:index], *nearest[index + 1 :]]
        try:
            readings.append(recognise.read(book, table, columns[index], written[index], theirs, meter))
        except UserError as problem:
            problems.append(problem)
        except WorkSpent:
            problems.append(UserError(f"sheet {table.sheet!r}: this table takes too much work to recognise"))
    return readings, problems


def _judge(reading: Reading, meter: Meter) -> _Judgement:
    reading.meter = meter
    judged = _Judgement(reading, right=right_cells(reading), ends=_ends(reading))
    judged.unfinished = _unfinished(judged)
    for name in reading.order:
        if reading.is_given(name):
            _judge_given(judged, name)
    for row, name in itertools.product(range(len(reading.table.lines)), reading.order):
        if name in judged.right and judged.right[name][row]:
            judged.checked.add(name)
            continue
        kind = reading.quantities[name].kind if name in reading.quantities else "link"
        if kind in ("input", "target") or (kind in ("weight", "bias") and row == 0):
            continue
        try:
            if reading.book.dropped and reading.table.address(name, row) in reading.book.dropped:
                raise WorkSpent
            meter.spend(STEPS_PER_CELL)
            _judge_cell(judged, (name, row))
        except WorkSpent:
            judged.dropped += 1
            judged.unchecked.add(name)
    judged.unchecked -= judged.checked - set(judged.unknown)  # a first row without gradients is no loss
    return judged


def _judge_cell(judged: _Judgement, key: Key) -> None:
    reading, (name, row) = judged.reading, key
    address = reading.table.address(name, row)
    cell = reading.book.cells.get(address)
    used: set[Key] = set()
    try:
        expected = reading.expected(name, row, used=used)
    except BrokenQuantity:  # something it needs holds no number; then only the formula itself can be judged
        if cell is not None and cell.formula is not None and not _is_right_or_unknown(judged, key):
            judged.wrong[key] = ()
        return
    except MissingQuantity:
        if cell is not None:
            judged.unchecked.add(name)
        return
    if cell is None:
        if _belongs(judged, key):
            judged.wrong[key] = (expected,)
        return
    value = reading.book.value(address)
    if isinstance(value, FormulaError) and str(value) == books.NOT_CALCULATED:
        judged.unchecked.add(name)
        judged.unknown.setdefault(name, _unknown(reading, address))
        return
    if reading.agrees(name, row, expected) or _agrees_otherwise(judged, key, used):
        judged.checked.add(name)
        return
    if not _is_right_or_unknown(judged, key):
        judged.checked.add(name)
        mended = {used_key: fixed[-1] for used_key in used if (fixed := judged.wrong.get(used_key))}
        judged.wrong[key] = tuple(dict.fromkeys([expected, reading.expected(*key, mended)]))


def _is_right_or_unknown(judged: _Judgement, key: Key) -> bool:
    """Say whether a cell is right by its formula, whatever other cells hold, or cannot be judged, which is noted."""
    reading, (name, row) = judged.reading, key
    address = reading.table.address(name, row)
    right = slips.is_right_formula(reading, key) if reading.book.cells[address].formula is not None else False
    if right is None or (not right and slips.takes_what_is_not_read(reading, key)):
        judged.unchecked.add(name)
        judged.unknown.setdefault(name, _unknown(reading, address) if right is None else "a column that is not read")
        return True
    if right:
        judged.checked.add(name)
    return right


def _unknown(reading: Reading, address: Address) -> str:
    """Say what is in a cell's formula that we do not calculate."""
    tree = reading.book.tree(address)
    name = None if tree is None else next(unknown_functions(tree), None)
    return f"{name}, a function that is not calculated here" if name else "a formula that is not calculated here"


def _agrees_otherwise(judged: _Judgement, key: Key, used: set[Key]) -> bool:
    """Say whether the cell follows from its row once wrong cells there hold what they should: those are to blame."""
    reading = judged.reading
    suspects = [suspect for suspect in sorted(used) if judged.wrong.get(suspect)]
    choices = [
        [None, *judged.wrong[suspect]] if len(suspects) <= MOST_COMBINED else [judged.wrong[suspect][-1]]
        for suspect in suspects
    ]
    for chosen in itertools.product(*choices):
        instead = {suspect: number for suspect, number in zip(suspects, chosen, strict=True) if number is not None}
        if instead and reading.agrees(*key, reading.expected(*key, instead)):
            return True
    return False


def _belongs(judged: _Judgement, key: Key) -> bool:
    """Say whether an empty cell should be filled: the column is filled elsewhere, and most of the row here."""
    reading, (name, row) = judged.reading, key
    across = [reading.held[other].cells[row] is not None for other in reading.order]
    return (
        row < judged.ends[name]
        and reading.held[name].count >= len(reading.table.lines) / 2
        and sum(across) > 0.6 * len(across)
    )


def _ends(reading: Reading) -> dict[str, int]:
    """Return the last row that each computed column fills, -1 for none."""
    ends: dict[str, int] = {}
    for name in reading.order:
        if not reading.is_given(name):
            cells = reading.held[name].cells
            ends[name] = max((row for row, cell in enumerate(cells) if cell is not None), default=-1)
    return ends


def _unfinished(judged: _Judgement) -> set[str]:
    """Return the columns that hold nothing, or stop rows before others do.

    Weights go a row further than what is computed from them, and in the last row nothing needs their gradients.
    """
    kinds = {name: judged.reading.kind(name) for name in judged.ends}
    others = sorted((end for name, end in judged.ends.items() if kinds[name] not in ("parameter", "new")), reverse=True)
    last = others[min(2, len(others) - 1)] if others else -1
    spare = {name: kind in ("gradient", "link", "delta", "new") for name, kind in kinds.items()}
    return {name for name, end in judged.ends.items() if end < max(last - spare[name], 0)}


def _judge_given(judged: _Judgement, name: str) -> None:
    """Inputs and targets stay: a cell that differs from the others is wrong, and so is a series filled down.

    Numbers that differ in their last digits only are one: a spreadsheet's fill-down leaves 0.989999999999999 for 0.99.
    """
    reading = judged.reading
    numbers: dict[int, float] = {}
    kept: list[float] = []
    for row in range(len(reading.table.lines)):
        number = reading.number(name, row)
        if number is not None:
            same = next((other for other in kept[:MOST_GIVENS] if math.isclose(number, other, rel_tol=1e-9)), number)
            numbers[row] = same
            if same == number and number not in kept[:MOST_GIVENS]:
                kept.append(number)
    if len(set(numbers.values())) <= 1:
        return
    usual, times = Counter(numbers.values()).most_common(1)[0]
    first = next(iter(numbers.values()))
    steps = {round(b - a, 9) for a, b in itertools.pairwise(numbers.values())}
    if times >= 0.6 * len(numbers):
        # More cells may have a change only because they are more that were filled down after it.
        wanted = first if list(numbers.values())[1] == first else usual
    elif len(steps) == 1 or all(reading.held[name].formulas[row] for row in numbers):
        wanted = first
    else:
        return  # each row has an example of its own
    series = len(steps) == 1 and len(numbers) > 2
    why = "a series was filled down" if series else f"{name} is the same in every row"
    for row, number in numbers.items():
        if number != wanted:
            judged.wrong[name, row] = (wanted,)
            judged.reasons[name, row] = f"holds {number:.10g} where {wanted:.10g} belongs: {why}"


def _compare_starts(judged: Sequence[_Judgement]) -> None:
    """Where all other tables start from the same parameters, inputs and targets, one that does not is wrong."""
    shapes = {table.reading.shape.sizes for table in judged}
    if len(judged) < 3 or len(shapes) > 1:
        return
    for name, quantity in judged[0].reading.quantities.items():
        if quantity.kind not in ("weight", "bias"):
            continue
        starts = [_start(table.reading, name) for table in judged]
        usual, times = Counter(starts).most_common(1)[0]
        if usual is None or times != len(judged) - 1:
            continue
        odd = next(index for index, start in enumerate(starts) if start != usual)
        start = starts[odd]
        if start is not None:
            judged[odd].wrong[name, 0] = (usual,)
            judged[odd].reasons[name, 0] = f"starts at {start:g} where all other sheets start at {usual:g}"


def _start(reading: Reading, name: str) -> float | None:
    """Return the first number of a column, to the digits that a fill-down leaves right; None where there is none."""
    start = reading.number(name, 0) if name in reading.table.columns else None
    return None if start is None else float(f"{start:.12g}")


def _empty_check(table: Table) -> TableCheck:
    """Return the check of a header with nothing under it."""
    corners = [table.header_at(place(table.columns.values())) for place in (min, max)]
    at = ":".join(map(str, corners))
    return TableCheck(table.sheet, at, 0, "", "", None, None, None, [], ["there is nothing under these headers"])


def _table_check(judged: _Judgement, rates: Collection[Address], meter: Meter) -> TableCheck:
    """Return what is found of a table. `rates` are the cells from which the tables of the workbook take theirs."""
    reading = judged.reading
    reading.meter = meter.up_to(STEPS_PER_TABLE)
    table, shape = reading.table, reading.shape
    names = {"squared_error": "½ squared error", "whole_squared_error": "squared error without the ½"}
    loss = names.get(shape.loss, "cross-entropy")
    biases = "with biases" if shape.biases else "no biases"
    rate = reading.rate
    at = reading.rate_at.address if reading.rate_at and reading.rate_at.address.row else None
    corners = [table.header_address(min(table.columns, key=lambda name: table.columns[name]))]
    corners.append(table.address(max(table.columns, key=lambda name: table.columns[name]), len(table.lines) - 1))
    findings = _findings(judged)
    order = sorted(reading.order, key=lambda name: table.columns[name])
    columns = [_column(judged, name, findings.get(name, [])) for name in order] + _unread_columns(reading)
    remarks = _remarks(judged, rates)
    meter.give_back(reading.meter)
    return TableCheck(
        sheet=table.sheet,
        cells=":".join(map(str, corners)),
        rows=len(table.lines),
        network="-".join(map(str, shape.sizes)),
        settings=f"{shape.hidden} hidden, {shape.output} output, {loss}, {biases}",
        like=recognise.like(reading),
        learning_rate=rate,
        learning_rate_cell=str(at) if at else None,
        columns=columns,
        remarks=remarks,
    )


def _findings(judged: _Judgement) -> dict[str, list[Finding]]:
    """Return what is wrong in each column, one finding for the cells that hold one formula, the first cell first.

    The first of every column come before the second of any, so that each is explained where all is wrong.
    """
    reading = judged.reading
    groups: dict[str, dict[object, list[int]]] = {}
    for name, row in sorted(judged.wrong):
        groups.setdefault(name, {}).setdefault(reading.held[name].known[row], []).append(row)
    order = sorted(groups, key=lambda name: reading.table.columns[name])
    findings: dict[str, list[Finding]] = {name: [] for name in order}
    whole = reading.meter
    for place in range(MOST_FINDINGS):
        names = [name for name in order if place < len(groups[name])]
        for count, name in zip(range(len(names), 0, -1), names, strict=True):
            rows = list(groups[name].values())[place]
            reading.meter = whole.up_to(min(STEPS_PER_FINDING, whole.left // count))
            findings[name].append(_finding(judged, name, rows))
            whole.give_back(reading.meter)
    reading.meter = whole
    return findings


def _column(judged: _Judgement, name: str, findings: Sequence[Finding]) -> Column:
    """Return what is found of a column."""
    reading = judged.reading
    at = reading.table.header_address(name)
    header = str(reading.book.value(at) or "").strip()
    where = str(at.row) if reading.table.turned else letters(at.column)
    if not findings:
        verdict = "given" if reading.is_given(name) else "unchecked" if name in judged.unchecked else "right"
        return Column(name, header, where, "unfinished" if name in judged.unfinished else verdict)
    cells = sum(wrong == name for wrong, _ in judged.wrong)
    return Column(name, header, where, "wrong", cells, findings)


def _unread_columns(reading: Reading) -> list[Column]:
    """Return the columns with cells whose headers mean nothing to us, and those with a header and no cells."""
    table = reading.table
    named = [("", place, "not read") for place in table.unread]
    named += [(name, place, "unfinished") for name, place in table.empty.items()]
    columns: list[Column] = []
    for name, place, verdict in named:
        at = table.header_at(place)
        header = str(reading.book.value(at) or "").strip()
        columns.append(
            Column(name, _cut(header, limits.ECHO), str(at.row) if table.turned else letters(at.column), verdict)
        )
    return columns


def _finding(judged: _Judgement, name: str, rows: Sequence[int]) -> Finding:
    reading, key = judged.reading, (name, rows[0])
    address = reading.table.address(*key)
    value = reading.book.value(address)
    holds = value if isinstance(value, float | bool) or value is None else _cut(str(value), limits.ECHO)
    wanted = next(iter(judged.wrong[key]), None)
    formula = reading.book.written(address)
    known = None if key in judged.reasons or value is None else slips.known_slip(reading, key, rows)
    return Finding(
        cell=str(address),
        holds=holds,
        formula=_cut(formula, LONGEST_FORMULA) if formula else None,
        should_hold=wanted if wanted is not None and math.isfinite(wanted) else None,
        should_be_formula=slips.right_formula(reading, key) if key not in judged.reasons else None,
        slip=_slip(judged, key, rows),
        cells=len(rows),
        known_slip=known.name if known else None,
    )


def _slip(judged: _Judgement, key: Key, rows: Sequence[int]) -> str:
    """Return the likely slip, in a sentence that begins with the cell's address."""
    reading = judged.reading
    address = reading.table.address(*key)
    try:
        if key not in judged.reasons:
            return slips.diagnose(reading, key, rows)
        moved = slips.moved_reference(reading, key) if reading.is_given(key[0]) else None
        return f"{address} {moved or judged.reasons[key]}"
    except WorkSpent:
        return f"{address} {judged.reasons.get(key, 'does not hold what its row makes of it')}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _remarks(judged: _Judgement, rates: Collection[Address]) -> list[str]:
    reading = judged.reading
    remarks = [reading.taken] if reading.taken else []
    for name, place in reading.table.by_use.items():
        at, updated = reading.table.header_at(place), name.removeprefix("∂E/∂")
        remarks.append(f"the column of {at} is read as {name}, because the updates of {updated} take it")
    return _grouped([*remarks, *_rate_remarks(reading, rates), *_cell_remarks(judged)])[:MOST_REMARKS]


def _rate_remarks(reading: Reading, rates: Collection[Address]) -> Iterator[str]:
    """Yield what was assumed of the learning rate, and which of the places where one is written disagree with it."""
    rate, at = reading.rate, reading.rate_at
    if rate is None:
        return
    if at is None:
        yield f"no learning rate is written on the sheet; the updates follow {rate:.6g}, from the first one on"
    elif not at.certain:
        yield f"nothing says where the learning rate stands; the first updates take it from {at.address}: {rate:.6g}"
    nearest = book_tables.nearest(reading.written) if at and at.certain else None
    if (
        nearest
        and nearest.certain
        and nearest.address not in rates
        and not math.isclose(nearest.value, rate, rel_tol=0.02)
    ):
        yield f"the updates follow η = {rate:g}; nearer to the table stands {nearest.value:g} ({nearest.address})"
    for kind, name in (("sheet", reading.table.sheet), ("file", reading.book.title)):
        named = headers.rate_in_name(name)
        if named is not None and not math.isclose(named, rate, rel_tol=0.02):
            yield f"the {kind} is named {name!r}, its learning rate is {rate:g}"


def _grouped(remarks: Sequence[str]) -> list[str]:
    """Return remarks that differ only in the cells and columns that they name as one, the first of them."""
    groups: dict[str, list[str]] = {}
    for remark in remarks:
        groups.setdefault(SAME_REMARK.sub("", remark), []).append(remark)
    return [
        group[0] + (f" (and {len(group) - 1:,} more like this)" if len(group) > 1 else "") for group in groups.values()
    ]


def _cell_remarks(judged: _Judgement) -> list[str]:
    """Return the remarks on numbers typed as texts, values that are stored wrongly, and what is not checked."""
    reading = judged.reading
    stale: list[Address] = []
    texts: list[Address] = []
    typed: dict[str, Address] = {}
    for name, column in reading.held.items():
        by_hand: list[int] = []
        for row, (cell, now) in enumerate(zip(column.cells, column.numbers, strict=True)):
            if cell is None or (cell.formula is not None and cell.value == now and now is not None):
                continue
            if cell.formula is None:
                if isinstance(cell.value, float):
                    by_hand.append(row)
                elif now is not None:
                    texts.append(reading.table.address(name, row))
            elif now is None:
                continue
            elif isinstance(cell.value, float) and not math.isclose(cell.value, now, rel_tol=1e-6, abs_tol=1e-9):
                stale.append(reading.table.address(name, row))
        by_hand = [row for row in by_hand if row > 0 and (name, row) not in judged.wrong]
        if 0 < len(by_hand) < sum(column.formulas):
            typed[name] = reading.table.address(name, by_hand[0])
    remarks: list[str] = []
    if judged.dropped:
        remarks.append(f"{judged.dropped:,} cells are not checked: the workbook asks for more work than a check does")
    without_numbers = judged.unchecked - set(judged.unknown)
    if without_numbers:
        names = listing(sorted(without_numbers), 40)
        remarks.append(f"not checked, because there are no numbers to check them against: {names}")
    for taken in dict.fromkeys(judged.unknown.values()):
        names = listing([name for name, what in judged.unknown.items() if what == taken], 40)
        remarks.append(f"not checked, for they take {taken}: {names}")
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


def _by_chance(judged: _Judgement) -> Iterator[str]:
    """Yield a remark for each formula that would be wrong with other inputs, targets or another rate."""
    reading = judged.reading
    for name, column in reading.held.items():
        seen: set[Formula | None] = {None}
        for row, formula in enumerate(column.known):
            if formula in seen or (name, row) in judged.wrong:
                continue
            seen.add(formula)
            try:
                slip = slips.right_by_chance(reading, (name, row))
            except WorkSpent:
                return
            if slip:
                yield f"{reading.table.address(name, row)} {slip}; the number is right only because both are equal here"


def as_json(result: Check) -> Mapping[str, object]:
    """Return the check as plain data for --json."""
    whole: dict[str, Any] = asdict(result)
    whole["right"], whole["verdict"] = result.right, result.verdict
    for plain, table in zip(whole["tables"], result.tables, strict=True):
        plain["right"], plain["verdict"] = table.right, table.verdict
        for column in plain["columns"]:
            column["first_wrong"] = column["findings"][0] if column["findings"] else None
    return whole

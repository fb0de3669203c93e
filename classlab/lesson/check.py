"""The check of somebody's workbook: per column right, or the first wrong cell, what belongs there, the likely slip.

Every cell is held against the other cells of its own row (an update against the row before), so that an error is told
from its consequences: what follows rightly from a wrong cell is right.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from classlab.errors import UserError
from classlab.lesson import book as books
from classlab.lesson import headers, recognise, slips, tables
from classlab.lesson.derivation import RATE
from classlab.lesson.formula import letters
from classlab.lesson.functions import FormulaError
from classlab.lesson.reading import Broken, Key, Missing, Reading

MOST_FINDINGS = 5
MOST_COMBINED = 4


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
    told: the sentence, where it is no slip in a formula.
    """

    reading: Reading
    wrong: dict[Key, tuple[float, ...]] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)
    told: dict[Key, str] = field(default_factory=dict)


def check(file: Path) -> Check:
    """Check a workbook. Raises UserError, one sentence, for a file that cannot be read or holds no table to check."""
    book = books.read(file)
    found = tables.find(book)
    if not found:
        raise UserError(
            f"{file} holds no table to check: a row of headers such as w1, w2, h1, a_h1, o1, E_tot, ∂E/∂w1 over numbers"
        )
    nearest = [tables.nearest_rate(book, table) for table in found]
    judged: list[_Judged] = []
    problems: list[UserError] = []
    for index, table in enumerate(found):
        try:
            judged.append(_judge(recognise.read(book, table, [*nearest[:index], *nearest[index + 1 :]])))
        except UserError as problem:
            problems.append(problem)
    if not judged:
        raise UserError(f"{file}, {problems[0]}")
    _compare_starts(judged)
    remarks = [str(problem) for problem in problems]
    return Check(str(file), [_table_check(one) for one in judged], remarks)


def _judge(read: Reading) -> _Judged:
    judged = _Judged(read)
    for name in read.order:
        if name in read.quantities and read.quantities[name].kind in ("input", "target"):
            _judge_given(judged, name)
    for row, name in itertools.product(range(len(read.table.lines)), read.order):
        kind = read.quantities[name].kind if name in read.quantities else "link"
        if kind in ("input", "target") or (kind in ("weight", "bias") and row == 0):
            continue
        _judge_cell(judged, (name, row))
    judged.unchecked -= judged.checked  # a first row without gradients is no loss
    return judged


def _judge_cell(judged: _Judged, key: Key) -> None:
    read, (name, row) = judged.reading, key
    cell = read.book.cells.get(read.table.address(name, row))
    used: set[Key] = set()
    try:
        expected = read.expected(name, row, used=used)
    except Broken:  # something it needs holds no number; then only the formula itself can be judged
        if cell is not None and cell.formula is not None and not slips.is_right_formula(read, key):
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
    value = read.book.value(read.table.address(name, row))
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
    rows = range(len(read.table.lines))
    filled = sum(read.book.cells.get(read.table.address(name, one)) is not None for one in rows)
    across = [read.book.cells.get(read.table.address(other, row)) is not None for other in read.order]
    return filled >= len(rows) / 2 and sum(across) > 0.6 * len(across)


def _judge_given(judged: _Judged, name: str) -> None:
    """Inputs and targets stay: a cell that differs from the others is wrong, and so is a series filled down."""
    read = judged.reading
    if name not in read.table.columns:
        return
    held = {row: read.own(name, row) for row in range(len(read.table.lines))}
    numbers = {row: number for row, number in held.items() if number is not None}
    if len(set(numbers.values())) <= 1:
        return
    usual, times = Counter(numbers.values()).most_common(1)[0]
    first = next(iter(numbers.values()))
    steps = {round(b - a, 9) for a, b in itertools.pairwise(numbers.values())}
    formulas = [read.book.cells.get(read.table.address(name, row)) for row in numbers]
    if times >= 0.6 * len(numbers):
        wanted = usual
    elif len(steps) == 1 or all(cell is not None and cell.formula is not None for cell in formulas):
        wanted = first
    else:
        return  # each row has an example of its own
    series = len(steps) == 1 and len(numbers) > 2
    why = "a series was filled down" if series else f"{name} is the same in every row"
    for row, number in numbers.items():
        if number != wanted:
            judged.wrong[name, row] = (wanted,)
            told = slips.moved_reference(read, (name, row)) or f"holds {number:g} where {wanted:g} belongs: {why}"
            judged.told[name, row] = f"{read.table.address(name, row)} {told}"


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
            address = judged[odd].reading.table.address(name, 0)
            judged[odd].wrong[name, 0] = (usual,)
            judged[odd].told[name, 0] = f"{address} starts at {start:g} where all other sheets start at {usual:g}"


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
    return TableCheck(
        sheet=table.sheet,
        cells=":".join(map(str, corners)),
        rows=len(table.lines),
        network="-".join(map(str, shape.sizes)),
        settings=f"{shape.hidden} hidden, {shape.output} output, {loss}, {biases}",
        like=recognise.like(read),
        learning_rate=rate,
        learning_rate_cell=str(at) if at else None,
        columns=[_column(judged, name) for name in sorted(read.order, key=lambda name: table.columns[name])],
        remarks=_remarks(judged),
    )


def _column(judged: _Judged, name: str) -> Column:
    read = judged.reading
    at = read.table.header_address(name)
    header = str(read.book.cells[at].value).strip()
    where = str(at.row) if read.table.turned else letters(at.column)
    rows = [row for wrong, row in judged.wrong if wrong == name]
    if not rows:
        kind = read.quantities[name].kind if name in read.quantities else "link"
        verdict = "given" if kind in ("input", "target") else "unchecked" if name in judged.unchecked else "right"
        return Column(name, header, where, verdict)
    groups: dict[object, list[int]] = {}
    for row in sorted(rows):
        tree = read.book.tree(read.table.address(name, row))
        groups.setdefault(tree, []).append(row)
    first = sorted(groups.values(), key=lambda group: group[0])[:MOST_FINDINGS]
    return Column(name, header, where, "wrong", len(rows), [_finding(judged, name, group) for group in first])


def _finding(judged: _Judged, name: str, rows: Sequence[int]) -> Finding:
    read, key = judged.reading, (name, rows[0])
    address = read.table.address(*key)
    cell = read.book.cells.get(address)
    value = read.book.value(address)
    holds = str(value) if isinstance(value, FormulaError) else value
    wanted = next(iter(judged.wrong[key]), None)
    return Finding(
        cell=str(address),
        holds=holds,
        formula=cell.formula if cell else None,
        should_hold=wanted if wanted is not None and math.isfinite(wanted) else None,
        should_be_formula=slips.right_formula(read, key) if key not in judged.told else None,
        slip=judged.told.get(key) or slips.diagnose(read, key, rows),
        cells=len(rows),
    )


def _remarks(judged: _Judged) -> list[str]:
    read = judged.reading
    table, book = read.table, read.book
    remarks = [read.taken] if read.taken else []
    if read.rate_at is None and RATE not in table.columns and read.rate is not None:
        remarks.append(f"no learning rate is written on the sheet; the updates follow {read.rate:.6g}")
    nearest = tables.nearest_rate(book, table) if read.rate_at else None
    if nearest and read.rate is not None and not math.isclose(nearest.value, read.rate, rel_tol=0.02):
        remarks.append(
            f"the updates follow η = {read.rate:g}; nearer to the table stands {nearest.value:g} ({nearest.address})"
        )
    named = headers.rate_in(table.sheet)
    if named is not None and read.rate is not None and not math.isclose(named, read.rate, rel_tol=0.02):
        remarks.append(f"the sheet is named {table.sheet!r}, its learning rate is {read.rate:g}")
    stale: list[str] = []
    texts: list[str] = []
    typed: dict[str, list[str]] = {}
    formulas: Counter[str] = Counter()
    for address, (name, row) in sorted(read.places.items()):
        cell = book.cells.get(address)
        if cell is None:
            continue
        now = book.number(address)
        if cell.formula is not None:
            formulas[name] += 1
            stored = cell.value if isinstance(cell.value, float) else None
            if stored is not None and now is not None and not math.isclose(stored, now, rel_tol=1e-6, abs_tol=1e-9):
                stale.append(str(address))
        elif row > 0 and (name, row) not in judged.wrong and isinstance(cell.value, float):
            typed.setdefault(name, []).append(str(address))
        if isinstance(cell.value, str) and cell.formula is None and now is not None:
            texts.append(str(address))
    if judged.unchecked:
        remarks.append(f"not checked, for want of numbers to check them against: {', '.join(sorted(judged.unchecked))}")
    if texts:
        remarks.append(
            f"{texts[0]} holds its number as text"
            + (f", and so do {len(texts) - 1:,} more cells" if len(texts) > 1 else "")
        )
    if stale:
        remarks.append(
            f"{len(stale)} cells, first {stale[0]}, store other values than their formulas give; recalculate"
        )
    remarks += _by_chance(judged)
    for name, cells in typed.items():
        if formulas[name] > len(cells):
            remarks.append(f"{cells[0]} holds a number typed over its formula ({name}); the number is right")
    return remarks[:20]


def _by_chance(judged: _Judged) -> Iterator[str]:
    """Yield a remark for each formula that would be wrong with other inputs, targets or another rate."""
    read = judged.reading
    seen: set[tuple[str, object]] = set()
    for address, (name, row) in read.places.items():
        tree = read.book.tree(address)
        if tree is None or (name, tree) in seen or (name, row) in judged.wrong:
            continue
        seen.add((name, tree))
        told = slips.right_by_chance(read, (name, row))
        if told:
            yield f"{address} {told}; the number is right only because both are equal here"


def as_json(found: Check) -> Mapping[str, object]:
    """Return the check as plain data for --json."""
    whole: dict[str, Any] = asdict(found)
    whole["right"] = found.right
    for plain, table in zip(whole["tables"], found.tables, strict=True):
        plain["right"] = table.right
        for column in plain["columns"]:
            column["first_wrong"] = column["findings"][0] if column["findings"] else None
    return whole

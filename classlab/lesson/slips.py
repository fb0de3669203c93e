"""The likely slip behind a wrong cell: the one small change to the right formula that gives what the cell gives.

A formula is tried on random rows in which everything else is right, so a match is no accident; numbers without formulas
are matched on the rows as they are.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from classlab.lesson import formula as formulas
from classlab.lesson.book import settle
from classlab.lesson.book_tables import Key
from classlab.lesson.edits import Edit, NameText, edits, forms, renamed_all, shifted
from classlab.lesson.expression import Expression, Name, evaluate, in_a_cell, names, size
from classlab.lesson.formula import Address, CellsNeeded, Formula, Place, Reference, Value
from classlab.lesson.functions import FormulaError, UnknownFormula
from classlab.lesson.meter import WorkSpent
from classlab.lesson.quantities import RATE
from classlab.lesson.reading import MissingQuantity, Reading, ratios

SEEDS = (1, 2, 3)
CLOSE = 1e-9
LONGEST_RIGHT = 1_000  # characters of a right formula that is shown
STEPS_PER_TOKEN = 5  # that reading a formula takes
HIDDEN_GRADIENTS = [f"∂E/∂w{number}" for number in (1, 2, 3, 4)]


class KnownSlip(NamedTuple):
    """A slip that many workbooks have, because the sheet that they are made after has it: names taken for others."""

    name: str
    taken: Mapping[str, str]


KNOWN_SLIPS = (
    KnownSlip("the teacher's own slip, which many copies of the course's sheet have", {"a_h2": "a_h1"}),
    KnownSlip("the slip of another course's sheet, which many copies of it have", {"w6": "w7", "w7": "w6"}),
)


def is_right_formula(reading: Reading, key: Key) -> bool | None:
    """Say whether the cell's formula computes the right thing whatever the other cells hold.

    None where that cannot be said, because we do not calculate the formula or another one that it needs.
    """
    try:
        return all(_close(_tried(reading, key, seed), _wanted(reading, key, seed)) for seed in SEEDS)
    except UnknownFormula:
        return None
    except (FormulaError, MissingQuantity, KeyError):
        return False


def right_formula(reading: Reading, key: Key) -> str | None:
    """Return the formula that belongs in the cell, in the sheet's own addresses; None where a column is missing."""
    name, row = key
    if name not in reading.expressions:
        return None

    def address(inner: Name) -> str:
        if inner.name == RATE and RATE not in reading.table.columns:
            if reading.rate_at and reading.rate_at.usable:
                at = reading.rate_at.address
                return f"${formulas.letters(at.column)}${at.row}"
            if reading.rate is None:
                raise MissingQuantity(RATE)
            return f"{reading.rate:.12g}"
        at_row = row + (-1 if inner.name == RATE and name in reading.parameters else inner.row)
        if inner.name in reading.table.columns:
            return str(reading.table.address(inner.name, at_row))
        if inner.name in reading.expressions and inner.name not in reading.parameters:
            reading.meter.spend(reading.costs[inner.name])  # what is missing may itself need what is missing, and so on
            inlined = shifted(reading.expressions[inner.name], inner.row)
            return f"({in_a_cell(inlined, address)})"
        beside = next((at for at, quantity in reading.beside.items() if quantity == inner.name), None)
        if beside:
            return f"${formulas.letters(beside.column)}${beside.row}"
        constant = reading.number(inner.name, at_row)
        if constant is None:
            raise MissingQuantity(inner.name)
        return f"{constant:.12g}"

    try:
        written = "=" + in_a_cell(reading.expressions[name], address)
    except (MissingQuantity, WorkSpent):
        return None
    return written if len(written) <= LONGEST_RIGHT else None


def edit_of(reading: Reading, key: Key, free: bool) -> str | None:
    """Return the sentence of the slip whose expression gives what the cell's formula gives, on random rows."""
    try:
        gives = [_tried(reading, key, seed, free) for seed in SEEDS]
    except (FormulaError, UnknownFormula, KeyError):
        return None
    if key[0] not in reading.expressions:
        return None
    usual = [_wanted(reading, key, seed, free) for seed in SEEDS]
    if all(_close(give, want) for give, want in zip(gives, usual, strict=True)):
        return None
    # The edits come with the likeliest first, and the first that fits is the one that is named.
    for edit in _all_edits(reading, key):
        reading.meter.spend(2 * reading.costs[key[0]])
        trials = (_trial(reading, edit.expression, key, seed, free) for seed in SEEDS)
        if all(_close(give, trial) for give, trial in zip(gives, trials, strict=True)):
            return edit.sentence
    return None


def right_by_chance(reading: Reading, key: Key) -> str | None:
    """Return the slip in a formula whose value is right only because two quantities happen to be equal here."""
    if key[0] not in reading.expressions or not is_right_formula(reading, key):
        return None
    try:
        if all(_close(_tried(reading, key, seed, True), _wanted(reading, key, seed, True)) for seed in SEEDS):
            return None
    except (FormulaError, UnknownFormula, KeyError):
        return None
    return edit_of(reading, key, free=True)


def diagnose(reading: Reading, key: Key, wrong_rows: Sequence[int]) -> str:
    """Return what is likely wrong in a wrong cell, one sentence that begins with the cell's address."""
    cell, address = reading.book.cells.get(reading.table.address(*key)), reading.table.address(*key)
    if cell is None:
        return f"{address} is empty"
    if cell.formula is None and reading.number(*key) is None:
        return f"{address} holds the text {str(cell.value)[:40]!r} where a number belongs"
    known = known_slip(reading, key, wrong_rows)
    if known:
        show, there = _show(reading, key), {name.name for name in names(reading.expressions[key[0]])}
        taken = [(Name(new), Name(old)) for old, new in known.taken.items() if old in there]
        return f"{address} uses " + " and ".join(f"{show(new)} where {show(old)} belongs" for new, old in taken)
    if cell.formula is None:
        return f"{address} {_number_slip(reading, key, wrong_rows)}"
    sentence = moved_reference(reading, key) or _formula_slip(reading, key)
    return f"{address} {sentence}"


def _formula_slip(reading: Reading, key: Key) -> str:
    """Compare the formula with every slip, on random rows; then change the formula itself until it is right."""
    value = reading.book.value(reading.table.address(*key))
    if isinstance(value, FormulaError) and "circle" in str(value):
        return "needs its own value: the formula runs in a circle"
    try:
        gives = [_tried(reading, key, seed) for seed in SEEDS]
    except (FormulaError, UnknownFormula, KeyError) as error:
        return f"shows {error}" if isinstance(error, FormulaError) else "gives another number than it should"
    # First on rows whose inputs, targets and rate are drawn as well: on the sheet t1 and t2 may be equal, and then a
    # slip between them cannot be seen. A formula that holds an input as a plain number matches only with the sheet's
    # own values.
    sentence = edit_of(reading, key, free=True) or _other_number(reading, key) or edit_of(reading, key, free=False)
    sentence = sentence or _changed_until_right(reading, key)
    if sentence:
        return sentence
    wanted = [_wanted(reading, key, seed) for seed in SEEDS]
    followed = _rate_of_trials(reading, key, gives)
    if followed is not None:
        return f"updates by η = {followed:.6g} where {_rate_in_words(reading)} belongs"
    ratios = [give / want if want else math.nan for give, want in zip(gives, wanted, strict=True)]
    if all(_close(ratio, ratios[0]) for ratio in ratios):
        return f"is {ratios[0]:.6g} times what it should be"
    return "computes something else"


def moved_reference(reading: Reading, key: Key) -> str | None:
    """Say which reference outside the table moved with the row, or names an empty cell or a text; None for none."""
    address = reading.table.address(*key)
    tree = reading.book.tree(address)
    if tree is None:
        return None
    rate = reading.rate_at if reading.rate_at and reading.rate_at.usable else None
    outside = [ref for ref in formulas.references(tree) if isinstance(ref, Reference)]
    outside = [ref for ref in outside if _is_outside(reading, ref, address)]
    # Where one reference is to the rate's cell, another one is to something else.
    updates = rate and key[0][0] in "wbn" and rate.address not in [ref.at(address) for ref in outside]
    for ref in outside:
        at = ref.at(address)
        if reading.table.unread_column(at) is not None:
            continue
        holds = reading.book.value(at)
        moved = _where_it_was(reading, key, ref)
        content = "is empty" if holds is None else f"holds {_value_in_words(holds)}"
        if rate and updates and moved in (None, rate.address):
            dollar = f"${formulas.letters(rate.address.column)}${rate.address.row}"
            why = ", because the reference is not fixed and moved with the row" if moved else ""
            place = str(at) if at.sheet == address.sheet else f"{at} of sheet {at.sheet!r}"
            return f"takes η from {place}, which {content}{why}; η stands in {rate.address}: write {dollar}"
        if moved and moved != at:
            dollar = f"${formulas.letters(moved.column)}${moved.row}"
            return (
                f"takes a number from {at}, which {content}; "
                f"the reference moved with the row from {moved}: write {dollar}"
            )
        if holds is None or isinstance(holds, str):
            return f"refers to {at}, which {content}"
    return None


def takes_what_is_not_read(reading: Reading, key: Key) -> bool:
    """Say whether an update takes its gradient, or may take it, from a column that is not read: it is not to blame."""
    name = key[0].removeprefix("new ")
    table = reading.table
    if name not in reading.parameters or f"∂E/∂{name}" in table.columns:
        return False
    address = table.address(*key)
    tree = reading.book.tree(address)
    if tree is None:
        return any(not _is_counter(reading, column) for column in table.unread)
    read = [ref.at(address) for ref in formulas.references(tree) if isinstance(ref, Reference)]
    return any(table.unread_column(at) is not None for at in read)


def _is_counter(reading: Reading, column: int) -> bool:
    """Say whether a column numbers the rows."""
    numbers = [reading.book.number(reading.table.at(line, column)) for line in reading.table.lines[:3]]
    return all(b == a + 1 for a, b in pairwise(numbers) if a is not None and b is not None)


def known_slip(reading: Reading, key: Key, wrong_rows: Sequence[int]) -> KnownSlip | None:
    """Return the known slip in a gradient of the hidden weights of the two courses' network, None for none."""
    if reading.shape.sizes != (2, 2, 2) or key[0] not in HIDDEN_GRADIENTS:
        return None
    with suppress(WorkSpent, FormulaError, UnknownFormula, KeyError, MissingQuantity):
        for slip in KNOWN_SLIPS:
            right = reading.expressions[key[0]]
            slipped = renamed_all(right, slip.taken)
            if slipped != right and _is_what_it_holds(reading, key, wrong_rows, slipped):
                return slip
    return None


def _is_what_it_holds(reading: Reading, key: Key, wrong_rows: Sequence[int], expression: Expression) -> bool:
    """Say whether the cell computes this, by its formula on random rows, or by its number and the next wrong ones."""
    if reading.book.cells[reading.table.address(*key)].formula is None:
        rows = [row for row in wrong_rows if row >= key[1]][:3]
        return all(_matches_as_it_is(reading, expression, key[0], row) for row in rows)
    reading.meter.spend(2 * reading.costs[key[0]])
    return all(_close(_tried(reading, key, seed), _trial(reading, expression, key, seed, False)) for seed in SEEDS)


def _is_outside(reading: Reading, ref: Reference, base: Address) -> bool:
    try:
        return reading.table.key(ref.at(base)) is None
    except FormulaError:
        return False


def _where_it_was(reading: Reading, key: Key, ref: Reference) -> Address | None:
    """Return the cell that the same formula named in the first row that has it, where it was right; else None."""
    name, row = key
    if ref.row_fixed and ref.column_fixed:
        return None
    reading.meter.spend(row)
    formula = reading.book.formula(reading.table.address(*key))
    for earlier in range(row):
        at = reading.table.address(name, earlier)
        if reading.book.formula(at) is formula:
            return ref.at(at)
    return None


def _number_slip(reading: Reading, key: Key, wrong_rows: Sequence[int]) -> str:
    name, row = key
    number = reading.number(name, row)
    above = reading.number(name, row - 1) if row else None
    if not reading.held[name].typed:
        same = f", that of the row above ({reading.table.address(name, row - 1)}) again" if above == number else ""
        return f"holds a number typed over the formula{same}"
    followed = _rate_of_numbers(reading, key)
    if followed:
        return followed
    if above is not None and above == number:
        return f"repeats the number of the row above ({reading.table.address(name, row - 1)})"
    # A number that is rounded to few digits fits many wrong formulas. So three wrong cells must fit the same slip,
    # unless the digits leave no room for another.
    rows = [wrong_row for wrong_row in wrong_rows if wrong_row >= row][:3]
    fine = min((reading.rounding(name, wrong_row) for wrong_row in rows), default=0.0) < 1e-7
    if name in reading.expressions and (fine or len(rows) == 3):
        for edit in _all_edits(reading, key):
            reading.meter.spend(2 * reading.costs[name])
            if all(_matches_as_it_is(reading, edit.expression, name, wrong_row) for wrong_row in rows):
                return edit.sentence
    return _typing_slip(reading, key) or "does not follow from its row"


def _rate_in_words(reading: Reading) -> str:
    at = f" ({reading.rate_at.address})" if reading.rate_at and reading.rate_at.usable else ""
    return f"η = {reading.rate:g}{at}"


def _rate_of_trials(reading: Reading, key: Key, gives: Sequence[float]) -> float | None:
    """Return the rate by which a formula updates on all random rows, where it is one number and not the right one."""
    new, name, row = key[0].startswith("new "), key[0].removeprefix("new "), key[1] - (not key[0].startswith("new "))
    if name not in reading.parameters or (f"new {name}" in reading.table.columns) != new:
        return None
    if reading.rate is None or reading.scaled:
        return None
    rates: list[float] = []
    for seed, give in zip(SEEDS, gives, strict=True):
        values = reading.random_row(seed, row)
        slope = values[f"∂E/∂{name}"]
        rates.append((values[name] - give) / slope if slope else math.nan)
    return rates[0] if all(_close(rate, rates[0], 1e-6) for rate in rates) else None


def _rate_of_numbers(reading: Reading, key: Key) -> str | None:
    """Say by which rate the numbers of a row are updated, where most of them are by one that is not the written one."""
    row = key[1] - (not key[0].startswith("new "))
    if key[0].removeprefix("new ") not in reading.parameters or reading.rate is None or reading.scaled:
        return None
    rates = [rate for _, rate in ratios(reading, row)]
    middle = statistics.median(rates) if rates else math.nan
    alike = [rate for rate in rates if _close(rate, middle, 0.01)]
    if 2 * len(alike) <= len(rates) or len(alike) < 3 or _close(middle, reading.rate, 0.01):
        return None
    return f"is updated by η = {middle:.4g} where {_rate_in_words(reading)} belongs"


def _matches_as_it_is(reading: Reading, expression: Expression, name: str, row: int) -> bool:
    def value(inner: Name) -> float:
        number = reading.number(inner.name, row + inner.row)
        if number is None and inner.name == RATE:
            number = reading.rate
        if number is None:
            raise MissingQuantity(inner.name)
        return number

    try:
        held, computed = reading.number(name, row), evaluate(expression, value)
    except (MissingQuantity, KeyError, IndexError, ZeroDivisionError, ValueError, OverflowError):
        return False
    return held is not None and abs(held - computed) <= reading.tolerance(name, row, computed)


def _typing_slip(reading: Reading, key: Key) -> str | None:
    """Compare the digits with those of the right number: sign, decimal point, two digits swapped, one digit wrong."""
    number, wanted = reading.number(*key), reading.expected(*key)
    if number is None or not wanted or not math.isfinite(wanted):
        return None
    if _close(number, -wanted, 1e-6):
        return "has the wrong sign"
    ratio = abs(number / wanted)  # 0 also where it is too small for a number
    powers = math.log10(ratio) if ratio and math.isfinite(ratio) else math.nan
    if powers and math.isfinite(powers) and abs(powers - round(powers)) < 1e-6:
        return "has its decimal point in the wrong place"
    written = f"{number:.15g}"
    decimals = len(written.partition(".")[2])
    right = f"{wanted:.{decimals}f}"
    differ = [index for index, (a, b) in enumerate(zip(written, right, strict=False)) if a != b]
    if len(written.lstrip("-0.")) < 4:
        return None
    if len(written) == len(right) and len(differ) == 1:
        return f"has one wrong digit: {written} for {right}"
    if (
        len(written) == len(right)
        and len(differ) == 2
        and [written[i] for i in differ] == [right[i] for i in reversed(differ)]
    ):
        return f"has two digits swapped: {written} for {right}"
    return None


def _all_edits(reading: Reading, key: Key) -> Iterator[Edit]:
    name, row = key
    last = len(reading.table.lines) - 1 - row
    spend = reading.meter.spend
    shifts = [shift for shift in (-1, 0, -2, 1, -row, 2, -3) if -row <= shift <= last]
    others = [other for other in [*reading.quantities, RATE, *_links(reading)] if other != name]

    rows, show = list(dict.fromkeys(shifts)), _show(reading, key)
    for base in forms(reading.expressions[name], reading.expressions):
        yield from edits(base, others, rows, show, partial(spend, 10 + size(base)))


def _show(reading: Reading, key: Key) -> NameText:
    """Return how sentences on a cell write a name: with the column it stands in, or as a cell."""

    def show(inner: Name, cell_only: bool = False) -> str:
        if inner.name == RATE or inner.name not in reading.table.columns:
            return inner.name
        at = reading.table.address(inner.name, max(key[1] + inner.row, 0))
        if cell_only:
            return str(at)
        return f"{inner.name} ({f'row {at.row}' if reading.table.turned else f'column {formulas.letters(at.column)}'})"

    return show


def _links(reading: Reading) -> list[str]:
    return [name for name in reading.table.columns if reading.link(name)]


def _other_number(reading: Reading, key: Key) -> str | None:
    """Say which plain number of the formula should be the learning rate, or another plain number."""
    formula = reading.book.formula(reading.table.address(*key))
    if formula is None:
        return None
    wanted = [_wanted(reading, key, seed) for seed in SEEDS]
    right = {_rate_in_words(reading): reading.rate} if reading.rate and key[0][0] in "wbn" else {}
    right |= {f"{number:g}": number for number in (0.5, 1.0, 2.0)} | {"e, EXP(1)": math.e}
    for label, number in right.items():
        for changed, old in _numbers_changed(formula.tree, number):
            if old != number and _gives(reading, Formula(changed, formula.size), key, wanted):
                return f"has {old:g} where {label} belongs"
    return None


def _numbers_changed(node: formulas.Node, number: float) -> Iterator[tuple[formulas.Node, float]]:
    """Yield the tree with one plain number replaced, and the number that stood there."""
    match node:
        case formulas.Literal(float(old)):
            yield formulas.Literal(number), old
    for index, part in enumerate(inner := _operands(node)):
        for changed, old in _numbers_changed(part, number):
            yield _around(node, (*inner[:index], changed, *inner[index + 1 :])), old


def _operands(node: formulas.Node) -> tuple[formulas.Node, ...]:
    match node:
        case formulas.Operation(_, inner) | formulas.Call(_, inner):
            return inner
    return ()


def _around(node: formulas.Node, inner: tuple[formulas.Node, ...]) -> formulas.Node:
    """Return the same operation or call around other operands."""
    match node:
        case formulas.Operation(sign, _):
            return formulas.Operation(sign, inner)
        case formulas.Call(name, _):
            return formulas.Call(name, inner)
    return node


def _changed_until_right(reading: Reading, key: Key) -> str | None:
    """Change one reference or one sign of the formula itself, or add a pair of brackets, until it is right."""
    address = reading.table.address(*key)
    formula, cell = reading.book.formula(address), reading.book.cells[address]
    if formula is None or cell.formula is None:
        return None
    wanted = [_wanted(reading, key, seed) for seed in SEEDS]
    for changed, sentence in _changes(reading, formula.tree, key):
        if _gives(reading, Formula(changed, formula.size), key, wanted):
            return sentence
    formula_tokens = formulas.tokens(cell.formula, cell.stands_at or address)
    # A formula of n tokens has n²/2 places for a pair of brackets, and each is read and calculated.
    if len(formula_tokens) > 60:
        return None
    for start in range(len(formula_tokens)):
        for end in range(start + 3, len(formula_tokens) + 1):
            braced = (
                *formula_tokens[:start],
                ("sign", "("),
                *formula_tokens[start:end],
                ("sign", ")"),
                *formula_tokens[end:],
            )
            reading.meter.spend(STEPS_PER_TOKEN * len(braced))
            try:
                node = formulas.parse(braced)
            except UnknownFormula:
                continue
            if node != formula.tree and _gives(reading, Formula(node, len(braced)), key, wanted):
                return "needs brackets: " + _written(braced, address)
    return None


def _changes(reading: Reading, node: formulas.Node, key: Key) -> Iterator[tuple[formulas.Node, str]]:
    """Yield the tree with one reference or one operator changed."""
    base, (name, row) = reading.table.address(*key), key
    match node:
        case Reference() if not _is_outside(reading, node, base):
            old = node.at(base)
            meant = reading.table.key(old) or key
            rows = {0, meant[1] - row, -1 if name[0] in "wb" else 0}
            for other in reading.table.columns:
                for shift in rows:
                    if 0 <= row + shift < len(reading.table.lines):
                        at = reading.table.address(other, row + shift)
                        if at == base:
                            continue
                        new = Reference(None, at.row - base.row, at.column - base.column, False, False)
                        sentence = f"uses {meant[0]} ({old}) where {other} ({at}) belongs"
                        yield new, sentence
        case formulas.Operation(sign, operands):
            if len(operands) == 2:
                for other in "+-*/":
                    if other != sign:
                        yield formulas.Operation(other, operands), f"has {sign} where {other} belongs"
            elif sign == "-":
                yield operands[0], "has a minus too many"
    for index, part in enumerate(inner := _operands(node)):
        for changed, sentence in _changes(reading, part, key):
            yield _around(node, (*inner[:index], changed, *inner[index + 1 :])), sentence


def _gives(reading: Reading, formula: Formula, key: Key, wanted: Sequence[float]) -> bool:
    reading.meter.spend(formula.size)
    base = reading.table.address(*key)
    try:
        return all(
            _close(_calculated(reading, formula, base, seed), want) for seed, want in zip(SEEDS, wanted, strict=True)
        )
    except (FormulaError, UnknownFormula, KeyError):
        return False


def _written(formula_tokens: Sequence[formulas.Token], base: Address) -> str:
    """Return tokens as a formula again."""
    words: list[str] = []
    for kind, value in formula_tokens:
        if kind == "reference":
            corners = [value] if isinstance(value, Reference) else [value.first, value.last]
            words.append(":".join(str(corner.at(base)) for corner in corners))
        elif kind == "number":
            words.append(f"{value:.12g}")
        else:
            words.append(f"{value}(" if kind == "function" else f'"{value}"' if kind == "text" else value)
    return "=" + "".join(words)


def _wanted(reading: Reading, key: Key, seed: int, free: bool = False) -> float:
    return reading.compute(*key, lambda name, row: reading.random_row(seed, row, free)[name])


def _trial(reading: Reading, expression: Expression, key: Key, seed: int, free: bool) -> float:
    try:
        return evaluate(expression, lambda inner: reading.random_row(seed, key[1] + inner.row, free)[inner.name])
    except (ZeroDivisionError, OverflowError, ValueError, KeyError):
        return math.nan


def _tried(reading: Reading, key: Key, seed: int, free: bool = False) -> float:
    """Return what the cell's formula gives where all recognised cells are those of the random rows."""
    address = reading.table.address(*key)
    formula = reading.book.formula(address)
    if formula is None:
        raise UnknownFormula("no formula")
    return _calculated(reading, formula, address, seed, free)


def _calculated(reading: Reading, formula: Formula, base: Address, seed: int, free: bool = False) -> float:
    """Return what a formula gives at `base`; cells that are not recognised are calculated too, and kept."""
    values = reading.trials.setdefault((seed, free), {})
    rate_at = reading.rate_at.address if reading.rate_at else None

    def cell(address: Address) -> Value:
        key = reading.table.key(address)
        if key:
            random_row = reading.random_row(seed, key[1], free)
            if key[0] in random_row:
                return random_row[key[0]]
        if free and (address == rate_at or address in reading.beside):
            return reading.random_row(seed, 0, free)[RATE if address == rate_at else reading.beside[address]]
        if reading.book.formula(address) is None:
            return _plain(reading.book.value(address))
        if address not in values:
            raise CellsNeeded(address)
        return _plain(values[address])

    def number(formula: Formula, base: Address) -> float:
        reading.meter.spend(2 * formula.size)
        place = Place(base, cell, reading.book.defined, reading.meter.spend, rounding=False)
        result = formulas.calculate(formula, place)
        if isinstance(result, str) or result is None:
            raise FormulaError("#VALUE!")
        return float(result)

    def work(address: Address) -> Value | FormulaError | UnknownFormula:
        inner = reading.book.formula(address)
        assert inner is not None, "only a formula is needed"
        try:
            return number(inner, address)
        except (FormulaError, UnknownFormula) as error:
            return type(error)(str(error))  # a new one, as in Book

    while True:
        try:
            return number(formula, base)
        except CellsNeeded as needed:
            for address in needed.addresses:
                settle(address, values, work)


def _plain(value: Value | FormulaError | UnknownFormula) -> Value:
    """Return a value; raise one that is an error."""
    if isinstance(value, FormulaError | UnknownFormula):
        raise type(value)(str(value))
    return value


def _close(a: float, b: float, within: float = CLOSE) -> bool:
    return abs(a - b) <= within * max(abs(a), abs(b)) + 1e-15


def _value_in_words(value: object) -> str:
    return (
        f"{value:.6g}"
        if isinstance(value, float)
        else f"the text {str(value)[:30]!r}"
        if isinstance(value, str)
        else str(value)
    )

"""Recognising a table's network: its sizes from the columns, its settings and the learning rate from the numbers."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from classlab.errors import UserError
from classlab.lesson import book_tables
from classlab.lesson import formula as formulas
from classlab.lesson.book import Book
from classlab.lesson.book_tables import Table, WrittenNumber
from classlab.lesson.formula import Address, Node, Reference
from classlab.lesson.functions import FormulaError
from classlab.lesson.meter import Meter
from classlab.lesson.quantities import RATE, Quantity, Shape, parameters
from classlab.lesson.reading import HeldColumn, MissingQuantity, Reading, ratios, rounded
from classlab.lesson.small_network import LIKE, MOST_EXAMPLES, MOST_LAYERS, MOST_TERMS, MOST_UNITS, WEIGHTS

SAMPLE = 8
HIDDEN = ("sigmoid", "tanh", "relu")
OUTPUTS = ("sigmoid", "softmax")
LOSSES = ("squared_error", "whole_squared_error", "cross_entropy")
LEAST_GAIN = 1e-9


def read(
    book: Book,
    table: Table,
    columns: Mapping[str, HeldColumn],
    written: Sequence[WrittenNumber],
    nearest_to_others: Collection[WrittenNumber | None],
    meter: Meter,
) -> Reading:
    """Recognise the network of a table: sizes from its columns, everything else from its numbers.

    columns: what they hold; written: the learning rates on the sheet, nearest first; nearest_to_others: those
    nearest to the other tables of the workbook.
    Raises UserError where the columns make no network, and WorkSpent where that takes more than `meter` allows.
    """
    shape = _sizes(table)
    beside = book_tables.settings(book, table)
    constants = {name: written.value for name, written in beside.items() if name not in table.columns}
    at = {written.address: name for name, written in beside.items()}
    reading = Reading(book, table, columns, shape, meter, written, constants=constants, beside=at)
    reading.rounded = rounded(reading)
    _complete_constants(reading)
    reading, _ = _fitted(reading)
    reading.rate, reading.rate_at = _rate(reading, nearest_to_others)
    scale = _scale(reading)
    if scale and (reading.rate_at is None or math.isclose(reading.rate or 0.0, scale, rel_tol=0.01)):
        rate = reading.rate if reading.rate_at else scale
        reading = replace(reading, scaled=True, rate=rate, _random={}, trials={}, allowed={})
    return reading


def _inferred_rate(reading: Reading) -> float | None:
    """Return the rate that the updates follow, negative where they climb.

    It is that of the first update in which most weights agree, for a reference that slides is right in the first row;
    where they never do, the middle of all (w − next w) / gradient.
    """
    steep_ratios: list[float] = []
    for row in range(min(len(reading.table.lines) - 1, 40)):
        found = ratios(reading, row)
        # Where the gradient is small, the rounding of typed weights decides the ratio.
        steep = max((slope for slope, _ in found), default=0.0)
        here = [ratio for slope, ratio in found if slope >= 0.02 * steep]
        middle = statistics.median(here) if here else 0.0
        agree = [ratio for ratio in here if math.isclose(ratio, middle, rel_tol=1e-6)]
        if middle and len(agree) > 1 and 2 * len(agree) > len(here):
            return middle
        steep_ratios += here
    return statistics.median(steep_ratios) if steep_ratios else None


def _scale(reading: Reading) -> float | None:
    """Return the number that is in all gradients, where the updates subtract them as they are: it is the rate."""
    if not reading.table.lines or len(reading.table.lines) < 2:
        return None
    steps = [ratio for _, ratio in ratios(reading, 0)]
    scales: list[float] = []
    for name in (f"∂E/∂{name}" for name in parameters(reading.shape)):
        with suppress(MissingQuantity, ZeroDivisionError):
            scales.append((reading.number(name, 0) or math.nan) / reading.expected(name, 0))
    if not steps or not scales:
        return None
    scale = statistics.median(scales)
    alike = [math.isclose(ratio, 1, rel_tol=0.01) for ratio in steps]
    same = [math.isclose(other, scale, rel_tol=0.01) for other in scales]
    found = sum(alike) > len(steps) / 2 and sum(same) > len(scales) / 2 and len(scales) > 2
    return scale if found and scale > 0 and not math.isclose(scale, 1, rel_tol=0.02) else None


def _first_rate_cell(reading: Reading, followed: float | None) -> WrittenNumber | None:
    """Return the cell outside the table from which most of the first updates take the rate that they follow."""
    table, cells = reading.table, Counter[Address]()
    for name in parameters(reading.shape):
        new = f"new {name}"
        if name in table.columns and len(table.lines) > 1:
            at = table.address(new, 0) if new in table.columns else table.address(name, 1)
            tree = reading.book.tree(at)
            cells.update({} if tree is None else set(_outside(reading, tree, at)))
    if followed is None:
        return None
    for address, times in cells.most_common():
        value = reading.book.number(address)
        if value and 2 * times > len(parameters(reading.shape)) and math.isclose(value, abs(followed), rel_tol=0.02):
            return WrittenNumber(value, address, usable=True, certain=False)
    return None


def _outside(reading: Reading, tree: Node, at: Address) -> Iterator[Address]:
    """Yield the cells outside the table that a formula reads, but for inputs and targets."""
    for ref in formulas.references(tree):
        with suppress(FormulaError):
            address = ref.at(at) if isinstance(ref, Reference) else None
            if address and not reading.table.holds(address) and address not in reading.beside:
                yield address


def _sizes(table: Table) -> Shape:
    """Return sizes, biases and examples, from the names of the columns."""
    named = [*table.columns, *table.empty]
    plain = {name.partition("[")[0] for name in named}
    examples = max((int(name.partition("[")[2][:-1]) for name in named if "[" in name), default=1)

    def count(*kinds: str) -> int:
        numbers = [
            int(name[len(kind) :])
            for name in plain
            for kind in kinds
            if name[len(kind) :].isdigit() and name.startswith(kind)
        ]
        return max(numbers, default=0)

    layers: dict[int, int] = {}
    for name in plain:
        layer, mark, index = name.removeprefix("a_").removeprefix("h").partition("_")
        if mark and layer.isdigit() and index.isdigit():
            layers[int(layer)] = max(layers.get(int(layer), 0), int(index))
    hidden = [layers[layer] for layer in sorted(layers)] or [size for size in [count("h", "a_h")] if size]
    outputs = count("o", "a_o") or count("t") or count("E")
    weights = count("w", "∂E/∂w")
    after = [*hidden, outputs]
    above = sum(a * b for a, b in itertools.pairwise(after))
    # Inputs may stand beside the table, without columns; the weights that no later layer needs then belong to the
    # first.
    inputs = count("i") or (round((weights - above) / after[0]) if after[0] else 0)
    sizes = (inputs, *after)
    wanted = sum(a * b for a, b in itertools.pairwise(sizes))
    if not all(1 <= size <= MOST_UNITS for size in sizes) or len(sizes) > MOST_LAYERS or weights != wanted:
        units = "-".join(map(str, sizes[: MOST_LAYERS + 1])) + ("-…" if len(sizes) > MOST_LAYERS + 1 else "")
        raise UserError(
            f"sheet {table.sheet!r}: the columns make no network: {weights} weights, where {units} units need {wanted}"
        )
    if examples > MOST_EXAMPLES or examples * weights > MOST_TERMS:
        raise UserError(
            f"sheet {table.sheet!r}: the columns make a network too large to check: {weights} weights with "
            f"{examples:,} examples; the two multiplied may be up to {MOST_TERMS:,}, the examples up to {MOST_EXAMPLES}"
        )
    deltas = any(name.startswith(("∂E/∂o", "∂E/∂h")) for name in plain)
    return Shape(sizes, biases=any(name[0] == "b" for name in plain), examples=examples, with_deltas=deltas)


def _complete_constants(reading: Reading) -> None:
    """Take inputs and targets that stand nowhere from the reports' settings, as far as the table's numbers agree."""
    givens = [name for name, q in reading.quantities.items() if q.kind in ("input", "target")]
    absent = [name for name in givens if name not in reading.table.columns and name not in reading.constants]
    if not absent or reading.shape.sizes != (2, 2, 2) or reading.shape.examples > 1:
        return
    kept = dict(reading.constants)

    def fit(like: str) -> float:
        t1, t2 = LIKE[like]["targets"]
        usual = {"i1": 0.05, "i2": 0.10, "t1": t1, "t2": t2}
        reading.constants = kept | {name: usual[name] for name in absent}
        reading.allowed.clear()
        return _fitted(reading)[1]

    best = max(LIKE, key=fit)
    if fit(best) > 0:
        reading.taken = f"{', '.join(absent)} stand nowhere; taken as in {best}"
    else:
        reading.constants = kept
        reading.allowed.clear()


def _fitted(reading: Reading) -> tuple[Reading, float]:
    """Return the reading with the settings that its columns have, and the share of columns that is right with them.

    One setting is changed at a time, the usual ones first. It is judged by the columns that define it (the error by E1,
    the activations by a_h1 and a_o1); by all only where these decide nothing, or a slip made in every gradient would
    outvote them.
    """
    options: dict[str, Sequence[Any]] = {"by_input": (False, True), "hidden": HIDDEN, "output": OUTPUTS, "loss": LOSSES}
    best, shares = reading, _shares(reading)
    # Twice, because one setting may be seen only when another is right: the error is, when the outputs are.
    for name in (*options, *options):
        if _mean(shares, shares) == 1:
            break
        defined = [column for column, quantity in reading.quantities.items() if _defines(quantity) == name]
        for option in options[name]:
            if option == getattr(best.shape, name):
                continue
            changed = replace(best, shape=replace(best.shape, **{name: option}), _random={}, allowed={})
            changed_shares = _shares(changed)
            by_defined, by_all = (
                _mean(changed_shares, columns) - _mean(shares, columns) for columns in (defined, shares)
            )
            # An E without its ½ is an error of its own only where the gradients have the 2; else the ½ was forgotten.
            if option == "whole_squared_error" and by_all < LEAST_GAIN:
                continue
            if by_defined > LEAST_GAIN or (by_defined > -LEAST_GAIN and by_all > LEAST_GAIN):
                best, shares = changed, changed_shares
    return best, _mean(shares, shares)


def _defines(quantity: Quantity) -> str:
    """Return the setting that a column defines, "" where it only follows from settings."""
    if quantity.kind == "activation":
        return "output" if quantity.name.startswith("a_o") else "hidden"
    return {"sum": "by_input", "error": "loss", "total": "loss"}.get(quantity.kind, "")


def _mean(shares: Mapping[str, float], columns: Collection[str]) -> float:
    """Return the mean share of those of the columns that the table has; 0 where it has none of them."""
    chosen = [share for name, share in shares.items() if name in columns]
    return statistics.fmean(chosen) if chosen else 0.0


def _shares(reading: Reading) -> dict[str, float]:
    """Return for each computed column the share of its cells that is what these settings make of its row."""
    count = len(reading.table.lines)
    # A few rows are enough to choose between settings, and every setting that is tried computes all of them.
    rows = sorted({*range(min(count, SAMPLE // 2)), *range(0, count, max(1, count // (SAMPLE // 2)))})
    shares: dict[str, float] = {}
    for name in reading.order:
        kind = reading.quantities[name].kind if name in reading.quantities else "link"
        held = [row for row in rows if reading.number(name, row) is not None]
        if kind in ("input", "target", "weight", "bias") or name.startswith("new ") or not held:
            continue
        right = 0
        for row in held:
            try:
                right += reading.agrees(name, row, reading.expected(name, row))
            except MissingQuantity:
                continue
        shares[name] = right / len(held)
    return shares


def _rate(
    reading: Reading, nearest_to_others: Collection[WrittenNumber | None]
) -> tuple[float | None, WrittenNumber | None]:
    """Return the rate to hold updates against, and where it stands: the written one, else the one they follow.

    One that is nearest to another table is not this one's, unless the two tables share it.
    """
    if RATE in reading.table.columns:
        return None, None
    followed = _inferred_rate(reading)
    written = reading.written
    if book_tables.nearest(written) not in nearest_to_others:
        written = [rate for rate in written if rate not in nearest_to_others]
    first = _first_rate_cell(reading, followed)
    # Where two rates stand on a sheet, the updates say which is meant, not the distance to the table. What may be the
    # label of one is one where they do.
    confirmed = [rate._replace(certain=True) for rate in written]
    meant = [rate for rate in confirmed if first and rate.address == first.address]
    near = [rate for rate in confirmed if followed is not None and math.isclose(rate.value, followed, rel_tol=0.02)]
    in_cells = [rate for rate in written if rate.address.row > 0 and rate.certain]
    usable = [rate for rate in in_cells if rate.usable]
    # A rate that only a name tells stands in the cell from which the updates take it.
    named = [first._replace(certain=True)] if first and near and not near[0].usable else []
    chosen = meant or named or near[:1] or usable[:1] or (in_cells if len(in_cells) == 1 else [])
    chosen = chosen or ([first] if first else [])
    if chosen:
        return chosen[0].value, chosen[0]
    # The differences of weights are off in the last digits; nobody writes a rate with ten.
    return (abs(float(f"{followed:.10g}")) if followed else None), None


def like(reading: Reading) -> str | None:
    """Return the report whose workbook this table repeats: sizes, first weights, inputs and targets; else None."""
    if reading.shape.sizes != (2, 2, 2) or reading.shape.examples > 1:
        return None
    weights = [weight for layer in WEIGHTS for weight in layer]
    for name, wanted in LIKE.items():
        t1, t2 = wanted["targets"]
        usual = {"i1": 0.05, "i2": 0.10, "t1": t1, "t2": t2} | {f"w{n}": w for n, w in enumerate(weights, 1)}
        if all(math.isclose(reading.number(key, 0) or math.nan, value) for key, value in usual.items()):
            return name
    return None

"""Formulas of a spreadsheet, read and calculated by ourselves: nothing of the file is ever executed.

Only arithmetic, references, defined names and the functions below are known. Everything else (macros, links to other
files, look-ups) raises UnknownFormula, and the caller falls back on the value that the file stores.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from classlab.lesson.functions import (
    FUNCTIONS,
    LARGEST_BLOCK,
    FormulaError,
    UnknownFormula,
    check_size,
    number,
    power,
    quotient,
)

LONGEST = 4000  # characters
DEEPEST = 60  # brackets within brackets
TALLEST = 120  # operations on the way from a tree's top to its lowest leaf: 1+1+1+… is as tall as it is long
MOST_NAMES_OPEN = 2  # names within names
LONGEST_TEXT = 32_767  # characters in a cell
STEPS_PER_FORMULA = 5  # that it takes besides those of its parts
STEPS_PER_NAME = 10
STEPS_PER_READ = 4  # of a cell in a block
LAZY = ("IF", "IFERROR", "ROUND")  # these are no plain functions of their arguments' values
LARGEST_ROW_WRITTEN = 9_999_999


@dataclass(frozen=True)
class Literal:
    """A number, a text or a truth value."""

    value: float | str | bool


@dataclass(frozen=True)
class Reference:
    """A cell. A fixed row or column ($) is counted from 1; another one is the distance from the formula's own cell."""

    sheet: str | None
    row: int
    column: int
    row_fixed: bool
    column_fixed: bool

    def at(self, base: "Address") -> "Address":
        """Return the cell that this means in the formula at `base`."""
        row = self.row if self.row_fixed else base.row + self.row
        column = self.column if self.column_fixed else base.column + self.column
        if row < 1 or column < 1:
            raise FormulaError("#REF!")
        return Address(self.sheet or base.sheet, row, column)


@dataclass(frozen=True)
class Range:
    """All cells between two corners."""

    first: Reference
    last: Reference


@dataclass(frozen=True)
class DefinedName:
    """A defined name."""

    name: str


@dataclass(frozen=True)
class Operation:
    """An operator with one operand (-, +, %) or two."""

    sign: str
    operands: "tuple[Node, ...]"


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: "tuple[Node, ...]"


Node = Literal | Reference | Range | DefinedName | Operation | Call


class Address(NamedTuple):
    """A cell of a sheet, row and column counted from 1."""

    sheet: str
    row: int
    column: int

    def __str__(self) -> str:
        return f"{letters(self.column)}{self.row}"


address_of = partial(tuple.__new__, Address)  # of a sheet, a row and a column; twice as fast as Address itself
Value = float | str | bool | None
Lookup = Callable[[Address], Value]


class CellsNeeded(Exception):
    """Other cells have to be calculated first."""

    def __init__(self, *addresses: Address) -> None:
        super().__init__(addresses)
        self.addresses = addresses


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"]|"")*")
  | (?P<external>'?\[)
  | (?P<error>\#(?:REF!|DIV/0!|VALUE!|NAME\?|NUM!|N/A|NULL!))
  | (?P<reference>(?:(?P<sheet>'(?:[^']|'')+'|[^\W\d][\w.]*)!)?
        (?P<c1>\$?[A-Za-z]{1,3})(?P<r1>\$?[0-9]{1,7})(?![\w(.])
        (?::(?P<c2>\$?[A-Za-z]{1,3})(?P<r2>\$?[0-9]{1,7})(?![\w(]))?)
  | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<function>[^\W\d][\w.]*)\(
  | (?P<name>(?:(?:'(?:[^']|'')+'|[^\W\d][\w.]*)!)?[^\W\d][\w.]*)
  | (?P<sign><=|>=|<>|[-+*/^&=<>%(),;])
)""",
    re.VERBOSE,
)
Token = tuple[str, Any]


def letters(column: int) -> str:
    """Return the letters of a column: 1 is A, 28 is AB."""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def number_of(text: str) -> int:
    """Return the number of a column's letters: AB is 28."""
    number = 0
    for letter in text.upper():
        number = number * 26 + ord(letter) - 64
    return number


def tokens(formula: str, base: Address) -> tuple[Token, ...]:
    """Cut a formula into tokens, its references relative to `base`, so that a formula filled down gives equal tokens.

    Raises UnknownFormula for what is not a token of ours.
    """
    return scan(formula, base)[0]


def scan(formula: str, base: Address) -> "tuple[tuple[Token, ...], Pattern]":
    """Return the tokens of a formula, and its pattern. Raises UnknownFormula for what is not a token of ours."""
    scanned: list[Token] = []
    pieces: list[str] = []
    rows: list[int] = []
    done = 0
    for match in _matches(formula):
        scanned.append(_token(match, base))
        for group in ("r1", "r2"):
            if match[group] and not match[group].startswith("$"):
                start, end = match.span(group)
                pieces.append(formula[done:start].replace("%", "%%"))
                rows.append(int(match[group]) - base.row)
                done = end
    text = "%d".join([*pieces, formula[done:].replace("%", "%%")])
    return tuple(scanned), Pattern(text, tuple(rows), min(rows, default=0), max(rows, default=0))


def _matches(formula: str) -> Iterator[re.Match[str]]:
    """Yield the places of a formula's tokens."""
    if len(formula) > LONGEST:
        raise UnknownFormula("too long")
    place, end = 1 if formula.startswith("=") else 0, len(formula.rstrip())
    while place < end:
        match = _TOKEN.match(formula, place)
        if not match:
            raise UnknownFormula(formula[place : place + 12])
        yield match
        place = match.end()


def _token(match: re.Match[str], base: Address) -> Token:
    kind = match.lastgroup or ""
    if match["external"]:
        raise UnknownFormula("a link to another file")
    if match["reference"]:
        return "reference", _reference(match, base)
    if match["text"] is not None:
        return "text", match["text"][1:-1].replace('""', '"')
    if match["number"]:
        return "number", float(match["number"])
    if match["error"]:
        return "error", match["error"]
    if match["function"]:
        return "function", match["function"].upper().removeprefix("_XLFN.")
    return kind, match[kind]


def _reference(match: re.Match[str], base: Address) -> Reference | Range:
    sheet = match["sheet"]
    if sheet and sheet.startswith("'"):
        sheet = sheet[1:-1].replace("''", "'")
    if sheet and ("[" in sheet or "]" in sheet):
        raise UnknownFormula("a link to another file")

    def corner(column: str, row: str) -> Reference:
        fixed = column.startswith("$"), row.startswith("$")
        across, down = number_of(column.lstrip("$")), int(row.lstrip("$"))
        return Reference(
            sheet,
            down if fixed[1] else down - base.row,
            across if fixed[0] else across - base.column,
            fixed[1],
            fixed[0],
        )

    first = corner(match["c1"], match["r1"])
    return Range(first, corner(match["c2"], match["r2"])) if match["c2"] else first


@dataclass(frozen=True, slots=True)
class Pattern:
    """A formula's text with a %d for each row that moves when it is filled down, and those rows, relative to its own.

    So a column of ten thousand equal formulas is read once.
    """

    text: str
    rows: tuple[int, ...]
    highest: int
    lowest: int

    def at(self, row: int) -> str | None:
        """Return the formula's text in another row; None where a reference would leave the sheet."""
        if row + self.highest < 1 or row + self.lowest > LARGEST_ROW_WRITTEN:
            return None
        return self.text % tuple([row + distance for distance in self.rows])


def moved(formula: str, base: Address, to: Address) -> str:
    """Return the text of the formula in `base` as it reads in `to`: filled down, or across."""
    pieces: list[str] = []
    done = 0
    for match in _matches(formula):
        for column, row in (("c1", "r1"), ("c2", "r2")):
            if match[column]:
                start, end = match.start(column), match.end(row)
                across, down = match[column], match[row]
                if not across.startswith("$"):
                    across = letters(max(number_of(across) + to.column - base.column, 1))
                if not down.startswith("$"):
                    down = str(max(int(down) + to.row - base.row, 1))
                pieces += [formula[done:start], across, down]
                done = end
    return "".join([*pieces, formula[done:]])


def parse(formula_tokens: tuple[Token, ...]) -> Node:
    """Return the tree of a formula's tokens. Raises UnknownFormula where they make none, or one of too many levels."""
    parser = _Parser(formula_tokens)
    node = parser.expression(0)
    if parser.place < len(formula_tokens):
        raise UnknownFormula("unexpected text")
    return node


# A spreadsheet's precedence, the weakest first. Its minus binds tighter than all of them, and its % still tighter.
LEVELS = (("=", "<", ">", "<=", ">=", "<>"), ("&",), ("+", "-"), ("*", "/"), ("^",))
LEVEL = {sign: level for level, signs in enumerate(LEVELS) for sign in signs}


class _Parser:
    """Precedence climbing; operators of one level, ^ too, are taken from the left, as spreadsheets do."""

    def __init__(self, formula_tokens: tuple[Token, ...]) -> None:
        self.tokens = formula_tokens
        self.place = 0
        self.heights: dict[int, int] = {}  # by the node's id; a leaf has none

    def peek(self) -> Token:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", None)

    def take(self, sign: str) -> bool:
        if self.peek() == ("sign", sign):
            self.place += 1
            return True
        return False

    def made(self, node: Operation | Call, inner: Sequence[Node]) -> Node:
        """Return a new node, unless the tree is too tall with it for what walks down trees."""
        # A chain 1+1+1+… is deep without a bracket, so counting brackets does not bound it; the functions that walk
        # down a tree call themselves, and Python's stack ends.
        height = 1 + max((self.heights.get(id(part), 0) for part in inner), default=0)
        if height > TALLEST:
            raise UnknownFormula("too deep")
        self.heights[id(node)] = height
        return node

    def expression(self, depth: int, weakest: int = 0) -> Node:
        if depth > DEEPEST:
            raise UnknownFormula("too deep")
        node = self.signed(depth)
        while True:
            kind, sign = self.peek()
            level = LEVEL.get(sign, -1) if kind == "sign" else -1
            if level < weakest:
                return node
            self.place += 1
            pair = node, self.expression(depth, level + 1)
            node = self.made(Operation(sign, pair), pair)

    def signed(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise UnknownFormula("too deep")
        for sign in "+-":
            if self.take(sign):
                inner = self.signed(depth + 1)
                return self.made(Operation(sign, (inner,)), (inner,))
        node = self.primary(depth)
        while self.take("%"):
            node = self.made(Operation("%", (node,)), (node,))
        return node

    def primary(self, depth: int) -> Node:
        kind, value = self.peek()
        self.place += 1
        if kind in ("number", "text"):
            return Literal(value)
        if kind == "reference":
            return value
        if kind == "error":
            return Call(value, ())
        if kind == "name":
            return Literal(value.upper() == "TRUE") if value.upper() in ("TRUE", "FALSE") else DefinedName(value)
        if kind == "function":
            arguments = self.arguments(depth)
            return self.made(Call(value, arguments), arguments)
        if (kind, value) == ("sign", "("):
            node = self.expression(depth + 1)
            if self.take(")"):
                return node
        raise UnknownFormula("unexpected text")

    def arguments(self, depth: int) -> tuple[Node, ...]:
        if self.take(")"):
            return ()
        nodes = [self.expression(depth + 1)]
        while self.take(",") or self.take(";"):
            nodes.append(self.expression(depth + 1))
        if not self.take(")"):
            raise UnknownFormula("a bracket is missing")
        return tuple(nodes)


def references(node: Node) -> Iterator[Reference | Range | DefinedName]:
    """Yield every reference in a tree, in reading order."""
    match node:
        case Reference() | Range() | DefinedName():
            yield node
        case Operation(_, inner) | Call(_, inner):
            for part in inner:
                yield from references(part)


def unknown_functions(node: Node) -> Iterator[str]:
    """Yield the functions in a tree that we do not calculate."""
    if (
        isinstance(node, Call)
        and node.name not in FUNCTIONS
        and node.name not in LAZY
        and not node.name.startswith("#")
    ):
        yield node.name
    if isinstance(node, Operation | Call):
        for part in node.operands if isinstance(node, Operation) else node.arguments:
            yield from unknown_functions(part)


@dataclass(eq=False)
class Formula:
    """A formula that was read: its tree, and its size, the number of its tokens. Equal formulas share one object."""

    tree: Node
    size: int

    @cached_property
    def run(self) -> "Run":
        """The tree as nested functions, several times as fast as a walk down the tree each time."""
        return _compiled(self.tree)


def formula_of(formula_tokens: tuple[Token, ...]) -> Formula:
    """Return the formula of some tokens. Raises UnknownFormula."""
    return Formula(parse(formula_tokens), len(formula_tokens))


@dataclass(slots=True)
class Place:
    """Where a formula is calculated: in which cell, what other cells and, by name and sheet, defined names mean there.

    `spend` is called with the steps of work before it is done. With `rounding` off ROUND changes nothing. `depth`
    counts the defined names that are open.
    """

    base: Address
    cell: Lookup
    defined: Callable[[str, str], Formula]
    spend: Callable[[int], None]
    rounding: bool = True
    depth: int = 0


Run = Callable[[Place], Any]


def calculate(formula: Formula, place: Place) -> Value:
    """Return the value of a formula.

    Raises FormulaError or UnknownFormula, and what `place` raises: CellsNeeded, WorkSpent.
    """
    place.spend(STEPS_PER_FORMULA + formula.size)
    try:
        result = formula.run(place)
    except (OverflowError, ValueError):
        raise FormulaError("#NUM!") from None
    except ZeroDivisionError:
        raise FormulaError("#DIV/0!") from None
    if isinstance(result, np.ndarray):
        if result.size != 1:
            raise FormulaError("#VALUE!")
        result = result.item()
    if isinstance(result, float) and not math.isfinite(result):
        raise FormulaError("#NUM!")
    return result


def _compiled(node: Node) -> Run:
    match node:
        case Literal(value):
            return lambda place: value
        case Reference():
            return _reading(node)
        case Range(first, last):
            return lambda place: _block(first.at(place.base), last.at(place.base), place)
        case DefinedName(name):
            return lambda place: _meaning(name, place)
        case Operation(sign, (inner,)):
            run = _compiled(inner)
            return lambda place: _unary(sign, run(place), place)
        case Operation(sign, (left, right)):
            return _operating(sign, _compiled(left), _compiled(right))
        # IF and IFERROR calculate only the branch that they take, as a spreadsheet does: an error, or a cell that is
        # not yet known, does not count in the other.
        case Call("IF", (condition, *rest)) if 1 <= len(rest) <= 2:
            return _choosing(_compiled(condition), [_compiled(part) for part in rest])
        case Call("IFERROR", (first, second)):
            return _mending(_compiled(first), _compiled(second))
        # A formula with a ROUND is compared with the right one without it, or no formula that rounds would ever match.
        case Call("ROUND", (inner, digits)):
            exact = _compiled(inner)
            rounded = _calling("ROUND", [exact, _compiled(digits)])
            return lambda place: rounded(place) if place.rounding else exact(place)
        case Call(name, ()) if name.startswith("#"):
            return _failing(FormulaError, name)
        case Call(name, arguments) if name in FUNCTIONS:
            return _calling(name, [_compiled(argument) for argument in arguments])
    return _failing(UnknownFormula, node.name if isinstance(node, Call) else "an array")


def _failing(kind: type[Exception], text: str) -> Run:
    def run(place: Place) -> Any:
        raise kind(text)

    return run


def _reading(node: Reference) -> Run:
    sheet, row, column = node.sheet, node.row, node.column
    if sheet or node.row_fixed or node.column_fixed:
        return lambda place: place.cell(node.at(place.base))

    def run(place: Place) -> Any:
        base = place.base
        down, across = base[1] + row, base[2] + column
        if down < 1 or across < 1:
            raise FormulaError("#REF!")
        return place.cell(address_of((base[0], down, across)))

    return run


def _operating(sign: str, left: Run, right: Run) -> Run:
    plain = PLAIN.get(sign)

    def run(place: Place) -> Any:
        a, b = left(place), right(place)
        # Two numbers are the usual case by far; blocks, texts and blanks take the slower way.
        if plain and type(a) is float and type(b) is float:
            return plain(a, b)
        return _binary(sign, a, b, place)

    return run


def _choosing(condition: Run, rest: Sequence[Run]) -> Run:
    def run(place: Place) -> Any:
        return rest[0](place) if number(condition(place)) else rest[1](place) if len(rest) == 2 else False

    return run


def _mending(first: Run, second: Run) -> Run:
    def run(place: Place) -> Any:
        try:
            return first(place)
        except FormulaError:
            return second(place)

    return run


def _calling(name: str, arguments: Sequence[Run]) -> Run:
    function, fewest, most = FUNCTIONS[name]

    def run(place: Place) -> Any:
        values = [argument(place) for argument in arguments]
        if not fewest <= len(values) <= most:
            raise FormulaError("#VALUE!")
        with np.errstate(all="ignore"):
            result = function(*values)
        if isinstance(result, np.generic):
            return result.item()
        return _spent(result, place) if isinstance(result, np.ndarray) else result

    return run


def _meaning(name: str, place: Place) -> Any:
    """Return the value of a defined name, which may be defined by other names, or by itself."""
    meaning = place.defined(name, place.base.sheet)
    place.spend(STEPS_PER_NAME + meaning.size)
    # A name that uses two others, each of which uses two, doubles the work at every level.
    if place.depth >= MOST_NAMES_OPEN:
        raise UnknownFormula("too deep")
    place.depth += 1
    try:
        return meaning.run(place)
    finally:
        place.depth -= 1


def _block(first: Address, last: Address, place: Place) -> np.ndarray:
    rows = range(min(first.row, last.row), max(first.row, last.row) + 1)
    columns = range(min(first.column, last.column), max(first.column, last.column) + 1)
    if len(rows) * len(columns) > LARGEST_BLOCK:
        raise UnknownFormula("a very large range")
    place.spend(STEPS_PER_READ * len(rows) * len(columns))
    # All cells that the block lacks are asked for together: one at a time, the block would be read anew for each of
    # them.
    missing: list[Address] = []
    values: list[float] = []
    sheet, cell = first.sheet, place.cell
    for row in rows:
        for column in columns:
            try:
                value = cell(address_of((sheet, row, column)))
            except CellsNeeded as needed:
                missing += needed.addresses
                continue
            # A block skips texts and blanks, which become NaN here and are left out by SUM and its like.
            values.append(math.nan if value is None or isinstance(value, str | bool) else value)
    if missing:
        raise CellsNeeded(*missing)
    return np.array(values, dtype=np.float64).reshape(len(rows), len(columns))


def _spent(block: np.ndarray, place: Place) -> np.ndarray:
    """Return a block that was calculated, and count the work."""
    place.spend(block.size // 4)
    return block


def _unary(sign: str, value: Any, place: Place) -> Any:
    plain = number(value)
    if isinstance(plain, np.ndarray):
        _spent(plain, place)
    return -plain if sign == "-" else plain / 100 if sign == "%" else plain


def _binary(sign: str, left: Any, right: Any, place: Place) -> Any:
    if sign == "&":
        text = f"{left if left is not None else ''}{right if right is not None else ''}"
        place.spend(len(text) // 10)
        if len(text) > LONGEST_TEXT:
            raise FormulaError("#VALUE!")
        return text
    if sign in COMPARISONS and isinstance(left, str) and isinstance(right, str):
        return COMPARISONS[sign](left.lower(), right.lower())
    a, b = number(left), number(right)
    check_size(a, b)
    with np.errstate(all="ignore"):
        result = COMPARISONS[sign](a, b) if sign in COMPARISONS else power(a, b) if sign == "^" else PLAIN[sign](a, b)
    return _spent(result, place) if isinstance(result, np.ndarray) else result


PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": quotient,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}

"""Formulas of a spreadsheet, read and calculated by ourselves: nothing of the file is ever executed.

Only arithmetic, references, defined names and the functions below are known. Everything else (macros, links to other
files, look-ups) is Unknown, and the caller falls back on the value that the file stores.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from classlab.lesson.functions import FUNCTIONS, FormulaError, number, power

LONGEST = 4000
DEEPEST = 60
LARGEST_RANGE = 20_000


class Unknown(Exception):
    """A formula that uses something we do not calculate."""


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
class Defined:
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


Node = Literal | Reference | Range | Defined | Operation | Call


@dataclass(frozen=True, order=True)
class Address:
    """A cell of a sheet, row and column counted from 1."""

    sheet: str
    row: int
    column: int

    def __str__(self) -> str:
        return f"{letters(self.column)}{self.row}"


Value = float | str | bool | None
Lookup = Callable[[Address], Value]

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

    Raises Unknown for what is no token of ours.
    """
    if len(formula) > LONGEST:
        raise Unknown("too long")
    found: list[Token] = []
    place, end = 1 if formula.startswith("=") else 0, len(formula.rstrip())
    while place < end:
        match = _TOKEN.match(formula, place)
        if not match:
            raise Unknown(formula[place : place + 12])
        kind = match.lastgroup or ""
        if match["external"]:
            raise Unknown("a link to another file")
        if match["reference"]:
            found.append(("reference", _reference(match, base)))
        elif match["text"] is not None:
            found.append(("text", match["text"][1:-1].replace('""', '"')))
        elif match["number"]:
            found.append(("number", float(match["number"])))
        elif match["error"]:
            found.append(("error", match["error"]))
        elif match["function"]:
            found.append(("function", match["function"].upper().removeprefix("_XLFN.")))
        else:
            found.append((kind, match[kind]))
        place = match.end()
    return tuple(found)


def _reference(match: re.Match[str], base: Address) -> Reference | Range:
    sheet = match["sheet"]
    if sheet and sheet.startswith("'"):
        sheet = sheet[1:-1].replace("''", "'")
    if sheet and ("[" in sheet or "]" in sheet):
        raise Unknown("a link to another file")

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


def parse(found: tuple[Token, ...]) -> Node:
    """Return the tree of a formula's tokens. Raises Unknown where they make none."""
    parser = _Parser(found)
    node = parser.comparison(0)
    if parser.place < len(found):
        raise Unknown("unexpected text")
    return node


class _Parser:
    """Recursive descent with a spreadsheet's precedence: %, then minus, then ^, then *, then +, then &, then =."""

    LEVELS = (("=", "<", ">", "<=", ">=", "<>"), ("&",), ("+", "-"), ("*", "/"), ("^",))

    def __init__(self, found: tuple[Token, ...]) -> None:
        self.tokens = found
        self.place = 0

    def peek(self) -> Token:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", None)

    def take(self, sign: str) -> bool:
        if self.peek() == ("sign", sign):
            self.place += 1
            return True
        return False

    def comparison(self, depth: int, level: int = 0) -> Node:
        if depth > DEEPEST:
            raise Unknown("too deep")
        if level == len(self.LEVELS):
            return self.signed(depth + 1)
        node = self.comparison(depth, level + 1)
        while self.peek()[0] == "sign" and self.peek()[1] in self.LEVELS[level]:
            sign = self.peek()[1]
            self.place += 1
            node = Operation(sign, (node, self.comparison(depth, level + 1)))
        return node

    def signed(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise Unknown("too deep")
        for sign in "+-":
            if self.take(sign):
                return Operation(sign, (self.signed(depth + 1),))
        node = self.primary(depth)
        while self.take("%"):
            node = Operation("%", (node,))
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
            return Literal(value.upper() == "TRUE") if value.upper() in ("TRUE", "FALSE") else Defined(value)
        if kind == "function":
            return Call(value, self.arguments(depth))
        if (kind, value) == ("sign", "("):
            node = self.comparison(depth + 1)
            if self.take(")"):
                return node
        raise Unknown("unexpected text")

    def arguments(self, depth: int) -> tuple[Node, ...]:
        if self.take(")"):
            return ()
        found = [self.comparison(depth + 1)]
        while self.take(",") or self.take(";"):
            found.append(self.comparison(depth + 1))
        if not self.take(")"):
            raise Unknown("a bracket is missing")
        return tuple(found)


def references(node: Node) -> Iterator[Reference | Range | Defined]:
    """Yield every reference in a tree, in reading order."""
    match node:
        case Reference() | Range() | Defined():
            yield node
        case Operation(_, inner) | Call(_, inner):
            for part in inner:
                yield from references(part)


def calculate(node: Node, base: Address, cell: Lookup, defined: Callable[[str], Node], rounding: bool = True) -> Value:
    """Return the value of a formula at `base`. `cell` gives other cells' values, `defined` what a defined name means.

    With `rounding` off ROUND changes nothing. Raises FormulaError or Unknown.
    """

    def go(node: Node) -> Any:
        match node:
            case Literal(value):
                return value
            case Reference():
                return cell(node.at(base))
            case Range(first, last):
                return _block(first.at(base), last.at(base), cell)
            case Defined(name):
                return go(defined(name))
            case Operation(sign, (inner,)):
                return _one(sign, go(inner))
            case Operation(sign, (left, right)):
                return _two(sign, go(left), go(right))
            case Call("IF", (condition, *rest)) if 1 <= len(rest) <= 2:
                return go(rest[0]) if number(go(condition)) else go(rest[1]) if len(rest) == 2 else False
            case Call("IFERROR", (first, second)):
                try:
                    return go(first)
                except FormulaError:
                    return go(second)
            case Call("ROUND", (inner, _)) if not rounding:
                return go(inner)
            case Call(name, ()) if name.startswith("#"):
                raise FormulaError(name)
            case Call(name, arguments) if name in FUNCTIONS:
                return _call(name, [go(argument) for argument in arguments])
        raise Unknown(node.name if isinstance(node, Call) else "an array")

    try:
        with np.errstate(all="ignore"):
            result = go(node)
    except (OverflowError, ValueError):
        raise FormulaError("#NUM!") from None
    except ZeroDivisionError:
        raise FormulaError("#DIV/0!") from None
    except RecursionError:
        raise Unknown("too deep") from None
    if isinstance(result, np.ndarray):
        if result.size != 1:
            raise FormulaError("#VALUE!")
        result = result.item()
    if isinstance(result, float) and not math.isfinite(result):
        raise FormulaError("#NUM!")
    return result


def _block(first: Address, last: Address, cell: Lookup) -> np.ndarray:
    rows = range(min(first.row, last.row), max(first.row, last.row) + 1)
    columns = range(min(first.column, last.column), max(first.column, last.column) + 1)
    if len(rows) * len(columns) > LARGEST_RANGE:
        raise Unknown("a very large range")
    # A block skips texts and blanks, which become NaN here and are left out by SUM and its like.
    values = [[cell(Address(first.sheet, row, column)) for column in columns] for row in rows]
    plain = [[math.nan if value is None or isinstance(value, str | bool) else value for value in row] for row in values]
    return np.array(plain, dtype=np.float64)


def _one(sign: str, value: Any) -> Any:
    plain = number(value)
    return -plain if sign == "-" else plain / 100 if sign == "%" else plain


def _two(sign: str, left: Any, right: Any) -> Any:
    if sign == "&":
        return f"{left if left is not None else ''}{right if right is not None else ''}"
    if sign in COMPARISONS:
        if isinstance(left, str) and isinstance(right, str):
            left, right = left.lower(), right.lower()
            return COMPARISONS[sign](left, right)
        return COMPARISONS[sign](number(left), number(right))
    a, b = number(left), number(right)
    if sign == "^":
        return power(a, b)
    if sign == "/" and not isinstance(b, np.ndarray) and b == 0:
        raise FormulaError("#DIV/0!")
    return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[sign]()


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def _call(name: str, arguments: list[Any]) -> Any:
    function, fewest, most = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        raise FormulaError("#VALUE!")
    return function(*arguments)

"""The functions of a spreadsheet that a workbook of this lesson may use, on numbers and on blocks of numbers."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np


class FormulaError(Exception):
    """What a spreadsheet shows in place of a number: #DIV/0!, #VALUE!, #NUM!, #REF!, #NAME?."""


class UnknownFormula(Exception):
    """A formula that uses something we do not calculate."""


LARGEST_BLOCK = 20_000  # numbers
LONGEST_NUMBER = 60  # characters
NUMBER = re.compile(r"\s*[-+−]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*")


def as_number(text: str) -> float | None:
    """Return the number that a text is, with a point or a comma; None where it is none, or too large for one."""
    if len(text) > LONGEST_NUMBER or not NUMBER.fullmatch(text):
        return None
    value = float(text.strip().replace("−", "-").replace(",", "."))
    return value if math.isfinite(value) else None


def number(value: Any) -> Any:
    """Return a value as a number, as arithmetic takes it: a blank is 0, a text must be a number."""
    if isinstance(value, np.ndarray):
        return np.nan_to_num(value, nan=0.0)
    if value is None:
        return 0.0
    if isinstance(value, str):
        plain = as_number(value)
        if plain is None:
            raise FormulaError("#VALUE!")
        return plain
    return float(value)


def check_size(*blocks: Any) -> None:
    """Raise UnknownFormula where an operation on all of them makes a very large block: a column times a row is one."""
    shapes = [block.shape for block in blocks if isinstance(block, np.ndarray)]
    if len(shapes) > 1 and math.prod(np.broadcast_shapes(*shapes)) > LARGEST_BLOCK:
        raise UnknownFormula("a very large block")


def power(a: Any, b: Any) -> Any:
    """Return a to the power b, or the error that a spreadsheet shows."""
    check_size(a, b)
    if not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray):
        if a == 0 and b < 0:
            raise FormulaError("#DIV/0!")
        if a < 0 and not float(b).is_integer():
            raise FormulaError("#NUM!")
    return a**b


def _all(arguments: tuple[Any, ...]) -> list[float]:
    """Return the numbers of all arguments; texts and blanks within blocks are left out."""
    numbers: list[float] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            numbers.extend(argument[~np.isnan(argument)].tolist())
        else:
            numbers.append(number(argument))
    return numbers


def _plain(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: function(number(value))


def _ln(value: Any) -> Any:
    if not isinstance(value, np.ndarray) and value <= 0:
        raise FormulaError("#NUM!")
    return np.log(value)


def _single(value: Any) -> float:
    """Return an argument that must be one number; a block of cells is none."""
    plain = number(value)
    if isinstance(plain, np.ndarray):
        raise FormulaError("#VALUE!")
    return plain


def _rounded(value: Any, digits: Any) -> Any:
    places = int(_single(digits))
    if abs(places) > MOST_PLACES:
        raise FormulaError("#NUM!")
    scale = 10.0**places
    plain = number(value)
    return np.sign(plain) * np.floor(np.abs(plain) * scale + 0.5) / scale


def _cut_off(value: Any, digits: Any) -> Any:
    places = int(_single(digits))
    if abs(places) > MOST_PLACES:
        raise FormulaError("#NUM!")
    return np.trunc(number(value) * 10.0**places) / 10.0**places


def _both(a: Any, b: Any, operator: Callable[[Any, Any], Any]) -> Any:
    check_size(a, b)
    return operator(number(a), number(b))


def quotient(a: Any, b: Any) -> Any:
    """Return a / b, or the error that a spreadsheet shows."""
    if not isinstance(b, np.ndarray) and b == 0:
        raise FormulaError("#DIV/0!")
    return a / b


def _average(*arguments: Any) -> float:
    numbers = _all(arguments)
    return sum(numbers) / len(numbers)


def _sum_of_products(*arguments: Any) -> float:
    product = np.ones(())
    for argument in arguments:
        check_size(product, argument)
        product = product * number(argument)
    return float(np.sum(product))


def _sum_of_squared_differences(a: Any, b: Any) -> float:
    check_size(a, b)
    return float(np.sum((number(a) - number(b)) ** 2))


def _matrix_product(a: Any, b: Any) -> Any:
    left, right = np.atleast_2d(number(a)), np.atleast_2d(number(b))
    if left.shape[0] * right.shape[1] > LARGEST_BLOCK:
        raise UnknownFormula("a very large block")
    return left @ right


MANY = 255
MOST_PLACES = 300  # that ROUND keeps: 10 to a power that a number holds
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    # Google Sheets' names of the operators, and what it wraps around a formula for many cells.
    "ADD": (lambda a, b: _both(a, b, lambda x, y: x + y), 2, 2),
    "MINUS": (lambda a, b: _both(a, b, lambda x, y: x - y), 2, 2),
    "MULTIPLY": (lambda a, b: _both(a, b, lambda x, y: x * y), 2, 2),
    "DIVIDE": (lambda a, b: _both(a, b, quotient), 2, 2),
    "POW": (lambda a, b: power(number(a), number(b)), 2, 2),
    "UMINUS": (lambda a: -number(a), 1, 1),
    "UPLUS": (lambda a: number(a), 1, 1),
    "UNARY_PERCENT": (lambda a: number(a) / 100, 1, 1),
    "ARRAYFORMULA": (lambda a: a, 1, 1),
    "SINGLE": (lambda a: a, 1, 1),  # Excel's @
    "EXP": (_plain(np.exp), 1, 1),
    "LN": (_plain(_ln), 1, 1),
    "LOG10": (_plain(lambda x: _ln(x) / math.log(10)), 1, 1),
    "LOG": (lambda x, base=10: _ln(number(x)) / math.log(_single(base)), 1, 2),
    "POWER": (lambda a, b: power(number(a), number(b)), 2, 2),
    "SQRT": (_plain(lambda x: power(x, 0.5)), 1, 1),
    "ABS": (_plain(np.abs), 1, 1),
    "SIGN": (_plain(np.sign), 1, 1),
    "INT": (_plain(np.floor), 1, 1),
    "TANH": (_plain(np.tanh), 1, 1),
    "SINH": (_plain(np.sinh), 1, 1),
    "COSH": (_plain(np.cosh), 1, 1),
    "SECH": (_plain(lambda x: 1 / np.cosh(x)), 1, 1),
    "ATANH": (_plain(np.arctanh), 1, 1),
    "TRUNC": (lambda x, digits=0: _cut_off(x, digits), 1, 2),
    "ROUNDDOWN": (lambda x, digits=0: _cut_off(x, digits), 1, 2),
    "MOD": (lambda a, b: _both(a, b, lambda x, y: x - y * np.floor(quotient(x, y))), 2, 2),
    "N": (_plain(lambda x: x), 1, 1),
    "VALUE": (_plain(lambda x: x), 1, 1),
    "ROUND": (_rounded, 2, 2),
    "PI": (lambda: math.pi, 0, 0),
    "SUM": (lambda *a: math.fsum(_all(a)), 1, MANY),
    "PRODUCT": (lambda *a: math.prod(_all(a)), 1, MANY),
    "AVERAGE": (_average, 1, MANY),
    "MAX": (lambda *a: max(_all(a), default=0.0), 1, MANY),
    "MIN": (lambda *a: min(_all(a), default=0.0), 1, MANY),
    "SUMSQ": (lambda *a: math.fsum(x * x for x in _all(a)), 1, MANY),
    "SUMPRODUCT": (_sum_of_products, 1, MANY),
    "SUMXMY2": (_sum_of_squared_differences, 2, 2),
    "SUMX2MY2": (lambda a, b: _sum_of_products(a, a) - _sum_of_products(b, b), 2, 2),
    "SUMX2PY2": (lambda a, b: _sum_of_products(a, a) + _sum_of_products(b, b), 2, 2),
    "MEDIAN": (lambda *a: float(np.median(_all(a))) if _all(a) else 0.0, 1, MANY),
    "MMULT": (_matrix_product, 2, 2),
    "TRANSPOSE": (lambda a: np.atleast_2d(number(a)).T, 1, 1),
    "AND": (lambda *a: all(_all(a)), 1, MANY),
    "OR": (lambda *a: any(_all(a)), 1, MANY),
    "NOT": (lambda a: not number(a), 1, 1),
}

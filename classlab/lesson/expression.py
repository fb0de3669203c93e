"""Expressions: one small tree for a formula: written as text, in a cell, as data for the page, or evaluated.

The derivation states every quantity once, as such a tree; the workbook, the walk, the page and the check all read it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Name:
    """A quantity by name; `row` -1 means the row before (the previous epoch)."""

    name: str
    row: int = 0


@dataclass(frozen=True)
class Sum:
    """Terms added; a difference adds a Negation."""

    terms: "tuple[Expression, ...]"


@dataclass(frozen=True)
class Product:
    """Factors multiplied."""

    factors: "tuple[Expression, ...]"


@dataclass(frozen=True)
class Negation:
    """Minus the inner expression."""

    inner: "Expression"


@dataclass(frozen=True)
class Quotient:
    """Numerator over denominator."""

    numerator: "Expression"
    denominator: "Expression"


@dataclass(frozen=True)
class Square:
    """The inner expression times itself."""

    inner: "Expression"


@dataclass(frozen=True)
class Application:
    """One of FUNCTIONS applied to an expression."""

    function: str
    inner: "Expression"


Expression = Number | Name | Sum | Product | Negation | Quotient | Square | Application
Computed = Callable[[Callable[[Name], Any]], Any]  # an expression as a function of what each name means


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.78 else math.inf


FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: 1 / (1 + _exp(-x)),
    "tanh": math.tanh,
    "relu": lambda x: max(0.0, x),
    "step": lambda x: 1.0 if x > 0 else 0.0,
    "exp": _exp,
    "ln": lambda x: math.log(x) if x > 0 else -math.inf if x == 0 else math.nan,
}
SLOPES: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: FUNCTIONS["sigmoid"](x) * (1 - FUNCTIONS["sigmoid"](x)),
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
    "relu": FUNCTIONS["step"],
    "step": lambda x: 0.0,
    "exp": _exp,
    "ln": lambda x: 1 / x,
}
SIGNS = {"sigmoid": "σ", "relu": "relu", "step": "relu′"}
IN_A_CELL = {
    "sigmoid": "1/(1+EXP(-{}))",
    "tanh": "TANH({})",
    "relu": "MAX(0,{})",
    "step": "IF({}>0,1,0)",
    "exp": "EXP({})",
    "ln": "LN({})",
}
FRACTIONS = {0.5: "½", 0.25: "¼"}


def add(*terms: Expression) -> Expression:
    """Return the sum of the terms, or the term itself where there is one."""
    return terms[0] if len(terms) == 1 else Sum(terms)


def minus(left: Expression, right: Expression) -> Expression:
    """Return left - right."""
    return Sum((left, Negation(right)))


def multiply(*factors: Expression) -> Expression:
    """Return the product, nested products written as one, or the factor itself where there is one."""
    flat: list[Expression] = []
    for factor in factors:
        flat.extend(factor.factors if isinstance(factor, Product) else [factor])
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def parts(expression: Expression) -> "tuple[Expression, ...]":
    """Return the expressions directly inside."""
    match expression:
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Quotient(numerator, denominator):
            return numerator, denominator
        case Negation(inner) | Square(inner) | Application(_, inner):
            return (inner,)
    return ()


def with_parts(expression: Expression, new: "tuple[Expression, ...]") -> Expression:
    """Return the same kind of expression around other parts."""
    match expression:
        case Sum():
            return Sum(new)
        case Product():
            return Product(new)
        case Quotient():
            return Quotient(*new)
        case Negation():
            return Negation(*new)
        case Square():
            return Square(*new)
        case Application(function, _):
            return Application(function, *new)
    return expression


def names(expression: Expression) -> Iterator[Name]:
    """Yield every name, in reading order, repeated where it is."""
    if isinstance(expression, Name):
        yield expression
    for part in parts(expression):
        yield from names(part)


def size(expression: Expression) -> int:
    """Return how many numbers, names and operations the expression holds."""
    return 1 + sum(size(part) for part in parts(expression))


def evaluate(
    expression: Expression, value: Callable[[Name], Any], functions: Mapping[str, Callable[[Any], Any]] = FUNCTIONS
) -> Any:
    """Return the number that the expression means, given what each name means.

    With functions for arrays, names may mean arrays, float64 of one shape; so does the expression then.
    """
    return compiled(expression, functions)(value)


def compiled(expression: Expression, functions: Mapping[str, Callable[[Any], Any]] = FUNCTIONS) -> Computed:
    """Return the expression as a function of what each name means, for one that is evaluated many times."""
    match expression:
        case Number(number):
            return lambda value: number
        case Name():
            return lambda value: value(expression)
        case Sum(terms):
            added = [compiled(term, functions) for term in terms]
            return lambda value: sum([term(value) for term in added])
        case Product(factors):
            multiplied = [compiled(factor, functions) for factor in factors]
            return lambda value: math.prod([factor(value) for factor in multiplied])
        case Negation(inner):
            positive = compiled(inner, functions)
            return lambda value: -positive(value)
        case Square(inner):
            base = compiled(inner, functions)
            return lambda value: base(value) ** 2
        case Quotient(numerator, denominator):
            above, below = compiled(numerator, functions), compiled(denominator, functions)
            return lambda value: above(value) / below(value)
        case Application(name, inner):
            function, argument = functions[name], compiled(inner, functions)
            return lambda value: function(argument(value))


def differential(expression: Expression, value: Callable[[Name], float], change: Callable[[Name], float]) -> float:
    """Return how much the expression changes when each name changes at the rate that `change` gives."""

    def go(inner: Expression) -> float:
        return differential(inner, value, change)

    match expression:
        case Number():
            return 0.0
        case Name():
            return change(expression)
        case Sum(terms):
            return sum(go(term) for term in terms)
        case Product(factors):
            numbers = [evaluate(factor, value) for factor in factors]
            return sum(
                go(factor) * math.prod(numbers[:index] + numbers[index + 1 :]) for index, factor in enumerate(factors)
            )
        case Negation(inner):
            return -go(inner)
        case Square(inner):
            return 2 * evaluate(inner, value) * go(inner)
        case Quotient(numerator, denominator):
            below = evaluate(denominator, value)
            return (go(numerator) - evaluate(expression, value) * go(denominator)) / below
        case Application(function, inner):
            return SLOPES[function](evaluate(inner, value)) * go(inner)


def evaluate_by_name(expression: Expression, values: Mapping[str, float]) -> float:
    """Return the number that the expression means within one row of values."""
    return evaluate(expression, lambda name: values[name.name])


def text(expression: Expression, name: Callable[[Name], str] = lambda name: name.name) -> str:
    """Return the expression as it is written by hand: ½·(t1 − a_o1)². `name` may put numbers in place of names."""
    match expression:
        case Number(number):
            return FRACTIONS.get(number, f"{number:g}").replace("-", "−")
        case Name():
            return name(expression)
        case Sum(terms):
            written = text(terms[0], name)
            for term in terms[1:]:
                negative = isinstance(term, Negation)
                inner = _guarded(term.inner, name, (Sum,)) if isinstance(term, Negation) else text(term, name)
                written += f" {'−' if negative else '+'} {inner}"
            return written
        case Product(factors):
            return "·".join(_guarded(factor, name, (Sum, Negation, Quotient)) for factor in factors)
        case Negation(inner):
            return "−" + _guarded(inner, name, (Sum, Negation))
        case Square(inner):
            return _guarded(inner, name, (Sum, Product, Negation, Quotient, Square)) + "²"
        case Quotient(numerator, denominator):
            over = (Sum, Negation, Product, Quotient)
            return f"{_guarded(numerator, name, over)} / {_guarded(denominator, name, over)}"
        case Application(function, inner):
            return f"{SIGNS.get(function, function)}({text(inner, name)})"


def _guarded(expression: Expression, name: Callable[[Name], str], kinds: tuple[type, ...]) -> str:
    written = text(expression, name)
    return f"({written})" if isinstance(expression, kinds) else written


def in_a_cell(expression: Expression, address: Callable[[Name], str]) -> str:
    """Return the expression as a spreadsheet formula without "="; `address` says in which cell a name stands."""
    match expression:
        case Number(number):
            return f"{number:g}"
        case Name():
            return address(expression)
        case Sum(terms):
            written = in_a_cell(terms[0], address)
            for term in terms[1:]:
                if isinstance(term, Negation):
                    written += "-" + _braced(term.inner, address, (Sum,))
                else:
                    written += "+" + in_a_cell(term, address)
            return written
        case Product(factors):
            return "*".join(_braced(factor, address, (Sum, Negation, Quotient)) for factor in factors)
        case Negation(inner):
            # A cell's minus binds tighter than ^, so what follows it stands in brackets unless it is a plain cell.
            return "-" + _braced(inner, address, (Sum, Negation, Square, Product, Quotient))
        case Square(inner):
            return _braced(inner, address, (Sum, Product, Negation, Quotient, Square)) + "^2"
        case Quotient(numerator, denominator):
            over = (Sum, Negation, Product, Quotient)
            return f"{_braced(numerator, address, over)}/{_braced(denominator, address, over)}"
        case Application(function, inner):
            written = in_a_cell(inner, address)
            plain = isinstance(inner, Name) or function in ("tanh", "exp", "ln", "relu")
            return IN_A_CELL[function].format(written if plain else f"({written})")


def _braced(expression: Expression, address: Callable[[Name], str], kinds: tuple[type, ...]) -> str:
    written = in_a_cell(expression, address)
    # 1/(1+EXP(-x)) is a quotient once it is written out.
    quotient = isinstance(expression, Application) and expression.function == "sigmoid"
    return f"({written})" if quotient or isinstance(expression, kinds) else written


def as_data(expression: Expression) -> list[Any]:
    """Return the expression as nested lists for JSON: ["+", a, b], ["-", a], ["name", "w1", 0], ["apply", "ln", a]."""
    match expression:
        case Number(number):
            return ["number", number]
        case Name(name, row):
            return ["name", name, row]
        case Application(function, inner):
            return ["apply", function, as_data(inner)]
    sign = {Sum: "+", Product: "*", Negation: "-", Quotient: "/", Square: "^2"}[type(expression)]
    return [sign, *(as_data(part) for part in parts(expression))]

"""The slips that people make with a formula: every small change to the right expression, with a sentence for each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from classlab.lesson.expression import (
    Application,
    Expression,
    Name,
    Negation,
    Number,
    Product,
    Quotient,
    Square,
    Sum,
    minus,
    multiply,
    names,
    parts,
    text,
    with_parts,
)

LARGEST_WRITTEN_OUT = 400  # names, numbers and operations


class NameText(Protocol):
    """Writes a name with the column it stands in, "a_h1 (column J)", or only the cell, "J5"."""

    def __call__(self, name: Name, /, cell_only: bool = False) -> str:
        """Return the name as sentences write it."""
        ...


@dataclass(frozen=True)
class Edit:
    """A wrong expression, and the sentence (after the cell's name) that says what was done to the right one."""

    expression: Expression
    sentence: str


def edits(
    expression: Expression, others: Sequence[str], rows: Sequence[int], show: NameText, spend: Callable[[], None]
) -> Iterator[Edit]:
    """Yield the slips that people make with this expression, the likeliest first. `spend` is called for each."""
    for edit in _edits(expression, others, rows, show, spend):
        spend()
        yield edit


def _edits(
    expression: Expression, others: Sequence[str], rows: Sequence[int], show: NameText, spend: Callable[[], None]
) -> Iterator[Edit]:
    yield Edit(Negation(expression), "has the wrong sign")
    yield from _slope_edits(expression)
    inside: list[tuple[int, Edit]] = []
    for ranked in _inside(expression, others, rows, show, None):
        spend()
        inside.append(ranked)
    yield from (edit for rank in range(3) for edit_rank, edit in inside if edit_rank == rank)
    yield from _renamings(expression, others, show)
    for old in dict.fromkeys(names(expression)):
        for row in rows:
            if row != old.row:
                new = Name(old.name, row)
                yield Edit(
                    _renamed(expression, old, new),
                    f"takes {old.name} from {show(new, True)} where {show(old, True)} belongs",
                )
    for row in rows:
        if row:
            yield Edit(
                shifted(expression, row), f"takes its numbers from {'the row above' if row < 0 else 'the row below'}"
            )
    for factor, factor_text in ((2.0, "2"), (0.5, "½"), (-2.0, "−2"), (-0.5, "−½")):
        yield Edit(multiply(Number(factor), expression), f"has a factor too many: {factor_text}")
    for other in [Name(name) for name in others]:
        yield Edit(multiply(expression, other), f"has a factor too many: {show(other)}")
        slope = minus(Number(1.0), other)
        yield Edit(multiply(expression, slope), f"has a factor too many: 1 − {show(other)}")
        yield Edit(multiply(expression, other, slope), f"has a factor too many: {show(other)}·(1 − {other.name})")


def forms(expression: Expression, known: Mapping[str, Expression]) -> list[Expression]:
    """Return the ways in which people write a gradient: as it stands, ∂E/∂o written out, and path by path.

    Nobody writes out a network of so many paths that its gradients would fill a page.
    """
    written = [expression]
    if _size_written_out(expression, known, {}) <= LARGEST_WRITTEN_OUT:
        written.append(_written_out(expression, known))
    written += [_path_by_path(form) for form in written]
    return list(dict.fromkeys(written))


def _size_written_out(expression: Expression, known: Mapping[str, Expression], sizes: dict[str, int]) -> int:
    """Return the size of what `_written_out` makes; `sizes` keeps those of names, which are written out many times."""
    if not isinstance(expression, Name):
        return 1 + sum(_size_written_out(part, known, sizes) for part in parts(expression))
    if expression.name not in sizes:
        handed_back = expression.name.startswith(("∂E/∂o", "∂E/∂h")) and expression.name in known
        sizes[expression.name] = _size_written_out(known[expression.name], known, sizes) if handed_back else 1
    return sizes[expression.name]


def _written_out(expression: Expression, known: Mapping[str, Expression]) -> Expression:
    """Put the formula of ∂E/∂o and ∂E/∂h in place of the name."""
    if isinstance(expression, Name):
        handed_back = expression.row == 0 and expression.name.startswith(("∂E/∂o", "∂E/∂h"))
        return _written_out(known[expression.name], known) if handed_back and expression.name in known else expression
    new = tuple(_written_out(part, known) for part in parts(expression))
    return multiply(*new) if isinstance(expression, Product) else with_parts(expression, new)


def _path_by_path(expression: Expression) -> Expression:
    """Multiply out the sum over paths: (a·w5 + b·w7)·c becomes a·w5·c + b·w7·c."""
    if not isinstance(expression, Product):
        return expression
    for index, factor in enumerate(expression.factors):
        if isinstance(factor, Sum) and not any(isinstance(term, Negation | Number) for term in factor.terms):
            rest = (*expression.factors[:index], *expression.factors[index + 1 :])
            return Sum(tuple(multiply(term, *rest) for term in factor.terms))
    return expression


def _slope_edits(expression: Expression) -> Iterator[Edit]:
    """Yield slips with slopes, one layer's or all: left out, or that of the sigmoid taken for that of tanh."""
    slopes = dict(_slopes(expression))
    layers: dict[str, list[Name]] = {}
    for a in slopes:
        layers.setdefault(a.name.partition("[")[0].rstrip("0123456789"), []).append(a)
    for units in [*layers.values(), list(slopes)]:
        right, turned = ([multiply(*_slope(slopes[a], a, other)) for a in units] for other in (False, True))
        expected, instead = (" and ".join(map(text, products)) for products in (right, turned))
        whose = " and ".join(dict.fromkeys("the sigmoid" if slopes[a] == "sigmoid" else "tanh" for a in units))
        yield Edit(_with_slopes(expression, units, lambda kind, a: ()), f"lacks {expected}, the slope of {whose}")
        yield Edit(
            _with_slopes(expression, units, lambda kind, a: _slope(kind, a, True)),
            f"has {instead} where {expected}, the slope of {whose}, belongs",
        )


def _slope(kind: str, a: Name, other: bool = False) -> tuple[Expression, ...]:
    """Return the factors of a sigmoid's or tanh's slope at an activation; of the other function's if `other`."""
    unity = Number(1.0)
    return (a, minus(unity, a)) if (kind == "sigmoid") != other else (minus(unity, Square(a)),)


def _slope_at(factors: Sequence[Expression], index: int) -> tuple[str, Name] | None:
    """Return (sigmoid or tanh, the activation) where the factors from `index` on are a slope; None where not."""
    match factors[index]:
        case Name() as a if factors[index + 1 : index + 2] == _slope("sigmoid", a)[1:]:
            return "sigmoid", a
        case Sum((Number(1.0), Negation(Square(Name() as a)))):
            return "tanh", a
    return None


def _slopes(expression: Expression) -> Iterator[tuple[Name, str]]:
    """Yield the activation and the kind of every slope in an expression."""
    if isinstance(expression, Product):
        slopes = (_slope_at(expression.factors, index) for index in range(len(expression.factors)))
        yield from ((a, kind) for kind, a in filter(None, slopes))
    for part in parts(expression):
        yield from _slopes(part)


def _with_slopes(
    expression: Expression, units: Sequence[Name], new: Callable[[str, Name], tuple[Expression, ...]]
) -> Expression:
    """Put new factors in place of the slopes of these activations."""
    if not isinstance(expression, Product):
        return with_parts(expression, tuple(_with_slopes(part, units, new) for part in parts(expression)))
    factors: list[Expression] = []
    rest = expression.factors
    while rest:
        slope = _slope_at(rest, 0)
        if slope and slope[1] in units:
            factors += new(*slope)
            rest = rest[len(_slope(*slope)) :]
        else:
            factors.append(_with_slopes(rest[0], units, new))
            rest = rest[1:]
    return multiply(*factors)


def _inside(
    expression: Expression,
    others: Sequence[str],
    rows: Sequence[int],
    show: NameText,
    parent: Expression | None,
) -> Iterator[tuple[int, Edit]]:
    """Yield (rank, slip) for every slip in one place of the expression."""
    verb = "multiplies by" if isinstance(parent, Product) else "uses"
    match expression:
        case Name(name, row):
            for other in others:
                if other != name:
                    new = Name(other, row)
                    yield 0, Edit(new, f"{verb} {show(new)} where {show(expression)} belongs")
            for other_row in rows:
                if other_row != row:
                    new = Name(name, other_row)
                    yield 0, Edit(new, f"takes {name} from {show(new, True)} where {show(expression, True)} belongs")
        case Product(factors):
            yield from ((1, edit) for edit in _product_edits(factors, show))
            yield from ((2, edit) for edit in _renamings(expression, others, show) if parent is not None)
        case Sum(terms):
            yield from ((1, edit) for edit in _sum_edits(terms, show))
        case Square(inner):
            yield 1, Edit(inner, f"lacks the square of {text(inner, show)}")
            yield 2, Edit(multiply(Number(2.0), inner), f"doubles {text(inner, show)} where its square belongs")
        case Application():
            yield from ((1, edit) for edit in _function_edits(expression, show))
        case Number(value):
            for other in (2.0, 1.0, 0.5, 0.0):
                if other != value:
                    yield 2, Edit(Number(other), f"has {other:g} where {text(expression)} belongs")
    whole = parts(expression)
    for index, part in enumerate(whole):
        context = parent if isinstance(expression, Negation) else expression
        for rank, edit in _inside(part, others, rows, show, context):
            around = with_parts(expression, (*whole[:index], edit.expression, *whole[index + 1 :]))
            yield rank, Edit(around, edit.sentence)


def _product_edits(factors: tuple[Expression, ...], show: NameText) -> Iterator[Edit]:
    for index, factor in enumerate(factors):
        rest = (*factors[:index], *factors[index + 1 :])
        yield Edit(multiply(*rest), f"lacks the factor {text(factor, show)}")
        if isinstance(factor, Sum):
            # a·(b − c)·d without its brackets is a·b − c·d
            before, after = factors[:index], factors[index + 1 :]
            inner = list(factor.terms)
            last = inner[-1]
            inner[0] = multiply(*before, inner[0])
            inner[-1] = (
                Negation(multiply(last.inner, *after)) if isinstance(last, Negation) else multiply(inner[-1], *after)
            )
            if before or after:
                yield Edit(Sum(tuple(inner)), f"needs brackets around {text(factor, show)}")
        yield Edit(Product((*factors, factor)), f"multiplies by {text(factor, show)} twice")
        if isinstance(factor, Name):
            divided = multiply(*rest)
            yield Edit(Quotient(divided, factor), f"divides by {show(factor)} where it must multiply")
    for index in range(len(factors) - 1):
        if len(factors) > 2:
            pair = factors[index : index + 2]
            rest = (*factors[:index], *factors[index + 2 :])
            yield Edit(multiply(*rest), f"lacks the factor {text(Product(pair), show)}")
    if len(factors) > 2:
        for index, factor in enumerate(factors):
            rest = Product((*factors[:index], *factors[index + 1 :]))
            yield Edit(factor, f"lacks the factor {text(rest, show)}")
    if len(factors) == 2:
        yield Edit(
            Sum(factors), f"adds {text(factors[0], show)} and {text(factors[1], show)} where it must multiply them"
        )


def _sum_edits(terms: tuple[Expression, ...], show: NameText) -> Iterator[Edit]:
    # What is subtracted comes first: to write t + a for t − a is likelier than −t − a, whose square is the same.
    for index, term in sorted(enumerate(terms), key=lambda item: not isinstance(item[1], Negation)):
        rest = (*terms[:index], *terms[index + 1 :])
        bare, negative = (term.inner, True) if isinstance(term, Negation) else (term, False)
        yield Edit(Sum(rest) if len(rest) > 1 else rest[0], f"leaves out {text(bare, show)}")
        flipped = (*terms[:index], bare if negative else Negation(term), *terms[index + 1 :])
        template = "adds {} where it must be subtracted" if negative else "subtracts {} where it must be added"
        yield Edit(Sum(flipped), template.format(text(bare, show)))
    if not any(isinstance(term, Negation) for term in terms):
        yield Edit(
            multiply(*terms), f"multiplies {' and '.join(text(term, show) for term in terms)} where it must add them"
        )


def _function_edits(expression: Application, show: NameText) -> Iterator[Edit]:
    inner, argument = expression.inner, text(expression.inner, show)
    if expression.function == "sigmoid":
        yield Edit(Application("sigmoid", Negation(inner)), f"has EXP({argument}) where EXP(−{argument}) belongs")
        power = Application("exp", Negation(inner))
        yield Edit(Sum((Number(1.0), power)), f"needs brackets around 1 + EXP(−{argument})")
        yield Edit(power, f"is EXP(−{argument}) alone, without 1/(1 + …)")
        yield Edit(Quotient(Number(1.0), power), f"lacks the 1 + in 1/(1 + EXP(−{argument}))")
        yield Edit(
            Quotient(Number(1.0), minus(Number(1.0), power)),
            f"has 1 − EXP(−{argument}) where 1 + EXP(−{argument}) belongs",
        )
    for other in ("sigmoid", "tanh", "relu", "exp", "ln"):
        if other != expression.function:
            yield Edit(Application(other, inner), f"applies {other} where {expression.function} belongs")
    yield Edit(inner, f"holds {argument} itself, without {expression.function}")
    slope = multiply(expression, minus(Number(1.0), expression))
    yield Edit(slope, f"holds the slope of {expression.function} where its value belongs")


def _renamings(expression: Expression, others: Sequence[str], show: NameText) -> Iterator[Edit]:
    """Yield the expression with one name taken for another wherever it stands."""
    for old in dict.fromkeys(names(expression)):
        for other in others:
            if other != old.name:
                new = Name(other, old.row)
                yield Edit(_renamed(expression, old, new), f"uses {show(new)} where {show(old)} belongs")


def _renamed(expression: Expression, old: Name, new: Name) -> Expression:
    if expression == old:
        return new
    return with_parts(expression, tuple(_renamed(part, old, new) for part in parts(expression)))


def renamed_all(expression: Expression, new: Mapping[str, str]) -> Expression:
    """Return the expression with names taken for others, all at once, wherever they stand."""
    if isinstance(expression, Name):
        return Name(new.get(expression.name, expression.name), expression.row)
    return with_parts(expression, tuple(renamed_all(part, new) for part in parts(expression)))


def shifted(expression: Expression, rows: int) -> Expression:
    """Return the expression with every name taken from `rows` rows further down."""
    if isinstance(expression, Name):
        return Name(expression.name, expression.row + rows)
    return with_parts(expression, tuple(shifted(part, rows) for part in parts(expression)))

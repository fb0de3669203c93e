"""The derivation: every quantity of a small network by name, its formula, and the walk from the inputs to the update.

Names are those of the reports' workbooks: i1, w1, h1, a_h1, o1, a_o1, t1, E1, E_tot, ∂E/∂w1. With more than one hidden
layer h2_1 is unit 1 of layer 2; with several examples i1[2] belongs to example 2.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

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
    add,
    evaluate_by_name,
    minus,
    multiply,
    names,
    text,
)
from classlab.lesson.small_network import Epoch, Network

MOST_PATHS = 24
RATE = "η"
TOTAL = "E_tot"


@dataclass(frozen=True)
class Shape:
    """What the names and formulas of a network depend on; everything of it but the numbers.

    `by_input` numbers weights input by input (h1 = w1·i1 + w3·i2) instead of unit by unit. `with_deltas` has columns
    for ∂E/∂o and ∂E/∂h. The loss may be `whole_squared_error`, (t − a)² without the ½. The reports' network uses none
    of these, but a workbook to be checked may.
    """

    sizes: tuple[int, ...] = (2, 2, 2)
    biases: bool = False
    hidden: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "squared_error"
    examples: int = 1
    by_input: bool = False
    with_deltas: bool = False

    @property
    def last(self) -> int:
        """The number of the output layer; the inputs are layer 0."""
        return len(self.sizes) - 1

    @property
    def has_deltas(self) -> bool:
        """Whether ∂E/∂h and ∂E/∂o are quantities of their own, because formulas without them grow too long."""
        joint = self.output == "softmax" and self.loss != "cross_entropy"
        return self.with_deltas or self.last > 2 or self.examples > 1 or joint or self.sizes[-1] > 3


@dataclass(frozen=True)
class Quantity:
    """One named number of a row. `expression` is None for what is given: inputs, targets, weights and biases.

    kind: target, input, weight, bias, sum, activation, error, total, delta or gradient.
    """

    name: str
    kind: str
    expression: Expression | None = None


@dataclass(frozen=True)
class Factor:
    """One link of a path: its name as a partial derivative, and what it is."""

    label: str
    expression: Expression


@dataclass(frozen=True)
class Step:
    """One step of the walk: `result` = `expression`. `lit` names what to light up in the drawing, the result first.

    kind: forward, error, path (one product of factors on the way from the error to a parameter), gradient or update.
    """

    kind: str
    title: str
    result: str
    expression: Expression
    lit: tuple[str, ...]
    factors: tuple[Factor, ...] = ()


def shape_of(network: Network) -> Shape:
    """Return the shape of a network."""
    return Shape(
        network.sizes,
        network.biases is not None,
        network.hidden,
        network.output,
        network.loss,
        len(network.inputs),
    )


def unit(shape: Shape, layer: int, index: int, example: int = 0) -> str:
    """Return the name of a unit's sum, or of an input: i1, h1, h2_1, o1. Indices count from 0, names from 1."""
    suffix = f"[{example + 1}]" if shape.examples > 1 else ""
    if layer == 0:
        return f"i{index + 1}{suffix}"
    if layer == shape.last:
        return f"o{index + 1}{suffix}"
    return f"h{layer}_{index + 1}{suffix}" if shape.last > 2 else f"h{index + 1}{suffix}"


def activation(shape: Shape, layer: int, index: int, example: int = 0) -> str:
    """Return the name of what a unit hands on: a_h1, or the input itself."""
    name = unit(shape, layer, index, example)
    return name if layer == 0 else f"a_{name}"


def weight(shape: Shape, layer: int, index: int, before: int) -> str:
    """Return the name of the weight into unit `index` of `layer` from unit `before` of the layer below."""
    pairs = itertools.pairwise(shape.sizes[:layer])
    earlier = sum(below * above for below, above in pairs)
    within = (
        before * shape.sizes[layer] + index if shape.by_input else index * shape.sizes[layer - 1] + before
    )  # fmt: skip
    return f"w{earlier + within + 1}"


def bias(shape: Shape, layer: int, index: int) -> str:
    """Return the name of a unit's bias."""
    return f"b{sum(shape.sizes[1:layer]) + index + 1}"


@lru_cache(maxsize=8)
def quantities(shape: Shape) -> Mapping[str, Quantity]:
    """Return every quantity of one row by name, in the order of the reports' columns."""
    givens = [Quantity(f"t{k + 1}{_example_suffix(shape, e)}", "target") for e, k in _each(shape, shape.last)]
    givens += [Quantity(unit(shape, 0, j, e), "input") for e, j in _each(shape, 0)]
    rows = [*givens]
    for layer in range(1, shape.last + 1):
        below = range(shape.sizes[layer - 1])
        weights = [weight(shape, layer, j, k) for j in range(shape.sizes[layer]) for k in below]
        rows += [Quantity(name, "weight") for name in sorted(weights, key=lambda name: int(name[1:]))]
        if shape.biases:
            rows += [Quantity(bias(shape, layer, j), "bias") for j in range(shape.sizes[layer])]
        rows += _units(shape, layer)
    errors = [
        Quantity(f"E{k + 1}{_example_suffix(shape, e)}", "error", _error(shape, k, e))
        for e, k in _each(shape, shape.last)
    ]
    total = add(*(Name(error.name) for error in errors))
    total = Quotient(total, Number(shape.examples)) if shape.examples > 1 else total
    rows += [*errors, Quantity(TOTAL, "total", total)]
    if shape.has_deltas:
        rows += [
            Quantity(_delta_name(shape, layer, j, e), "delta", _delta(shape, layer, j, e))
            for layer in range(shape.last, 0, -1)
            for e, j in _each(shape, layer)
        ]
    rows += [Quantity(f"∂E/∂{name}", "gradient", _gradient(shape, *place)) for name, place in parameters(shape).items()]
    return {quantity.name: quantity for quantity in rows}


def _units(shape: Shape, layer: int) -> list[Quantity]:
    """Each unit's sum and then its activation; a softmax reads all sums, so there the sums come first."""
    sums = [Quantity(unit(shape, layer, j, e), "sum", _sum(shape, layer, j, e)) for e, j in _each(shape, layer)]
    after = [
        Quantity(activation(shape, layer, j, e), "activation", _activated(shape, layer, j, e))
        for e, j in _each(shape, layer)
    ]
    if layer == shape.last and shape.output == "softmax":
        return sums + after
    return [quantity for pair in zip(sums, after, strict=True) for quantity in pair]


def parameters(shape: Shape) -> dict[str, tuple[int, int, int | None]]:
    """Return each weight and bias by name with its place: layer, unit, and the unit below (None for a bias)."""
    places: dict[str, tuple[int, int, int | None]] = {}
    for layer in range(1, shape.last + 1):
        for j, k in itertools.product(range(shape.sizes[layer]), range(shape.sizes[layer - 1])):
            places[weight(shape, layer, j, k)] = (layer, j, k)
    places = dict(sorted(places.items(), key=lambda item: int(item[0][1:])))
    if shape.biases:
        for layer in range(1, shape.last + 1):
            places |= {bias(shape, layer, j): (layer, j, None) for j in range(shape.sizes[layer])}
    return places


def update(name: str) -> Expression:
    """Return what a parameter becomes: itself minus η times its gradient, both of the row before."""
    return minus(Name(name, -1), multiply(Name(RATE), Name(f"∂E/∂{name}", -1)))


def values(epoch: Epoch) -> dict[str, float]:
    """Return every quantity of one epoch by name, as lesson/small_network.py computed it."""
    shape, network, passed, slopes = shape_of(epoch.network), epoch.network, epoch.forward, epoch.gradients
    numbers: dict[str, float] = {TOTAL: passed.total}
    for e, k in _each(shape, shape.last):
        numbers[f"t{k + 1}{_example_suffix(shape, e)}"] = float(network.targets[e, k])
        numbers[f"E{k + 1}{_example_suffix(shape, e)}"] = float(passed.errors[e, k])
    for e, j in _each(shape, 0):
        numbers[unit(shape, 0, j, e)] = float(network.inputs[e, j])
    for layer in range(1, shape.last + 1):
        for e, j in _each(shape, layer):
            numbers[unit(shape, layer, j, e)] = float(passed.sums[layer - 1][e, j])
            numbers[activation(shape, layer, j, e)] = float(passed.activations[layer - 1][e, j])
            numbers[_delta_name(shape, layer, j, e)] = float(slopes.sums[layer - 1][e, j])
    for name, (layer, j, k) in parameters(shape).items():
        if k is not None:
            numbers[name] = float(network.weights[layer - 1][j, k])
            numbers[f"∂E/∂{name}"] = float(slopes.weights[layer - 1][j, k])
        elif network.biases and slopes.biases:
            numbers[name] = float(network.biases[layer - 1][j])
            numbers[f"∂E/∂{name}"] = float(slopes.biases[layer - 1][j])
    return {name: numbers[name] for name in quantities(shape)}


def walk(shape: Shape) -> list[Step]:
    """Return the steps of one epoch: forward pass, errors, the gradients (the last layer's first), the updates.

    A gradient is summed path by path where there are few; else by way of ∂E/∂o and ∂E/∂h.
    """
    known = quantities(shape)
    steps = [
        Step("forward", _titled(quantity), name, quantity.expression, (name, *_read(quantity.expression)))
        for name, quantity in known.items()
        if quantity.kind in ("sum", "activation") and quantity.expression
    ]
    steps += [
        Step("error", _titled(quantity), name, quantity.expression, (name, *_read(quantity.expression)))
        for name, quantity in known.items()
        if quantity.kind in ("error", "total") and quantity.expression
    ]
    by_paths = shape.examples == 1 and math.prod(shape.sizes[2:]) <= MOST_PATHS
    if not by_paths:
        steps += [
            Step("gradient", f"Hand the error back to {_bare(name)}", name, quantity.expression, _lit(name, quantity))
            for name, quantity in known.items()
            if quantity.kind == "delta" and quantity.expression
        ]
    ordered = sorted(parameters(shape).items(), key=lambda item: -item[1][0])
    for name, (layer, j, k) in ordered:
        if by_paths:
            steps += _paths(shape, name, layer, j, k)
        else:
            quantity = known[f"∂E/∂{name}"]
            assert quantity.expression, "a gradient is computed"
            lit = _lit(quantity.name, quantity)
            steps.append(Step("gradient", f"The gradient of {name}", quantity.name, quantity.expression, lit))
    steps += [Step("update", f"Update {name}", name, update(name), (name, f"∂E/∂{name}")) for name in parameters(shape)]
    return steps


def _bare(name: str) -> str:
    return name.removeprefix("∂E/∂")


def _lit(name: str, quantity: Quantity) -> tuple[str, ...]:
    """Return what a derivative is about and all it reads, with the units of the derivatives among that."""
    read = _read(quantity.expression)
    return tuple(dict.fromkeys([name, _bare(name), *read, *(_bare(name_read) for name_read in read)]))


def with_numbers(expression: Expression, numbers: Mapping[str, float], digits: int = 6) -> str:
    """Return the expression as text with a number in place of each name, negative ones in brackets."""

    def number(name: Name) -> str:
        value = numbers[name.name]
        written = f"{value:.{digits}g}".replace("-", "−")
        return f"({written})" if value < 0 else written

    return text(expression, number)


def _paths(shape: Shape, name: str, layer: int, j: int, k: int | None) -> list[Step]:
    """Return one step per path from the error to a parameter, and the sum where there are several."""
    result = f"∂E/∂{name}"
    into = Number(1.0) if k is None else Name(activation(shape, layer - 1, k))
    steps: list[Step] = []
    routes = list(_routes(shape, layer, j))
    for number, route in enumerate(routes, 1):
        factors = [*_links(shape, route), Factor(f"∂{unit(shape, layer, j)}/∂{name}", into)]
        lit = [result, name, *(unit(shape, layer + depth, index) for depth, index in enumerate(route))]
        lit += [weight(shape, layer + depth + 1, b, a) for depth, (a, b) in enumerate(itertools.pairwise(route))]
        lit.append(f"E{route[-1] + 1}")
        if k is not None:
            lit.append(activation(shape, layer - 1, k))
        title = f"Path {number} of {len(routes)} to {name}" if len(routes) > 1 else f"The path to {name}"
        expression = multiply(*(factor.expression for factor in factors))
        label = f"{result} by path {number}" if len(routes) > 1 else result
        steps.append(Step("path", title, label, expression, tuple(lit), tuple(factors)))
    if len(steps) > 1:
        lit = tuple(dict.fromkeys(name for step in steps for name in step.lit))
        total = add(*(Name(step.result) for step in steps))
        steps.append(Step("gradient", f"The gradient of {name}: the sum of its paths", result, total, lit))
    return steps


def path_values(steps: list[Step], numbers: Mapping[str, float]) -> dict[str, float]:
    """Return `numbers` with the value of every single path of the walk added."""
    paths = {step.result: evaluate_by_name(step.expression, numbers) for step in steps if step.kind == "path"}
    return {**paths, **numbers}


def _routes(shape: Shape, layer: int, index: int) -> Iterator[tuple[int, ...]]:
    """Yield the units on each way from a unit up to an output, the unit itself first."""
    above = [range(size) for size in shape.sizes[layer + 1 :]]
    for way in itertools.product(*above):
        yield (index, *way)


def _links(shape: Shape, route: tuple[int, ...]) -> Iterator[Factor]:
    """Yield the partial derivatives along a route, from the error down to the route's first unit."""
    top, first = route[-1], shape.last - len(route) + 1
    out = unit(shape, shape.last, top)
    if shape.output == "sigmoid" and shape.loss == "squared_error":
        a, t = Name(f"a_{out}"), Name(f"t{top + 1}")
        yield Factor(f"∂E{top + 1}/∂a_{out}", minus(a, t))
        yield Factor(f"∂a_{out}/∂{out}", _slope("sigmoid", out))
    else:
        yield Factor(f"∂E/∂{out}", _output_delta(shape, top, 0))
    for depth in range(len(route) - 1, 0, -1):
        layer = first + depth
        above, below = unit(shape, layer, route[depth]), unit(shape, layer - 1, route[depth - 1])
        yield Factor(f"∂{above}/∂a_{below}", Name(weight(shape, layer, route[depth], route[depth - 1])))
        yield Factor(f"∂a_{below}/∂{below}", _slope(shape.hidden, below))


def _each(shape: Shape, layer: int) -> Iterator[tuple[int, int]]:
    """Yield (example, unit) for every unit of a layer."""
    return itertools.product(range(shape.examples), range(shape.sizes[layer]))


def _example_suffix(shape: Shape, example: int) -> str:
    return f"[{example + 1}]" if shape.examples > 1 else ""


def _sum(shape: Shape, layer: int, j: int, e: int) -> Expression:
    terms: list[Expression] = [
        multiply(Name(weight(shape, layer, j, k)), Name(activation(shape, layer - 1, k, e)))
        for k in range(shape.sizes[layer - 1])
    ]
    if shape.biases:
        terms.append(Name(bias(shape, layer, j)))
    return add(*terms)


def _activated(shape: Shape, layer: int, j: int, e: int) -> Expression:
    if layer < shape.last or shape.output == "sigmoid":
        kind = shape.hidden if layer < shape.last else shape.output
        return Application(kind, Name(unit(shape, layer, j, e)))
    powers = [Application("exp", Name(unit(shape, layer, k, e))) for k in range(shape.sizes[layer])]
    return Quotient(powers[j], add(*powers))


def _error(shape: Shape, k: int, e: int) -> Expression:
    t, a = Name(f"t{k + 1}{_example_suffix(shape, e)}"), Name(activation(shape, shape.last, k, e))
    if shape.loss == "squared_error":
        return Product((Number(0.5), Square(minus(t, a))))
    if shape.loss == "whole_squared_error":
        return Square(minus(t, a))
    hit = Negation(multiply(t, Application("ln", a)))
    if shape.output == "softmax":
        return hit
    unity = Number(1.0)
    return Sum((hit, Negation(multiply(minus(unity, t), Application("ln", minus(unity, a))))))


def _slope(kind: str, sum_name: str) -> Expression:
    """∂a/∂h of a unit, written with its activation where that is usual."""
    a = Name(f"a_{sum_name}")
    if kind == "sigmoid":
        return multiply(a, minus(Number(1.0), a))
    if kind == "tanh":
        return minus(Number(1.0), Square(a))
    return Application("step", Name(sum_name))


def _output_delta(shape: Shape, k: int, e: int) -> Expression:
    """∂E/∂o of one output."""
    outputs = range(shape.sizes[-1])
    a = [Name(activation(shape, shape.last, index, e)) for index in outputs]
    t = [Name(f"t{index + 1}{_example_suffix(shape, e)}") for index in outputs]
    if shape.loss == "cross_entropy":
        return minus(multiply(a[k], add(*t)), t[k]) if shape.output == "softmax" else minus(a[k], t[k])
    twice = [Number(2.0)] if shape.loss == "whole_squared_error" else []
    if shape.output == "sigmoid":
        return multiply(*twice, minus(a[k], t[k]), _slope("sigmoid", unit(shape, shape.last, k, e)))
    shared = add(*(multiply(minus(a[index], t[index]), a[index]) for index in outputs))
    return multiply(*twice, a[k], Sum((a[k], Negation(t[k]), Negation(shared))))


def _delta_name(shape: Shape, layer: int, j: int, e: int) -> str:
    return f"∂E/∂{unit(shape, layer, j, e)}"


def _delta(shape: Shape, layer: int, j: int, e: int) -> Expression:
    """∂E/∂(sum of a unit) of one example's error; deltas above stand as names where they are quantities."""
    if layer == shape.last:
        return _output_delta(shape, j, e)
    handed_back = add(
        *(
            multiply(_delta_above(shape, layer + 1, k, e), Name(weight(shape, layer + 1, k, j)))
            for k in range(shape.sizes[layer + 1])
        )
    )
    return multiply(handed_back, _slope(shape.hidden, unit(shape, layer, j, e)))


def _delta_above(shape: Shape, layer: int, j: int, e: int) -> Expression:
    return Name(_delta_name(shape, layer, j, e)) if shape.has_deltas else _delta(shape, layer, j, e)


def _gradient(shape: Shape, layer: int, j: int, k: int | None) -> Expression:
    terms = [
        _delta_above(shape, layer, j, e)
        if k is None
        else multiply(_delta_above(shape, layer, j, e), Name(activation(shape, layer - 1, k, e)))
        for e in range(shape.examples)
    ]
    return Quotient(add(*terms), Number(shape.examples)) if shape.examples > 1 else terms[0]


def _titled(quantity: Quantity) -> str:
    what = {"sum": "The sum at", "activation": "The activation", "error": "The error", "total": "The total error"}
    return f"{what[quantity.kind]} {quantity.name}"


def _read(expression: Expression | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.name for name in names(expression))) if expression else ()

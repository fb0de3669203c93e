"""The walk in words: each step of one epoch with its formula, the numbers in place, and the result."""

from dataclasses import dataclass

from classlab import limits
from classlab.errors import UserError
from classlab.lesson import quantities
from classlab.lesson.expression import Application, evaluate_by_name, names, text
from classlab.lesson.quantities import Shape, Step
from classlab.lesson.small_network import MOST_EPOCHS, Network, descend

DIGITS = 6
WRITTEN_OUT = {
    "sigmoid": "1 / (1 + e^(−{}))",
    "relu": "max(0, {})",
}
MEANING = {
    "sigmoid": "The sigmoid squeezes any number into 0 … 1.",
    "tanh": "The hyperbolic tangent squeezes any number into −1 … 1.",
    "relu": "ReLU lets what is above 0 pass and makes the rest 0.",
    "softmax": "The softmax outputs out 1 among the outputs: the larger the sum, the larger the share.",
}


@dataclass(frozen=True)
class StepInWords:
    """A step of the walk in words. `links` are the factors of a path, each as (name, formula, number)."""

    kind: str
    title: str
    sentence: str
    result: str
    formula: str
    numbers: str
    value: float
    links: tuple[tuple[str, str, float], ...] = ()


def tell(network: Network, learning_rate: float, epoch: int = 1) -> list[StepInWords]:
    """Return the steps of one epoch (counted from 1): forward pass, errors, gradients, updates. Raises UserError."""
    if epoch < 1:
        raise UserError(f"--epoch counts from 1; got {str(epoch)[: limits.ECHO]}")
    if epoch > MOST_EPOCHS:
        raise UserError(f"--epoch may be up to {MOST_EPOCHS:,}; got {f'{epoch:,}'[: limits.ECHO]}")
    shape = quantities.shape_of(network)
    steps = quantities.walk(shape)
    known = quantities.values(descend(network, learning_rate, epoch)[-1])
    try:
        numbers = quantities.path_values(steps, {**known, quantities.RATE: learning_rate})
        return [_in_words(step, shape, numbers) for step in steps]
    except (ZeroDivisionError, OverflowError, ValueError):
        # The network works a softmax out from the largest sum on; as it is written, its powers of e may all be 0.
        raise UserError("with such large numbers the formulas cannot be worked out as they are written") from None


def explain(step: Step, shape: Shape) -> str:
    """Return a sentence that says what a step does and why."""
    name = step.result.removeprefix("∂E/∂")
    if step.kind == "forward":
        if not name.startswith("a_"):
            plus = " and its bias" if shape.biases else ""
            return f"{name} adds up what arrives: each number from the layer below, times the weight on its way{plus}."
        return MEANING[shape.output if name.startswith("a_o") else shape.hidden]
    if step.kind == "error":
        if step.result == quantities.TOTAL:
            return "All errors together: the number that training makes small."
        if shape.loss == "squared_error":
            return f"{name} is half the square of how far the output is from its target."
        return f"{name} is the cross-entropy: the further the output is from its target, the larger, without bound."
    if step.kind == "path":
        weight = step.factors[-1].label.partition("/∂")[2]
        return (
            f"A change of {weight} reaches the error along this path. Its effect is the product of the links' slopes."
        )
    if step.kind == "update":
        return f"{name} steps against its gradient, as far as η says. The result is {name} of the next epoch."
    if name[0] == "o":
        return f"How much the error changes with {name}: the slope of the error at the output, times the slope here."
    if name[0] == "h":
        return f"How much the error changes with {name}: what comes back from the layer above, times the slope here."
    if any("by path" in term.name for term in names(step.expression)):
        return f"Every path counts: the gradient of {name} is the sum over all ways from the error to it."
    return f"How much the error changes with {name}: what comes back to its unit, times what came in through it."


def _in_words(step: Step, shape: Shape, values: dict[str, float]) -> StepInWords:
    formula = text(step.expression)
    numbers = quantities.with_numbers(step.expression, values, DIGITS)
    if isinstance(step.expression, Application) and step.expression.function in WRITTEN_OUT:
        written = WRITTEN_OUT[step.expression.function]
        formula = f"{formula} = {written.format(text(step.expression.inner))}"
        numbers = written.format(quantities.with_numbers(step.expression.inner, values, DIGITS))
    links = tuple(
        (factor.label, text(factor.expression), evaluate_by_name(factor.expression, values)) for factor in step.factors
    )
    value = evaluate_by_name(step.expression, values)
    return StepInWords(step.kind, step.title, explain(step, shape), step.result, formula, numbers, value, links)

"""One update of the weights as a pure function, as a compiled step needs it: torch.optim's change tensors in place.

Every public function bears the name of an optimizer and computes what torch.optim computes for it. weights, gradients:
by parameter name. slots: what the optimizer remembers, by torch's own names for it and then by parameter name; empty
ones start at zero. learning_rate, weight_decay, momentum: numbers, or tensors of no dimension, which a compiled graph
reads anew at each step: a number would become a constant of the graph.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

Tensors = dict[str, Tensor]
Slots = dict[str, Tensors]
Number = float | Tensor

# What is handed to the graph at each step; an optimizer's other options are constants of it.
RATES = ("learning_rate", "weight_decay", "momentum")
UPDATES = ("sgd", "adam", "adamw")


def bind(name: str, optimizer: Optimizer) -> Callable[..., tuple[Tensors, Slots]]:
    """Return the update of this name with the options of torch's optimizer that are no rates filled in."""
    function = globals()[name]
    group = optimizer.param_groups[0]
    asked = set(inspect.signature(function).parameters) & set(group) - set(RATES)
    return partial(function, **{option: group[option] for option in sorted(asked)})


def rates(group: Mapping[str, Any]) -> dict[str, float]:
    """Return the rates of a torch optimizer's group by the names used here."""
    known = {"learning_rate": group["lr"], "weight_decay": group["weight_decay"]}
    return known if "momentum" not in group else {**known, "momentum": group["momentum"]}


def slots(name: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what this optimizer remembers of every parameter: step is a number, the others have its shape."""
    if name == "sgd":
        return ("momentum_buffer",) if group["momentum"] else ()
    return ("step", "exp_avg", "exp_avg_sq")


def sgd(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    slots: Mapping[str, Mapping[str, Tensor]],
    learning_rate: Number,
    momentum: Number = 0.0,
    weight_decay: Number = 0.0,
    nesterov: bool = False,
) -> tuple[Tensors, Slots]:
    """Return the new weights and slots after one step of gradient descent with momentum."""
    new, buffers = {}, {}
    for name, weight in weights.items():
        gradient = gradients[name] + weight_decay * weight
        change = gradient
        if slots:
            buffers[name] = momentum * slots["momentum_buffer"][name] + gradient
            change = gradient + momentum * buffers[name] if nesterov else buffers[name]
        new[name] = weight - learning_rate * change
    return new, {"momentum_buffer": buffers} if slots else {}


def adam(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    slots: Mapping[str, Mapping[str, Tensor]],
    learning_rate: Number,
    weight_decay: Number = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Tensors, Slots]:
    """Return the new weights and slots after one step of Adam (Kingma and Ba, 2015, algorithm 1)."""
    decayed = {name: gradients[name] + weight_decay * weight for name, weight in weights.items()}
    return _adam(weights, decayed, slots, learning_rate, betas, eps)


def adamw(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    slots: Mapping[str, Mapping[str, Tensor]],
    learning_rate: Number,
    weight_decay: Number = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Tensors, Slots]:
    """Return the new weights and slots after one step of AdamW (Loshchilov and Hutter, 2019, algorithm 2)."""
    decayed = {name: weight * (1 - learning_rate * weight_decay) for name, weight in weights.items()}
    return _adam(decayed, gradients, slots, learning_rate, betas, eps)


def _adam(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    slots: Mapping[str, Mapping[str, Tensor]],
    learning_rate: Number,
    betas: tuple[float, float],
    eps: float,
) -> tuple[Tensors, Slots]:
    new: Tensors = {}
    kept: Slots = {"step": {}, "exp_avg": {}, "exp_avg_sq": {}}
    for name, weight in weights.items():
        gradient = gradients[name]
        step = slots["step"][name] + 1
        mean = slots["exp_avg"][name] * betas[0] + gradient * (1 - betas[0])
        square = slots["exp_avg_sq"][name] * betas[1] + gradient * gradient * (1 - betas[1])
        # In double precision, as torch.optim does: at fp32 the power loses digits that the first steps need.
        first, second = 1 - betas[0] ** step.double(), 1 - betas[1] ** step.double()
        size = (learning_rate / first).to(weight.dtype)
        root = second.sqrt().to(weight.dtype)
        new[name] = weight - size * mean / (square.sqrt() / root + eps)
        kept["step"][name], kept["exp_avg"][name], kept["exp_avg_sq"][name] = step, mean, square
    return new, kept

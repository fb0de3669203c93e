"""A network small enough to work by hand: forward pass, every gradient by the chain rule, gradient descent.

Everything here is numpy in float64, written out layer by layer. No automatic differentiation: that is the point.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from classlab import limits
from classlab.errors import UserError, did_you_mean, listing

HIDDEN = ("sigmoid", "tanh", "relu")
OUTPUTS = ("sigmoid", "softmax")
LOSSES = ("squared_error", "cross_entropy")
MOST_UNITS = 12
MOST_LAYERS = 6
MOST_EPOCHS = 10_000
MOST_EXAMPLES = 100
MOST_TERMS = 5_000  # weights times examples: what all gradients together add up


@dataclass(frozen=True)
class Network:
    """A fully connected network with the examples it learns from.

    weights: one (units, units before) array per layer; biases: one (units,) array per layer, or None.
    inputs: (examples, inputs); targets: (examples, outputs). All float64. Every hidden unit applies `hidden`, the
    outputs `output`. The error of one output is ½(t − a)² for squared_error; for cross_entropy it is −t·ln a with
    softmax outputs and −t·ln a − (1 − t)·ln(1 − a) with sigmoid ones. The total sums over outputs and is the mean over
    examples.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...] | None
    inputs: np.ndarray
    targets: np.ndarray
    hidden: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "squared_error"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, the inputs first."""
        return (self.weights[0].shape[1], *(weights.shape[0] for weights in self.weights))


@dataclass(frozen=True)
class Forward:
    """What a forward pass computes: per layer the sums and the activations, (examples, units), then the errors.

    errors: (examples, outputs); total: their sum over outputs, mean over examples.
    """

    sums: tuple[np.ndarray, ...]
    activations: tuple[np.ndarray, ...]
    errors: np.ndarray
    total: float


@dataclass(frozen=True)
class Gradients:
    """∂E/∂(each weight, bias), shaped like them, and ∂E/∂(each sum) of every layer, (examples, units).

    The last is that of one example's own error, not yet divided by the number of examples.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...] | None
    sums: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Epoch:
    """One row of the table: the network before the update, its forward pass, and its gradients."""

    network: Network
    forward: Forward
    gradients: Gradients


# Both reports' settings, as their original repositories have them; the further rates of eva7-s4 are ours.
WEIGHTS = ((0.15, 0.20, 0.25, 0.30), (0.40, 0.45, 0.50, 0.55))
LIKE: dict[str, dict[str, Any]] = {
    "era-s6": {"targets": (0.5, 0.5), "learning_rates": (2.0, 1.0, 0.8, 0.5, 0.2, 0.1), "epochs": 68},
    "eva7-s4": {"targets": (0.01, 0.99), "learning_rates": (10.0, 2.0, 1.0, 0.5, 0.2, 0.1), "epochs": 200},
}


def settings(like: str) -> dict[str, Any]:
    """Return the targets, learning rates (first the one of the report) and epochs of a report's workbook.

    Raises UserError for a name that is not in LIKE.
    """
    if like not in LIKE:
        raise UserError(f"--like must be one of {listing(LIKE)}; got {like!r}{did_you_mean(like, LIKE)}")
    return LIKE[like]


def build(
    like: str = "era-s6",
    *,
    sizes: Sequence[int] = (2, 2, 2),
    inputs: Sequence[Sequence[float]] | None = None,
    targets: Sequence[Sequence[float]] | None = None,
    weights: Sequence[float] | None = None,
    biases: Sequence[float] | bool = False,
    hidden: str = "sigmoid",
    output: str = "sigmoid",
    loss: str = "squared_error",
    seed: int = 0,
) -> Network:
    """Return a network: that of the report `like`, changed where an argument says so.

    weights: all of them in one list, layer by layer, unit by unit (w1, w2, …); biases likewise (b1, b2, …), or True for
    zeros. Other sizes than 2-2-2 need values of their own. Where none are given, inputs are 0.05, 0.10, …, and targets
    are the report's in turn. Weights are drawn from the uniform distribution on 0.1 … 0.6 with `seed`, to two decimals.
    Raises UserError.
    """
    sizes = _checked_sizes(sizes)
    for choice, allowed, what in ((hidden, HIDDEN, "hidden"), (output, OUTPUTS, "output"), (loss, LOSSES, "loss")):
        if choice not in allowed:
            raise UserError(
                f"--{what} must be one of {listing(allowed)}; got {choice!r}{did_you_mean(choice, allowed)}"
            )
    if seed < 0:
        raise UserError(f"--seed must be a whole number from 0; got {seed}")
    if inputs is None:
        inputs = [[round(0.05 * (index + 1), 2) for index in range(sizes[0])]]
    if targets is None:
        wanted = settings(like)["targets"]
        targets = [[wanted[index % len(wanted)] for index in range(sizes[-1])]] * len(inputs)
    shapes = [(after, before) for before, after in itertools.pairwise(sizes)]
    if weights is None:
        weights = [weight for layer in WEIGHTS for weight in layer]
        if sizes != (2, 2, 2):
            count = sum(after * before for after, before in shapes)
            weights = np.random.default_rng(seed).uniform(0.1, 0.6, count).round(2).tolist()
    if biases is True:
        biases = [0.0] * sum(sizes[1:])
    network = Network(
        weights=_layers("weights", weights, shapes),
        biases=_layers("biases", biases, [(units,) for units in sizes[1:]]) if biases else None,
        inputs=_examples("inputs", inputs, sizes[0]),
        targets=_examples("targets", targets, sizes[-1]),
        hidden=hidden,
        output=output,
        loss=loss,
    )
    if len(network.inputs) != len(network.targets):
        raise UserError(
            f"inputs and targets must hold as many examples; got {len(network.inputs)} and {len(network.targets)}"
        )
    terms = len(network.inputs) * sum(map(np.size, network.weights))
    if terms > MOST_TERMS:
        raise UserError(f"weights times examples may be up to {MOST_TERMS:,}; got {terms:,}: fewer units or examples")
    if loss == "cross_entropy" and not ((network.targets >= 0) & (network.targets <= 1)).all():
        raise UserError("with cross_entropy every target must lie in 0 … 1")
    return network


def forward(network: Network) -> Forward:
    """Run the network on its inputs: sums and activations of every layer, the error of every output, the total."""
    sums: list[np.ndarray] = []
    activations: list[np.ndarray] = []
    before = network.inputs
    last = len(network.weights) - 1
    for layer, weights in enumerate(network.weights):
        total = before @ weights.T
        if network.biases:
            total = total + network.biases[layer]
        sums.append(total)
        before = _activate(total, network.output if layer == last else network.hidden)
        activations.append(before)
    errors = _errors(network, before)
    return Forward(tuple(sums), tuple(activations), errors, float(errors.sum(axis=1).mean()))


def gradients(network: Network, passed: Forward) -> Gradients:
    """Return every gradient of the total error, by the chain rule from the outputs back to the first layer."""
    examples = len(network.inputs)
    at_sums: list[np.ndarray] = [_error_by_sum(network, passed.activations[-1])]
    for layer in range(len(network.weights) - 1, 0, -1):
        # ∂E/∂h = (Σ over the units that h feeds: ∂E/∂o · w) · ∂a/∂h
        by_activation = at_sums[0] @ network.weights[layer]
        at_sums.insert(0, by_activation * _slope(passed.sums[layer - 1], passed.activations[layer - 1], network.hidden))
    before = (network.inputs, *passed.activations[:-1])
    return Gradients(
        weights=tuple(at_sum.T @ arriving / examples for at_sum, arriving in zip(at_sums, before, strict=True)),
        biases=tuple(at_sum.mean(axis=0) for at_sum in at_sums) if network.biases else None,
        sums=tuple(at_sums),
    )


def updated(network: Network, slopes: Gradients, learning_rate: float) -> Network:
    """Return the network after one step of gradient descent: every parameter minus rate times its gradient."""
    weights = tuple(w - learning_rate * g for w, g in zip(network.weights, slopes.weights, strict=True))
    biases = network.biases
    if biases and slopes.biases:
        biases = tuple(b - learning_rate * g for b, g in zip(biases, slopes.biases, strict=True))
    return replace(network, weights=weights, biases=biases)


def descend(network: Network, learning_rate: float, epochs: int) -> list[Epoch]:
    """Return `epochs` rows of full-batch gradient descent, the first with the weights of `network` itself.

    Raises UserError when numbers stop being finite, naming the epoch.
    """
    check_rate(learning_rate)
    check_epochs(epochs)
    rows: list[Epoch] = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for number in range(1, epochs + 1):
            passed = forward(network)
            slopes = gradients(network, passed)
            if not np.isfinite(passed.total) or not all(np.isfinite(slope).all() for slope in slopes.weights):
                raise UserError(f"with learning rate {learning_rate:g} the error is not finite in epoch {number}")
            if not all(np.isfinite(total).all() for total in passed.sums):
                raise UserError(f"with learning rate {learning_rate:g} a sum is not finite in epoch {number}")
            rows.append(Epoch(network, passed, slopes))
            network = updated(network, slopes, learning_rate)
    return rows


def check_rate(learning_rate: float) -> None:
    """Raise UserError for a learning rate that is not a number above 0."""
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise UserError(f"a learning rate must be a number above 0; got {learning_rate:g}")


def check_epochs(epochs: int) -> None:
    """Raise UserError for more epochs than are worked out, or none."""
    if not 1 <= epochs <= MOST_EPOCHS:
        raise UserError(f"epochs must lie in 1 … {MOST_EPOCHS:,}; got {f'{epochs:,}'[: limits.ECHO]}")


def _activate(total: np.ndarray, kind: str) -> np.ndarray:
    if kind == "sigmoid":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-total))
    if kind == "tanh":
        return np.tanh(total)
    if kind == "relu":
        return np.maximum(0.0, total)
    powers = np.exp(total - total.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _slope(total: np.ndarray, activation: np.ndarray, kind: str) -> np.ndarray:
    """∂a/∂h of a hidden unit; relu has slope 0 at 0, as everywhere to its left."""
    if kind == "sigmoid":
        return activation * (1 - activation)
    if kind == "tanh":
        return 1 - activation**2
    return (total > 0).astype(np.float64)


def _errors(network: Network, outputs: np.ndarray) -> np.ndarray:
    targets = network.targets
    if network.loss == "squared_error":
        return 0.5 * (targets - outputs) ** 2
    hit = np.where(targets == 0, 0.0, targets * np.log(np.where(targets == 0, 1.0, outputs)))
    if network.output == "softmax":
        return -hit
    miss = np.where(targets == 1, 0.0, (1 - targets) * np.log(np.where(targets == 1, 1.0, 1 - outputs)))
    return -hit - miss


def _error_by_sum(network: Network, outputs: np.ndarray) -> np.ndarray:
    """∂E/∂o of every output, for one example's own error."""
    targets = network.targets
    if network.loss == "cross_entropy":
        # The slope of the logarithm cancels that of the activation. A softmax outputs out the sum of the targets.
        share = targets.sum(axis=1, keepdims=True) if network.output == "softmax" else 1.0
        return outputs * share - targets
    by_output = outputs - targets
    if network.output == "sigmoid":
        return by_output * outputs * (1 - outputs)
    # ∂a_k/∂o_j = a_k (1 if k is j else 0) − a_k a_j, summed over k
    return outputs * (by_output - (by_output * outputs).sum(axis=1, keepdims=True))


def _checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    if not 2 <= len(sizes) <= MOST_LAYERS or not all(1 <= size <= MOST_UNITS for size in sizes):
        got = ",".join(str(size) for size in sizes[: MOST_LAYERS + 1])
        more = f" … ({len(sizes):,} layers)" if len(sizes) > MOST_LAYERS + 1 else ""
        raise UserError(
            f"--sizes must name 2 to {MOST_LAYERS} layers of 1 to {MOST_UNITS} units, for example 2,2,2; "
            f"got {got[: limits.ECHO]}{more}"
        )
    return tuple(sizes)


def _layers(what: str, values: Sequence[float] | Any, shapes: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, ...]:
    counts = [int(np.prod(shape)) for shape in shapes]
    if len(values) != sum(counts):
        raise UserError(f"{what} must be {sum(counts)} numbers for these sizes; got {len(values)}")
    flat = np.asarray(values, dtype=np.float64)
    if not np.isfinite(flat).all():
        raise UserError(f"{what} must be finite numbers")
    return tuple(
        part.reshape(shape) for part, shape in zip(np.split(flat, np.cumsum(counts)[:-1]), shapes, strict=True)
    )


def _examples(what: str, values: Sequence[Sequence[float]], width: int) -> np.ndarray:
    if len(values) > MOST_EXAMPLES:
        raise UserError(f"--{what} takes up to {MOST_EXAMPLES} examples; got {len(values):,}")
    if not values or any(len(example) != width for example in values):
        got = listing(str(len(example)) for example in values) or "none"
        raise UserError(f"each example must have {width} {what}; got {got}")
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise UserError(f"{what} must be finite numbers")
    return array

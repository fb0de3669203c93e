"""Hand-written gradients equal autograd; both reports' losses follow from their numbers; names and formulas agree."""

import itertools

import numpy as np
import pytest
import torch

from classlab.errors import UserError
from classlab.lesson import quantities, small_network
from classlab.lesson.expression import evaluate_by_name


def generated(seed):
    """A network of random sizes, options, parameters and examples."""
    generator = np.random.default_rng(seed)
    hidden = small_network.HIDDEN[seed % 3]
    output = small_network.OUTPUTS[seed // 3 % 2]
    loss = small_network.LOSSES[seed // 6 % 2]
    layers = int(generator.integers(2, 5))
    sizes = tuple(int(size) for size in generator.integers(1, 5, layers))
    examples = int(generator.integers(1, 4))
    count = sum(before * after for before, after in itertools.pairwise(sizes))
    targets = generator.uniform(0, 1, (examples, sizes[-1]))
    if seed % 5 == 0:
        targets = np.eye(sizes[-1])[generator.integers(0, sizes[-1], examples)]
    return small_network.build(
        sizes=sizes,
        inputs=generator.normal(0, 1, (examples, sizes[0])).tolist(),
        targets=targets.tolist(),
        weights=generator.normal(0, 1, count).tolist(),
        biases=generator.normal(0, 1, sum(sizes[1:])).tolist() if seed % 2 else False,
        hidden=hidden,
        output=output,
        loss=loss,
    )


def by_autograd(net):
    """The total error and its gradients, computed by torch from its own functions."""
    tensors = [torch.tensor(array, requires_grad=True) for array in (*net.weights, *(net.biases or ()))]
    weights, biases = tensors[: len(net.weights)], tensors[len(net.weights) :]
    before, targets = torch.tensor(net.inputs), torch.tensor(net.targets)
    for layer, weight in enumerate(weights):
        before = torch.nn.functional.linear(before, weight, biases[layer] if biases else None)
        if layer < len(weights) - 1:
            before = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[net.hidden](before)
    outputs = torch.sigmoid(before) if net.output == "sigmoid" else torch.softmax(before, dim=1)
    if net.loss == "squared_error":
        error = 0.5 * ((targets - outputs) ** 2).sum(1).mean()
    elif net.output == "softmax":
        error = -(targets * torch.log_softmax(before, dim=1)).sum(1).mean()
    else:
        logits = torch.nn.functional.binary_cross_entropy_with_logits(before, targets, reduction="none")
        error = logits.sum(1).mean()
    error.backward()
    return float(error.detach()), [tensor.grad.numpy() for tensor in tensors]


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_hand_written_gradients_equal_autograd(first):
    for seed in range(first, first + 50):
        net = generated(seed)
        passed = small_network.forward(net)
        slopes = small_network.gradients(net, passed)
        error, expected = by_autograd(net)
        assert passed.total == pytest.approx(error, rel=1e-12, abs=1e-12), seed
        found = [*slopes.weights, *(slopes.biases or ())]
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12, err_msg=str(seed))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_the_derivations_formulas_give_the_networks_numbers(first):
    for seed in range(first, first + 20):
        row, following = small_network.descend(generated(seed), 0.3, 2)
        shape = quantities.shape_of(row.network)
        expected, after = quantities.values(row), quantities.values(following)
        found = {}
        for name, quantity in quantities.quantities(shape).items():
            given = quantity.expression is None
            found[name] = expected[name] if given else evaluate_by_name(quantity.expression, found)
            assert found[name] == pytest.approx(expected[name], rel=1e-12, abs=1e-12), (seed, name)
        for name in quantities.parameters(shape):
            stepped = evaluate_by_name(quantities.update(name), {**found, quantities.RATE: 0.3})
            assert stepped == pytest.approx(after[name], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_the_paths_of_the_walk_sum_to_the_gradient(seed):
    row = small_network.descend(generated(seed * 7), 0.3, 1)[0]
    shape = quantities.shape_of(row.network)
    known = quantities.values(row)
    steps = quantities.walk(shape)
    found = quantities.path_values(steps, known)
    for step in steps:
        if step.kind != "update":
            assert evaluate_by_name(step.expression, found) == pytest.approx(found[step.result], rel=1e-11, abs=1e-12)
    assert {step.result for step in steps} >= {f"∂E/∂{name}" for name in quantities.parameters(shape)}


def test_the_columns_are_those_of_the_reports():
    names = "t1 t2 i1 i2 w1 w2 w3 w4 h1 a_h1 h2 a_h2 w5 w6 w7 w8 o1 a_o1 o2 a_o2 E1 E2 E_tot"
    gradients = [f"∂E/∂w{number}" for number in range(1, 9)]
    assert list(quantities.quantities(quantities.Shape())) == names.split() + gradients


def test_two_paths_lead_to_a_weight_of_the_first_layer_and_one_to_a_weight_of_the_second():
    steps = quantities.walk(quantities.Shape())
    to_w1 = [step for step in steps if step.kind == "path" and step.result.startswith("∂E/∂w1 ")]
    assert [[factor.label for factor in step.factors] for step in to_w1] == [
        ["∂E1/∂a_o1", "∂a_o1/∂o1", "∂o1/∂a_h1", "∂a_h1/∂h1", "∂h1/∂w1"],
        ["∂E2/∂a_o2", "∂a_o2/∂o2", "∂o2/∂a_h1", "∂a_h1/∂h1", "∂h1/∂w1"],
    ]
    assert len([step for step in steps if step.kind == "path" and step.result.startswith("∂E/∂w5")]) == 1


def by_hand(targets, rate, epochs):
    """The reports' network with nothing but multiplication and exp, as their text has it."""
    from math import exp

    i1, i2, (t1, t2) = 0.05, 0.10, targets
    w1, w2, w3, w4, w5, w6, w7, w8 = 0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55
    losses = []
    for _ in range(epochs):
        a1 = 1 / (1 + exp(-(w1 * i1 + w2 * i2)))
        a2 = 1 / (1 + exp(-(w3 * i1 + w4 * i2)))
        p1 = 1 / (1 + exp(-(w5 * a1 + w6 * a2)))
        p2 = 1 / (1 + exp(-(w7 * a1 + w8 * a2)))
        losses.append((t1 - p1) ** 2 / 2 + (t2 - p2) ** 2 / 2)
        d1, d2 = (p1 - t1) * p1 * (1 - p1), (p2 - t2) * p2 * (1 - p2)
        b1, b2 = (d1 * w5 + d2 * w7) * a1 * (1 - a1), (d1 * w6 + d2 * w8) * a2 * (1 - a2)
        w1, w2, w3, w4 = w1 - rate * b1 * i1, w2 - rate * b1 * i2, w3 - rate * b2 * i1, w4 - rate * b2 * i2
        w5, w6, w7, w8 = w5 - rate * d1 * a1, w6 - rate * d1 * a2, w7 - rate * d2 * a1, w8 - rate * d2 * a2
    return losses


@pytest.mark.parametrize("like", small_network.LIKE)
def test_the_losses_of_both_reports_follow_from_their_numbers(like):
    wanted = small_network.settings(like)
    for rate in wanted["learning_rates"]:
        rows = small_network.descend(small_network.build(like), rate, wanted["epochs"])
        losses = [row.forward.total for row in rows]
        assert losses == pytest.approx(by_hand(wanted["targets"], rate, wanted["epochs"]), rel=1e-12)


def test_the_reports_settings():
    assert small_network.settings("era-s6")["learning_rates"] == (2.0, 1.0, 0.8, 0.5, 0.2, 0.1)
    assert small_network.settings("era-s6")["epochs"] == 68
    assert small_network.settings("eva7-s4")["learning_rates"][0] == 10.0
    assert small_network.forward(small_network.build("era-s6")).total == pytest.approx(0.014181377937891659, rel=1e-14)
    assert small_network.forward(small_network.build("eva7-s4")).total == pytest.approx(0.24251985734837728, rel=1e-14)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"like": "era-s7"}, "--like must be one of era-s6, eva7-s4; got 'era-s7'; did you mean era-s6?"),
        ({"hidden": "sigmoyd"}, "--hidden must be one of sigmoid, tanh, relu; got 'sigmoyd'; did you mean sigmoid?"),
        ({"sizes": (2,)}, "--sizes must name 2 to 6 layers of 1 to 12 units, for example 2,2,2; got 2"),
        ({"weights": [1.0]}, "weights must be 8 numbers for these sizes; got 1"),
        ({"weights": [float("nan")] * 8}, "weights must be finite numbers"),
        ({"sizes": (3, 4, 2), "seed": -1}, "--seed must be a whole number from 0; got -1"),
        ({"inputs": [[1.0]]}, "each example must have 2 inputs; got 1"),
        ({"inputs": [[1.0, 2.0]] * 2, "targets": [[0.0, 1.0]]}, "inputs and targets must hold as many examples"),
        ({"loss": "cross_entropy", "targets": [[2.0, 0.0]]}, "with cross_entropy every target must lie in 0 … 1"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments, sentence):
    with pytest.raises(UserError) as caught:
        small_network.build(**arguments)
    assert str(caught.value).startswith(sentence)


def test_impossible_training_is_told_in_a_sentence():
    with pytest.raises(UserError, match="a learning rate must be a number above 0; got -1"):
        small_network.descend(small_network.build(), -1.0, 3)
    with pytest.raises(UserError, match="epochs must lie in 1 … 10,000; got 0"):
        small_network.descend(small_network.build(), 1.0, 0)
    net = small_network.build(
        hidden="relu", loss="cross_entropy", inputs=[[1e3, 1e3], [-1e3, 1e3]], targets=[[1, 0], [0, 1]]
    )
    with pytest.raises(UserError, match="with learning rate 1e\\+06 the error is not finite in epoch"):
        small_network.descend(net, 1e6, 50)

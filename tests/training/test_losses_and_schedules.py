"""Losses against their formulas, optimizers and schedules against torch's own."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from classlab.experiment import Choice
from classlab.training import losses, optimizers, schedules
from classlab.training.task import reconstructs


def test_losses_by_their_formulas():
    torch.manual_seed(0)
    outputs, targets = torch.randn(7, 4), torch.tensor([0, 1, 2, 3, 3, 0, 1])
    likely = outputs.log_softmax(1)
    of_target = -likely[torch.arange(7), targets]
    assert torch.allclose(losses.cross_entropy(outputs, targets), of_target.mean())
    smoothed = 0.9 * of_target + 0.1 * -likely.mean(1)
    assert torch.allclose(losses.cross_entropy(outputs, targets, label_smoothing=0.1), smoothed.mean())
    assert torch.allclose(losses.nll(likely, targets), of_target.mean())
    one_hot = torch.eye(4)[targets]
    assert torch.allclose(losses.mse(outputs, targets), ((outputs - one_hot) ** 2).mean())


def test_reconstruction_compares_with_the_input_or_with_the_clean_image():
    outputs, clean = torch.rand(3, 1, 2, 2), torch.rand(3, 1, 2, 2)
    noisy = clean + 0.5
    assert torch.allclose(losses.reconstruction(outputs, noisy, clean), ((outputs - noisy) ** 2).mean())
    assert torch.allclose(losses.reconstruction(outputs, noisy, clean, denoise=True), ((outputs - clean) ** 2).mean())
    assert reconstructs(Choice(name="reconstruction")) and not reconstructs(Choice(name="mse"))


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "smoothing": 0.9, "weight_decay": 0.01}])
def test_rmsprop_by_its_formula(options):
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = optimizers.rmsprop([weight], learning_rate=0.1, **options)
    values, square, speed = weight.detach().clone().double(), torch.zeros(3).double(), torch.zeros(3).double()
    smoothing = options.get("smoothing", 0.99)
    for _ in range(5):
        gradient = 2 * values + options.get("weight_decay", 0) * values
        square = smoothing * square + (1 - smoothing) * gradient**2
        speed = options.get("momentum", 0) * speed + gradient / (square.sqrt() + 1e-8)
        values = values - 0.1 * speed
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
    assert torch.allclose(weight.double(), values, atol=1e-5)


def test_warm_up_rises_in_a_line_and_then_does_as_told():
    rates = [schedules.warm_up(step, 40, 10, warmup_epochs=1.0, then="linear") for step in range(40)]
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10] == 1.0 and rates[25] == pytest.approx(0.5) and rates[39] == pytest.approx(1 / 30)
    assert schedules.warm_up(39, 40, 10, warmup_epochs=0.5) == 1.0
    assert schedules.warm_up(22, 40, 10, warmup_epochs=0.45, then="cosine") == pytest.approx(
        (1 + math.cos(math.pi * 17.5 / 35.5)) / 2
    )


@given(
    st.lists(st.floats(0.01, 10), max_size=40),
    st.integers(0, 4),
    st.sampled_from([0.1, 0.5]),
    st.sampled_from([0.01, 10.0]),
)
def test_plateau_equals_torch_s(losses_, patience, factor, threshold):
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience, threshold=threshold / 100, eps=0
    )
    for done, loss in enumerate(losses_, start=1):
        theirs.step(loss)
        ours = schedules.plateau(losses_[:done], patience, factor, threshold)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])

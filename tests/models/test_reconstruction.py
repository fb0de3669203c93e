import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from classlab.errors import UserError
from classlab.models import autoencoder, perceptron
from classlab.network.layer_table import layer_table
from classlab.network.reconstruction import (
    codes,
    errors_by_class,
    floor,
    floor_sentence,
    floor_without_noise,
    in_two_dimensions,
    reachable,
    silent_outputs,
)

SHAPE = (1, 6, 6)


@pytest.mark.parametrize(
    ("activation", "ends"),
    [("relu", (0, math.inf)), ("sigmoid", (0, 1)), ("tanh", (-1, 1)), (None, (-math.inf, math.inf))],
)
def test_what_an_output_can_reach(activation, ends):
    model = autoencoder.build(SHAPE, widths=[8, 2], output_activation=activation)
    assert reachable(layer_table(model, SHAPE)) == ends


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_the_floor_is_the_error_of_the_best_reachable_answer(values):
    images = torch.tensor(values).view(-1, 1, 1, 1)
    tried = np.linspace(0, 3, 3001)
    best = np.mean([np.min((tried - value) ** 2) for value in values])
    assert floor([images[:1], images[1:]], 0, math.inf) == pytest.approx(best, abs=1e-5)
    assert floor([images], -math.inf, math.inf) == 0


def test_no_relu_output_gets_under_the_floor_and_one_comes_near():
    torch.manual_seed(0)
    images = torch.rand(20, *SHAPE) * 2 - 1
    model = autoencoder.build(SHAPE, widths=[64, 32])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    lowest = floor([images], 0, math.inf)
    losses = []
    for _ in range(150):
        loss = nn.functional.mse_loss(model(images), images)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert min(losses) >= lowest - 1e-6
    assert losses[-1] - lowest < 0.5 * (losses[0] - lowest)


def test_noise_that_cannot_be_told_raises_the_floor():
    torch.manual_seed(0)
    clean = torch.rand(1, 1, 4, 4) * 2 - 1
    noisy = clean + torch.rand(20_000, 1, 4, 4)  # mean 1/2, variance 1/12
    best = noisy.mean(0, keepdim=True).clamp(min=0).expand_as(noisy)
    expected = nn.functional.mse_loss(best, noisy).item()
    assert floor_without_noise([clean], 0.5, 1 / 12, 0, math.inf) == pytest.approx(expected, rel=0.01)


def test_outputs_that_never_wake_and_what_they_cost():
    outputs, targets = torch.rand(5, *SHAPE), torch.rand(5, *SHAPE) * 2 - 1
    outputs[:, 0, 2:4] = 0
    count, cost = silent_outputs(outputs, targets, 0.0)
    woken = outputs.clone()
    woken[:, 0, 2:4] = targets[:, 0, 2:4].clamp(min=0)
    saved = nn.functional.mse_loss(outputs, targets) - nn.functional.mse_loss(woken, targets)
    assert count == 12 and cost == pytest.approx(saved.item(), rel=1e-4)


def test_the_sentence_says_where_the_floor_comes_from():
    assert "0.2500. The last layer gives nothing below 0" in floor_sentence(0.25, 0, math.inf)
    assert "below 0 or above 1" in floor_sentence(0.25, 0, 1)
    assert floor_sentence(0, 0, 1) == "The floor is 0: the outputs can reach every value of the images."
    with pytest.raises(UserError, match="needs at least one image"):
        floor([], 0, 1)


def test_errors_by_class():
    targets = torch.zeros(3, *SHAPE)
    outputs = torch.stack([torch.full(SHAPE, value) for value in (1.0, 2.0, 3.0)])
    assert errors_by_class(outputs, targets, torch.tensor([0, 2, 2]), 3) == [1.0, None, 6.5]


def test_codes_are_the_encoder_s_and_two_directions_hold_the_most_of_them():
    torch.manual_seed(0)
    model = autoencoder.build(SHAPE, widths=[16, 5])
    images = torch.randn(50, *SHAPE)
    found = codes(model, images)
    with torch.no_grad():
        assert torch.equal(found, model.encoder(images)) and found.shape == (50, 5) and model.training
    points = torch.randn(60, 4) * torch.tensor([5.0, 0.1, 3.0, 0.2]) + 1
    placed = in_two_dimensions(points)
    from sklearn.decomposition import PCA

    theirs = PCA(2).fit_transform(points.double().numpy())
    assert np.allclose(np.abs(placed), np.abs(theirs)) and np.allclose(placed, in_two_dimensions(points))
    with pytest.raises(UserError, match="no part so named"):
        codes(perceptron.build(SHAPE, 3), images)


def test_tsne_keeps_groups_apart_and_follows_its_seed():
    torch.manual_seed(0)
    points = torch.cat([torch.randn(10, 5), torch.randn(10, 5) + 20])
    placed = in_two_dimensions(points, "tsne", seed=1)
    assert np.array_equal(placed, in_two_dimensions(points, "tsne", seed=1))
    centres = placed[:10].mean(0), placed[10:].mean(0)
    spread = max(np.linalg.norm(placed[:10] - centres[0], axis=1))
    assert np.linalg.norm(centres[0] - centres[1]) > spread
    with pytest.raises(UserError, match="at least 3"):
        in_two_dimensions(points[:2])

"""The faster dropout against what dropout is, and against torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from classlab.training.fast.dropout import Dropout, channels_last, draw
from classlab.training.fast.replacements import quicken


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_and_the_mean_that_is_kept(probability):
    count = 1_000_000
    mask = draw((count,), probability, torch.float64, torch.Generator().manual_seed(0))
    dropped = float((mask == 0).double().mean())
    assert abs(dropped - probability) < 5 * (probability * (1 - probability) / count) ** 0.5 + 1 / 2**17
    assert float(mask.mean()) == pytest.approx(1, abs=5 * (probability / (1 - probability) / count) ** 0.5)
    assert mask.unique().tolist() == pytest.approx([0, 1 / (1 - probability)], rel=2e-4)


def test_every_sixteen_bits_of_a_word_are_drawn_alike():
    mask = draw((400_000,), 0.3, torch.float32, torch.Generator().manual_seed(1)).view(-1, 4) == 0
    for lane in range(4):
        assert float(mask[:, lane].float().mean()) == pytest.approx(0.3, abs=0.008)
        other = mask[:, (lane + 1) % 4]
        assert float((mask[:, lane] & other).float().mean()) == pytest.approx(0.09, abs=0.006)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("probability", [1e-7, 1e-5, 0.1, 0.25, 0.5, 0.9, 0.9999999])
def test_a_value_is_kept_where_its_sixteen_bits_are_not_below_the_share(dtype, probability):
    dropped = min(round(probability * 2**16), 2**16 - 1)
    words = torch.empty(60, dtype=torch.int64).random_(-(2**63), None, generator=torch.Generator().manual_seed(3))
    kept = words.view(torch.int16)[:238] >= dropped - 2**15
    mask = draw((2, 7, 17), probability, dtype, torch.Generator().manual_seed(3))
    assert torch.equal(mask.view(-1), kept.to(dtype) * (2**16 / (2**16 - dropped))) and mask.dtype == dtype


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.floats(0, 1), st.integers(0, 2**32))
def test_any_shape_and_probability(shape, probability, seed):
    mask = draw(tuple(shape), probability, torch.float32, torch.Generator().manual_seed(seed))
    assert mask.shape == tuple(shape) and torch.isfinite(mask).all()
    assert torch.equal(mask, draw(tuple(shape), probability, torch.float32, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_mask(layout, inplace):
    values = torch.rand(3, 5, 4, 2).contiguous(memory_format=layout) + 0.1
    layer = Dropout(0.4, inplace)
    given_values = values.clone().requires_grad_()
    torch.manual_seed(7)
    out = layer(given_values * 1)
    torch.manual_seed(7)
    mask = draw(values.shape, 0.4, values.dtype, None)
    mask = channels_last(mask) if layout == torch.channels_last else mask
    assert torch.equal(out, values * mask) and out.is_contiguous(memory_format=layout)
    out.sum().backward()
    assert torch.equal(given_values.grad, mask)


def test_evaluation_and_the_ends_are_torchs():
    values = torch.rand(4, 6)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)
    assert torch.equal(Dropout(1.0)(values), torch.zeros(4, 6))


def test_a_network_keeps_its_layers_and_their_names():
    class Own(nn.Dropout):
        pass

    network = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.2), nn.Sequential(nn.Dropout2d(0.1), Own(0.3)))
    before = {name: (getattr(layer, "p", None)) for name, layer in network.named_modules()}
    assert quicken(network) is network
    assert {name: getattr(layer, "p", None) for name, layer in network.named_modules()} == before
    assert type(network[1]) is Dropout and type(network[2][0]) is nn.Dropout2d and type(network[2][1]) is Own

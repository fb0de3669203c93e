"""Convolutions by columns against torch's own: values and gradients in float64, and the layers it is for."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from classlab.experiment import load
from classlab.runs.preparation import place_model, place_splits, prepare
from classlab.training.fast.columns import MOST_IN, MOST_OUT, Conv2d
from classlab.training.fast.replacements import quicken
from classlab.training.random import generator
from classlab.training.settings import Settings
from classlab.training.train import Epoch, train_network

LAYOUTS = st.sampled_from([torch.contiguous_format, torch.channels_last])
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def epochs(*arguments):
    """The epochs of a training, without its single steps."""
    return [happened for happened in train_network(*arguments) if isinstance(happened, Epoch)]


@settings(max_examples=200)
@given(
    st.tuples(st.integers(0, 3), st.integers(1, MOST_IN), st.integers(6, 11), st.integers(6, 12)),
    st.integers(1, MOST_OUT), SIZES,
    st.tuples(st.integers(0, 3), st.integers(0, 3)), st.booleans(), LAYOUTS,
    st.integers(0, 99),
)  # fmt: skip
def test_it_gives_torch_s_values_and_gradients(shape, kernels, size, padding, bias, layout, seed):
    torch.manual_seed(seed)
    theirs = nn.Conv2d(shape[1], kernels, size, padding=padding, bias=bias).double().to(memory_format=layout)
    ours = copy.deepcopy(theirs)
    ours.__class__ = Conv2d
    images = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    expected, output = theirs(images), ours(images)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    gradient = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad(output, [images, *ours.parameters()], gradient),
        torch.autograd.grad(expected, [images, *theirs.parameters()], gradient),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_an_even_width_goes_by_two_columns_in_channels_last(monkeypatch):
    layer = quicken(nn.Conv2d(3, 6, 5))
    pixels = {"even": (2, 3, 32, 30), "odd": (2, 3, 32, 31)}
    given = []
    function = torch.nn.functional.conv2d
    monkeypatch.setattr("torch.nn.functional.conv2d", lambda *a, **k: given.append(a[0].shape[1]) or function(*a, **k))
    for shape in pixels.values():
        output = layer(torch.randn(shape).contiguous(memory_format=torch.channels_last))
        assert output.is_contiguous(memory_format=torch.channels_last)
    layer(torch.randn(pixels["even"]))  # three channels, one after the other
    assert given == [6, 3, 3]


def test_a_kernel_wider_than_the_image_is_refused_as_by_torch():
    with pytest.raises(RuntimeError):
        quicken(nn.Conv2d(1, 2, 5))(torch.randn(1, 1, 4, 4).contiguous(memory_format=torch.channels_last))


def test_only_plain_layers_of_few_channels_are_given_the_faster_form():
    class Own(nn.Conv2d):
        pass

    others = [
        nn.Conv2d(MOST_IN + 1, 6, 5), nn.Conv2d(1, MOST_OUT + 1, 5), nn.Conv2d(1, 6, 5, stride=2),
        nn.Conv2d(1, 6, 5, dilation=2), nn.Conv2d(2, 6, 5, groups=2), nn.Conv2d(1, 6, 5, padding_mode="reflect"),
        nn.Conv2d(1, 6, 5, padding="same"), nn.Conv2d(3, 6, (3, 2)), nn.Conv1d(1, 6, 5), Own(1, 6, 5),
    ]  # fmt: skip
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(MOST_IN, MOST_OUT, 5, padding=2), *others)
    assert quicken(network) is network
    assert [type(layer) is Conv2d for layer in network] == [True, True] + [False] * len(others)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp64", 1e-9), ("fp32", 1e-4)])
def test_after_fifty_steps_the_weights_are_those_of_plain_pytorch(precision, tolerance):
    small = ["data.dataset=digits", "data.normalise=null", "model.kernel=3", "model.pool_after=[1]"]
    plan = ["protocol.validate_on=none", "training.epochs=1", f"training.precision={precision}"]
    changes = [*small, *plan]
    prepared = prepare(load("cifar-lenet", changes), 0, {}, None)
    plain = copy.deepcopy(prepared.model).to(torch.float64 if precision == "fp64" else torch.float32)
    settings = Settings("cpu", precision, channels_last=True, threads=1)
    model = place_model(prepared.model, settings)
    assert any(type(layer) is Conv2d for layer in model.modules())
    part = place_splits(prepared, settings)["train"]
    part = replace(part, pixels=part.pixels[:200], labels=part.labels[:200])
    assert len(list(epochs(model, {"train": part}, prepared.experiment, 0, settings))) == 1
    optimizer = prepared.experiment.training.optimizer.call("optimizer", parameters=list(plain.parameters()))
    for index in torch.randperm(200, generator=generator(0, 1, "shuffle")).split(4):
        images, labels = part.batch(index, [], None)[0], part.labels[index]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(plain(images.contiguous()), labels).backward()
        optimizer.step()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert float((one - other).detach().abs().max() / other.detach().abs().max()) < tolerance

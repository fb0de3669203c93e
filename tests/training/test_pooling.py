"""Max pooling in its faster form against torch's own: the same bits, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from classlab.training.fast.pooling import MaxPool2d
from classlab.training.fast.replacements import quicken

SHAPES = st.tuples(st.integers(0, 3), st.integers(1, 20), st.integers(2, 9), st.integers(2, 9))
LAYOUTS = st.sampled_from([torch.contiguous_format, torch.channels_last])


@settings(max_examples=150)
@given(SHAPES, LAYOUTS, st.sampled_from([torch.float32, torch.bfloat16, torch.float64]), st.integers(0, 99))
def test_it_gives_torch_s_values_and_gradients_bit_for_bit_where_values_are_equal_too(shape, layout, dtype, seed):
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(-2, 3, shape, generator=random).to(dtype).contiguous(memory_format=layout)
    layer = MaxPool2d(2)
    with torch.no_grad():
        assert torch.equal(layer(images), F.max_pool2d(images, 2))
    ours, theirs = (images.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    pooled, expected = layer(ours), F.max_pool2d(theirs, 2)
    assert torch.equal(pooled, expected) and pooled.dtype == dtype
    gradient = torch.randn(pooled.shape, generator=random).to(dtype)
    pooled.backward(gradient)
    expected.backward(gradient)
    assert torch.equal(ours.grad, theirs.grad)


def test_wide_images_and_one_image_without_a_batch_are_torch_s():
    wide = torch.randn(2, 3, 4, 600, requires_grad=True)
    other = wide.detach().clone().requires_grad_()
    MaxPool2d(2)(wide).square().sum().backward()
    F.max_pool2d(other, 2).square().sum().backward()
    assert torch.equal(wide.grad, other.grad)
    single = torch.randn(3, 6, 6)
    assert torch.equal(MaxPool2d(2)(single), F.max_pool2d(single, 2))


def test_what_is_not_a_number_stays_so():
    images = torch.tensor([[[[1.0, float("nan")], [2.0, 3.0]]]])
    assert MaxPool2d(2)(images).isnan().all()


def test_an_image_too_small_to_pool_is_refused_as_by_torch():
    with pytest.raises(RuntimeError):
        MaxPool2d(2)(torch.randn(1, 1, 1, 4))


def test_only_plain_layers_of_two_by_two_are_given_the_faster_form():
    class Own(nn.MaxPool2d):
        pass

    others = [nn.MaxPool2d(3), nn.MaxPool2d(2, 1), nn.MaxPool2d(2, padding=1), nn.MaxPool2d(2, dilation=2)]
    others += [nn.MaxPool2d(2, return_indices=True), nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(2), Own(2)]
    network = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d((2, 2), (2, 2)), *others)
    assert quicken(network) is network
    assert [type(layer) is MaxPool2d for layer in network] == [True, True] + [False] * len(others)

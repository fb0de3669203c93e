"""What a compiled step of a few images computes in another form, against torch's own operators in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx

from classlab.training.fast.decompositions import FEW, FULL, MOST_SEEN, table

CONVOLUTION, BACKWARD = torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default


def layer(shape, kernels, size, padding, bias, seed=0):
    """Return what a convolution is given: images that lie channels-last, weight, bias and the settings."""
    torch.manual_seed(seed)
    images = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(kernels, shape[1], *size, dtype=torch.float64)
    made = torch.randn(kernels, dtype=torch.float64) if bias else None
    return images, weight, made, [1, 1], list(padding), [1, 1], False, [0, 0], 1


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, FEW), st.integers(1, 5), st.integers(6, 9), st.integers(6, 9)),
    st.integers(FULL, FULL + 3), st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)), st.booleans(),
    st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 99),
)  # fmt: skip
def test_convolutions_of_a_few_images_are_torch_s(shape, kernels, size, padding, bias, wanted, seed):
    given = layer(shape, kernels, size, padding, bias, seed)
    made, expected = table(shape[0]), CONVOLUTION(*given)
    output = made[CONVOLUTION](*given)
    torch.testing.assert_close(output, expected, rtol=1e-11, atol=1e-11)
    gradient = torch.randn_like(expected).contiguous(memory_format=torch.channels_last)
    asked = (gradient, given[0], given[1], [kernels], *given[3:], wanted)
    ours = made[BACKWARD](*asked)
    if ours is NotImplemented:  # torch's own is then taken
        assert not wanted[1] or min(kernel - 1 - pad for kernel, pad in zip(size, padding, strict=True)) < 0
        return
    for one, other, is_wanted in zip(ours, BACKWARD(*asked), wanted, strict=True):
        assert (one is not None) == is_wanted
        if is_wanted:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def operators(given, batch):
    """Return the names of the operators that a convolution of this table is traced as."""
    graph = make_fx(lambda *tensors: CONVOLUTION(*tensors, *given[3:]), table(batch))(*given[:3])
    return {str(node.target) for node in graph.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize(
    ("shape", "kernels", "is_product"),
    [
        ((4, 6, 14, 14), 16, True),
        ((2, 6, 14, 14), 16, True),
        ((FEW + 1, 6, 14, 14), 16, False),
        ((4, 6, 14, 14), FULL - 1, False),
        ((4, MOST_SEEN // 10_000 + 1, 14, 14), 16, False),  # 400 places, 25 numbers of each channel
    ],
)
def test_what_becomes_a_product(shape, kernels, is_product):
    given = layer(shape, kernels, (5, 5), (0, 0), bias=True)
    assert ("aten.convolution.default" not in operators(given, shape[0])) is is_product


def test_images_that_lie_channel_by_channel_stay_with_the_library():
    images, *rest = layer((4, 6, 14, 14), 16, (5, 5), (0, 0), bias=True)
    assert "aten.convolution.default" in operators((images.contiguous(), *rest), 4)

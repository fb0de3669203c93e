import pytest
import torch
from torch import nn

from classlab.errors import UserError
from classlab.models import convnet, perceptron
from classlab.network.linear_map import multiply_out


def trained(activation):
    """A perceptron a few steps away from its initial weights."""
    torch.manual_seed(0)
    model = perceptron.build((3, 8, 8), 10, widths=[30, 20], activation=activation)
    images, targets = torch.randn(200, 3, 8, 8), torch.randint(10, (200,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), targets).backward()
        optimizer.step()
    return model, images


def test_without_a_nonlinearity_the_layers_are_one_map():
    model, images = trained(None)
    found = multiply_out(model, images)
    assert found.matrix.shape == (10, 192) and (found.layers, found.activations) == (3, 0)
    assert found.largest_difference < 1e-12 < found.largest_output and found.same_class == 1
    with torch.no_grad():
        assert torch.allclose(
            images.flatten(1) @ found.matrix.float().T + found.offset.float(), model(images), atol=1e-4
        )
    assert str(found).startswith("3 linear layers multiplied out to one 10 × 192 matrix")
    assert str(found).endswith(
        "100.00 % of the images get the same class; without an activation the layers are one linear map"
    )


def test_with_relu_the_same_product_fails():
    found = multiply_out(*trained("relu"))
    assert found.largest_difference > 0.1 and found.same_class < 0.9
    assert "the 2 activations between the layers make them more than one linear map" in str(found)


def test_a_single_layer_and_one_without_bias():
    found = multiply_out(nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False)), torch.randn(5, 3, 2, 2))
    assert found.largest_difference < 1e-12 and not found.offset.any()


def test_other_networks_are_refused_in_a_sentence():
    with pytest.raises(UserError, match=r"only a network of linear layers and activations .* has a layer Conv2d"):
        multiply_out(convnet.build((3, 32, 32), 10), torch.zeros(1, 3, 32, 32))

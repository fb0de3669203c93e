"""Every model that classlab ships, and what each refuses."""

import pytest
import torch

from classlab import lookup
from classlab.errors import UserError
from classlab.experiment import Choice
from classlab.models.make import load_weights, make
from classlab.network.layer_table import check_shapes, layer_table

SHAPES = [(1, 28, 28), (3, 32, 32)]
DEFAULT = Choice(name="default")


def built(name, shape=(1, 28, 28), classes=10, seed=0, **options):
    checked = lookup.check_options("model", name, options)
    return make(Choice.model_construct(None, name=name, **checked), DEFAULT, shape, classes, seed)


@pytest.mark.parametrize("name", lookup.names("model"))
@pytest.mark.parametrize("shape", SHAPES)
def test_conformance_of_every_model(name, shape):
    model = built(name, shape, classes=7)
    table = layer_table(model, shape)
    assert table.parameters == sum(layer.parameters for layer in table.layers) > 0
    assert table.multiply_adds and all(layer.receptive_field for layer in table.layers)
    check_shapes(model, shape, None if name == "autoencoder" else 7)
    outputs = model(torch.randn(4, *shape))
    outputs.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    again, other = built(name, shape, classes=7), built(name, shape, classes=7, seed=1)
    same = [torch.equal(a, b) for a, b in zip(built(name, shape, 7).parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert any(not torch.equal(a, b) for a, b in zip(again.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", lookup.names("model"))
def test_weights_give_bit_equal_outputs_in_another_instance(name):
    first, second = built(name), built(name, seed=1)
    state = {f"model.{key}": value for key, value in first.state_dict().items()}
    load_weights(second, state, "a run")
    images = torch.randn(3, 1, 28, 28)
    assert torch.equal(first.eval()(images), second.eval()(images))


@pytest.mark.parametrize(
    ("name", "shape", "options", "sentence"),
    [
        ("era_s6", (1, 19, 28), {}, "model era_s6 needs images of at least 20×20 pixels; got 19×28"),
        ("eva7", (1, 8, 8), {}, "model eva7 net8 needs larger images than 8×8: nothing is left at its average pool"),
        ("convnet", (1, 8, 8), {}, "model convnet: nothing of a 8×8 image is left after convolution 2"),
        ("convnet", (1, 28, 28), {"pool_after": [3]}, "model convnet: pool_after names convolution 3, there are 2"),
    ],
)
def test_what_a_model_cannot_be_is_told_in_a_sentence(name, shape, options, sentence):
    with pytest.raises(UserError) as told:
        built(name, shape, **options)
    assert str(told.value) == sentence


@pytest.mark.parametrize("side", range(20, 34))
def test_era_s6_averages_the_whole_of_what_is_left(side):
    table = layer_table(built("era_s6", (1, side, side)), (1, side, side))
    named = {layer.name: layer for layer in table.layers}
    assert named["average"].kernel == named["conv9"].output_shape[1]
    assert named["average"].output_shape == (16, 1, 1)


@pytest.mark.parametrize("net", ["net2", "net3", "net8"])
@pytest.mark.parametrize("side", [28, 30, 32, 40])
def test_eva7_fits_other_images(net, side):
    check_shapes(built("eva7", (3, side, side), net=net), (3, side, side), 10)


@pytest.mark.parametrize(("name", "options"), [("squeeze", {"width": 256}), ("era_s6", {"width": 64})])
def test_outputs_that_no_memory_holds_are_counted_without_computing_them(name, options):
    with pytest.raises(UserError, match=r"would have [\d,]+ outputs for one image; at most 50,000,000 are computed"):
        built(name, (1, 1000, 1000), **options)


def test_residual_networks_have_the_published_numbers_of_parameters():
    assert layer_table(built("resnet", (3, 32, 32)), (3, 32, 32)).parameters == 6_573_130  # Page, 2018
    assert layer_table(built("resnet", (3, 32, 32), depth=18), (3, 32, 32)).parameters == 11_173_962


def block_network(**options):
    return built("block_network", (2, 16, 16), widths=[4, 8], pool_after=[1], convolutions=1, **options)


@pytest.mark.parametrize("norm", ["batch", "layer", "group", "instance", "none"])
def test_blocks_have_the_norm_that_is_chosen(norm):
    model, images = block_network(norm=norm).train(), torch.randn(3, 2, 16, 16)
    maps = model.block1.conv1(images)
    wanted = {
        "batch": torch.nn.functional.batch_norm(maps, None, None, training=True),
        "layer": torch.nn.functional.layer_norm(maps, maps.shape[1:]),
        "group": torch.nn.functional.layer_norm(maps.view(3, 4, -1), (16 * 16,)).view_as(maps),
        "instance": torch.nn.functional.instance_norm(maps),
        "none": maps,
    }
    given = maps if norm == "none" else model.block1.norm1(maps)
    torch.testing.assert_close(given, wanted[norm], rtol=1e-4, atol=1e-4)
    last = [layer for layer in layer_table(model, (2, 16, 16)).layers if layer.kind == "Conv2d"][-1]
    assert last.receptive_field["size"] == 8 and last.norm_mixes == (norm in {"layer", "group", "instance"})


def test_separable_strided_and_dilated_blocks():
    model = block_network(separable=True, strides=[2, 1], dilations=[1, 2], head="convolution")
    table = layer_table(model, (2, 16, 16))
    rows = [(layer.groups, layer.stride, layer.dilation, layer.output_shape) for layer in table.layers
            if layer.kind == "Conv2d"]  # fmt: skip
    assert rows == [
        (2, 2, 1, (2, 8, 8)), (1, 1, 1, (4, 8, 8)), (4, 1, 2, (4, 4, 4)), (1, 1, 1, (8, 4, 4)), (1, 1, 1, (10, 4, 4)),
    ]  # fmt: skip
    assert not any(layer.kind == "Linear" for layer in table.layers)
    assert table.parameters == (2 * 9 + 2 * 4 + 8) + (4 * 9 + 4 * 8 + 16) + (8 * 10 + 10)


def test_a_residual_block_with_squeeze_and_excitation_by_its_formula():
    model, images = block_network(residual=[2], squeeze_excite=[2]).eval(), torch.randn(3, 2, 16, 16)
    block, maps = model.block2, model.pool1(model.block1(images))
    branch = block.branch.norm1(block.branch.conv1(maps))
    inner = (branch.mean((2, 3)) @ block.branch.squeeze_excite.factors.squeeze.weight[:, :, 0, 0].T).clone()
    inner = torch.relu(inner + block.branch.squeeze_excite.factors.squeeze.bias)
    excite = block.branch.squeeze_excite.factors.excite
    factors = torch.sigmoid(inner @ excite.weight[:, :, 0, 0].T + excite.bias)
    wanted = torch.relu(branch * factors[:, :, None, None] + block.shortcut.norm(block.shortcut.conv(maps)))
    torch.testing.assert_close(block(maps), wanted)
    table = layer_table(model, (2, 16, 16))
    after = next(layer for layer in table.layers if layer.name == "block2.activation")
    assert after.receptive_field["size"] == 8 and after.receptive_field["global"] is True and after.norm_mixes


@pytest.mark.parametrize(("options", "sentence"), [
    ({"kernel": 4}, "kernel must be odd, so that maps keep their size; got 4"),
    ({"strides": [2]}, "strides needs a number for each of the 2 blocks, got 1"),
    ({"residual": [3]}, "residual names block 3, there are 2"),
    ({"norm": "group", "groups": 3}, "groups must divide the channels of every layer; got 3 for 4"),
    ({"strides": [16, 16]}, "nothing of a 16×16 image is left after block 1"),
])  # fmt: skip
def test_blocks_that_do_not_fit_together_are_told(options, sentence):
    with pytest.raises(UserError) as told:
        block_network(**options)
    assert str(told.value) == f"model block_network: {sentence}"

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from classlab import lookup
from classlab.errors import UserError
from classlab.network.layer_table import layer_table
from classlab.network.trace import trace

GREY, COLOUR = (1, 28, 28), (3, 32, 32)
# model, options, image, parameters: every network of the five reports
NETWORKS = {
    "era-s6": ("era_s6", {}, GREY, 16_976),
    "eva7-net8": ("eva7", {"net": "net8"}, GREY, 19_310),
    "eva7-net2": ("eva7", {"net": "net2"}, GREY, 14_026),
    "eva7-net3": ("eva7", {"net": "net3"}, GREY, 19_174),
    "prml-mlp": ("perceptron", {}, GREY, 52_650),
    "fashion-cnn": (
        "convnet",
        {"filters": [10, 20, 40, 64], "padding": 1, "pool_after": [4], "widths": [256]},
        GREY,
        1_730_610,
    ),
    "fashion-autoencoder": ("autoencoder", {}, GREY, 815_196),
    "fashion-encoder-classifier": ("encoder_classifier", {}, GREY, 418_240),
    "cifar-linear": ("perceptron", {"widths": []}, COLOUR, 30_730),
    "cifar-mlp": ("perceptron", {"widths": [120, 84]}, COLOUR, 379_774),
    "cifar-mlp-no-relu": ("perceptron", {"widths": [120, 84], "activation": None}, COLOUR, 379_774),
    "cifar-lenet": ("convnet", {}, COLOUR, 62_006),
}


def network(name):
    model, options, shape, _ = NETWORKS[name]
    torch.manual_seed(0)
    return lookup.bind("model", model, options)(input_shape=shape, classes=10), shape


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_work_of_every_network_of_the_reports(name):
    model, shape = network(name)
    table = layer_table(model, shape)
    assert table.parameters == table.trainable_parameters == NETWORKS[name][3]
    assert sum(layer.parameters for layer in table.layers) == table.parameters
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    assert 2 * table.multiply_adds == counter.get_total_flops()


# What follows these in a network, norms and activations and dropout, sees what they see.
MIXING = ("Conv2d", "MaxPool2d", "AvgPool2d", "Linear", "Flatten", "Unflatten")


@pytest.mark.parametrize("name", NETWORKS)
def test_receptive_fields_equal_the_gradients_of_an_inner_output(name, probe):
    model, shape = network(name)
    table = layer_table(model, shape)
    linear = probe.linearised(model)
    largest = max(layer.receptive_field["size"] for layer in table.layers)
    side = shape[1] + (2 * largest if any(layer.kind == "Conv2d" for layer in table.layers) else 4)
    images = torch.zeros(1, shape[0], side, side, dtype=torch.float64, requires_grad=True)
    outputs = probe.outputs_of(linear, images, maps=True)
    before = None
    for layer in table.layers:
        output, field = outputs[layer.name], layer.receptive_field
        if layer.kind not in MIXING:
            assert field == before
            continue
        before = field
        middle = output.shape[2] // 2
        rows, columns = probe.extent(probe.seen(output, (middle, middle), images))
        assert rows[1] - rows[0] + 1 == columns[1] - columns[0] + 1 == field["size"], layer.name
        assert rows[0] > 0 and rows[1] < side - 1, f"{layer.name}: the border cuts the field off"
        if field["stride"]:  # the drawn image has one field for all of its places
            after, _ = probe.extent(probe.seen(output, (middle + 1, middle), images))
            assert after[0] - rows[0] == field["stride"], layer.name


@pytest.mark.parametrize("name", NETWORKS)
def test_global_says_whether_every_output_sees_the_whole_image(name, probe):
    model, shape = network(name)
    images = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
    outputs = probe.outputs_of(probe.linearised(model), images, maps=False)
    for layer in layer_table(model, shape).layers:
        if layer.kind not in MIXING:
            continue
        output = outputs[layer.name]
        places = [()]
        if output.dim() == 4:
            places = [(row, column) for row in {0, output.shape[2] - 1} for column in {0, output.shape[3] - 1}]
        whole = all(bool(probe.seen(output, place, images).all()) for place in places)
        if layer.kind == "Flatten" and not layer.receptive_field["global"]:
            continue  # its outputs are the positions themselves, one each
        assert whole == layer.receptive_field["global"], layer.name


def test_era_s6_as_the_report_has_it():
    model, shape = network("era-s6")
    table = layer_table(model, shape)
    convolutions = [layer for layer in table.layers if layer.kind in {"Conv2d", "MaxPool2d", "AvgPool2d"}]
    assert [layer.output_shape[1] for layer in convolutions] == [26, 24, 22, 11, 11, 9, 7, 5, 5, 5, 1]
    assert [layer.receptive_field["size"] for layer in convolutions] == [3, 5, 7, 8, 8, 12, 16, 20, 24, 28, 36]
    printed = {key: f"{value:.2f}" for key, value in table.memory.items()}
    assert printed == {"input": "0.00", "forward_backward": "0.81", "parameters": "0.06", "total": "0.88"}


# Random stacks: (kind, kernel, stride, padding, dilation)
SMALL = st.integers(1, 3)
LAYERS = st.one_of(
    st.tuples(st.just("conv"), SMALL, SMALL, st.integers(0, 2), st.integers(1, 2)),
    st.tuples(st.just("tall"), SMALL, st.integers(1, 2), st.integers(0, 1), st.just(1)),
    st.tuples(st.just("transposed"), st.integers(2, 4), st.integers(1, 2), st.integers(0, 1), st.integers(1, 2)),
    st.tuples(st.just("max"), st.integers(2, 3), st.integers(1, 2), st.just(0), st.just(1)),
    st.tuples(st.just("average"), st.integers(2, 3), st.integers(1, 3), st.just(0), st.just(1)),
    st.tuples(st.just("nearest"), st.integers(2, 3), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("residual"), st.integers(0, 1), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("shuffle"), st.just(2), st.just(0), st.just(0), st.just(0)),
)


ENLARGING = {"transposed", "nearest", "shuffle"}


class Branches(nn.Module):
    """A convolution of 3 beside one of 5, added or laid side by side."""

    def __init__(self, lay_side_by_side):
        super().__init__()
        self.small, self.large = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 5, padding=2)
        self.squeeze = nn.Conv2d(4, 2, 1) if lay_side_by_side else None

    def forward(self, images):
        small, large = F.relu(self.small(images)), self.large(images)
        return self.squeeze(torch.cat([small, large], 1)) if self.squeeze else torch.relu(small + large)


def stack(plan):
    layers = []
    for kind, kernel, stride, padding, dilation in plan:
        if kind == "conv":
            layers.append(nn.Conv2d(2, 2, kernel, stride, padding, dilation))
        elif kind == "tall":
            layers.append(nn.Conv2d(2, 2, (kernel, 1), (stride, 1), (padding, 0)))
        elif kind == "transposed":
            layers.append(nn.ConvTranspose2d(2, 2, kernel, stride, padding, dilation=dilation))
        elif kind == "nearest":
            layers.append(nn.Upsample(scale_factor=kernel))
        elif kind == "residual":
            layers.append(Branches(bool(kernel)))
        elif kind == "shuffle":
            layers += [nn.Conv2d(2, 8, 1), nn.PixelShuffle(2)]
        else:
            layers.append((nn.MaxPool2d if kind == "max" else nn.AvgPool2d)(kernel, stride))
    return nn.Sequential(*layers)


@settings(max_examples=100, deadline=None)
@given(plan=st.lists(LAYERS, min_size=1, max_size=5))
def test_receptive_fields_of_random_stacks_equal_the_gradients(plan, probe):
    assume(sum(layer[0] in ENLARGING for layer in plan) <= 2)
    model, side = stack(plan), 72
    try:
        field = layer_table(model, (2, side, side)).layers[-1].receptive_field
    except UserError:  # nothing is left of the map
        reject()
    rounds = trace(model, (2, side, side)).steps[-1].field
    sizes = field["size"] if isinstance(field["size"], list) else [field["size"]] * 2
    strides = field["stride"] if isinstance(field["stride"], list) else [field["stride"]] * 2
    images = torch.zeros(1, 2, side, side, dtype=torch.float64, requires_grad=True)
    output = probe.outputs_of(probe.linearised(model), images, maps=False)[""]
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        # Fields may differ from place to place but repeat themselves: look at one round of places, amid the image.
        places = len((rounds.rows, rounds.columns)[axis].low)
        first = output.shape[2 + axis] // 2 - places // 2
        if first * stride < size or (first + places) * stride > side - size:
            continue
        spans = []
        for place in range(first, first + places + 1):
            line = (place, slice(None)) if axis == 0 else (slice(None), place)
            pixels = probe.seen(output, line, images)
            spans.append(probe.extent(pixels)[axis] if pixels.any() else None)
        assert max((span[1] - span[0] + 1 for span in spans if span), default=0) == size
        if spans[0] and spans[-1]:
            assert spans[-1][0] - spans[0][0] == round(places * stride)

"""Modules of the reader's own make: plain function calls, branches, shared layers, and what cannot be followed."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import classlab as cl
from classlab.errors import UserError
from classlab.experiment import Choice
from classlab.models.make import make
from classlab.network.layer_table import check_last_batch, check_shapes, layer_table


class Branched(nn.Module):
    """A branch, a layer used twice, and function calls where others use modules."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.beside = nn.Conv2d(4, 4, 1)
        self.last = nn.Linear(8 * 7 * 7, 10)

    def forward(self, images):
        x = F.relu(self.first(images))
        x = F.max_pool2d(torch.relu(self.shared(x)), 2)
        x = F.relu(self.shared(x)) + self.beside(x)
        if x.mean() < 1e9:  # what tracing by symbols cannot follow
            x = F.max_pool2d(x, 2)
        x = torch.cat([x, -x], dim=1)
        return self.last(x.view(x.size(0), -1))


def rows(model, shape=(1, 28, 28)):
    return {layer.name: layer for layer in layer_table(model, shape).layers if not layer.shared}


def test_branches_function_calls_and_a_shared_layer():
    table = layer_table(Branched(), (1, 28, 28))
    assert table.parameters == 40 + 148 + 20 + 3930 == sum(layer.parameters for layer in table.layers)
    shared = [layer for layer in table.layers if layer.name == "shared"]
    assert [layer.parameters for layer in shared] == [148, 0] and [layer.shared for layer in shared] == [False, True]
    assert [layer.multiply_adds for layer in shared] == [28 * 28 * 144, 14 * 14 * 144]
    kinds = [layer.kind for layer in table.layers]
    assert kinds == [
        *("Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "Conv2d", "add"),
        *("mean", "MaxPool2d", "neg", "cat", "view", "Linear"),
    ]
    named = {layer.name: layer for layer in table.layers}
    assert named["add"].receptive_field == {"size": 10, "stride": 2, "global": False}
    assert named["maxpool2d_2"].receptive_field == {"size": 12, "stride": 4, "global": False}
    assert named["last"].receptive_field == {"size": 36, "stride": 4, "global": True}
    assert [table.layers[number].name for number in named["add"].inputs] == ["relu_3", "beside"]


def test_nothing_of_the_model_or_the_session_is_changed():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(2 * 36, 3))
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    layer_table(model, (1, 8, 8))
    assert torch.equal(torch.rand(3), expected)
    assert model.training and not model[1].training and model[2].training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Squeezed(nn.Module):
    """Squeeze and excitation: the mean over the whole map scales every place of it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.gate = nn.Linear(4, 4)

    def forward(self, images):
        x = self.conv(images)
        return x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.last = nn.Linear(4, 3)

    def forward(self, images):
        pixels = images.flatten(2).transpose(1, 2).repeat(1, 1, 4)
        return self.last(self.attend(pixels, pixels, pixels)[0].mean(1))


@pytest.mark.parametrize(
    ("layers", "shape", "field"),
    [
        ([nn.Conv2d(1, 1, (3, 1), padding=(1, 0))], (1, 8, 8), {"size": [3, 1], "stride": 1, "global": False}),
        ([nn.Conv2d(1, 1, 3, dilation=4)], (1, 12, 12), {"size": 9, "stride": 1, "global": False}),
        ([nn.Conv2d(1, 1, 3, padding="same", dilation=2)], (1, 8, 8), {"size": 5, "stride": 1, "global": False}),
        ([nn.ConvTranspose2d(1, 1, 2, stride=2)], (1, 4, 4), {"size": 1, "stride": 0.5, "global": False}),
        ([nn.ConvTranspose2d(1, 1, 4, stride=2)], (1, 4, 4), {"size": 2, "stride": 0.5, "global": False}),
        ([nn.AdaptiveAvgPool2d(1)], (1, 6, 6), {"size": 6, "stride": 6, "global": True}),
        ([nn.AdaptiveAvgPool2d(4)], (1, 6, 6), {"size": 2, "stride": 1.5, "global": False}),
        ([nn.Upsample(scale_factor=2, mode="bilinear")], (1, 6, 6), {"size": 2, "stride": 0.5, "global": False}),
        ([nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d(3)], (1, 5, 5), {"size": 6, "stride": 6, "global": True}),
        ([nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(1)], (1, 5, 5), {"size": 4, "stride": 4, "global": False}),
        ([nn.Conv2d(1, 2, 1), nn.GroupNorm(1, 2)], (1, 5, 5), {"size": 1, "stride": 1, "global": True}),
        ([nn.Linear(5, 2)], (1, 5, 5), {"size": [1, 5], "stride": 1, "global": False}),
    ],
)
def test_receptive_fields_by_hand(layers, shape, field):
    assert layer_table(nn.Sequential(*layers), shape).layers[-1].receptive_field == field


def test_a_gate_makes_every_place_depend_on_the_whole_image():
    table = layer_table(Squeezed(), (1, 9, 9))
    assert table.layers[-1].receptive_field == {"size": 3, "stride": 1, "global": True}  # the convolutions' field
    assert table.parameters == sum(layer.parameters for layer in table.layers)


def test_unequal_strides_joined_are_unknown_and_stay_so():
    class Unequal(nn.Module):
        def __init__(self):
            super().__init__()
            self.fine, self.coarse = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 3, stride=2, padding=1)
            self.last = nn.Conv2d(2, 2, 3)

        def forward(self, images):
            return self.last(self.fine(images)[:, :, :4, :4] + self.coarse(images))

    assert layer_table(Unequal(), (1, 8, 8)).layers[-1].receptive_field["size"] is None

    class Enlarged(Unequal):
        def forward(self, images):
            return self.last(self.fine(images) + F.interpolate(self.coarse(images), scale_factor=4)[:, :, ::2, ::2])

    # Odd places of the sum see 4 pixels, even ones 3; three places beginning with an odd one see 6.
    assert layer_table(Enlarged(), (1, 8, 8)).layers[-1].receptive_field["size"] == 6


def test_what_cannot_be_followed_is_unknown_and_the_parameters_still_add_up():
    table = layer_table(Attention(), (1, 4, 4))
    named = {layer.name: layer for layer in table.layers}
    assert named["attend"].receptive_field is None and named["last"].receptive_field is None
    assert named["attend"].multiply_adds is None and table.multiply_adds is None
    assert table.parameters == sum(layer.parameters for layer in table.layers) == 80 + 15


def test_layers_that_never_run_are_unused_and_counted_apart():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(16, 3), nn.Linear(4, 4)
            self.spare.requires_grad_(False)
            self.scale, self.shift = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(5))
            self.drop, self.only_in_training = nn.Dropout(), nn.Linear(3, 3)
            self.criterion = nn.CrossEntropyLoss()  # no layer

        def forward(self, images):
            x = self.used(images.flatten(1)) * self.scale
            return self.only_in_training(x) if self.training else x

    table = layer_table(Spare(), (1, 4, 4))
    assert [(layer.name, layer.kind, layer.parameters) for layer in table.layers] == [
        *[("flatten", "Flatten", 0), ("used", "Linear", 51), ("mul", "mul", 3)],
    ]
    assert [(part.name, part.kind, part.parameters, part.in_training) for part in table.unused] == [
        *[("shift", "Parameter", 5, False), ("spare", "Linear", 20, False), ("drop", "Dropout", 0, False)],
        ("only_in_training", "Linear", 12, True),
    ]
    assert (table.parameters, table.trainable_parameters, table.unused_parameters) == (91, 71, 25)


class ThroughNumpy(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Flatten(), nn.Linear(16, 3)

    def forward(self, images):
        return self.last(torch.from_numpy(self.first(images).numpy() * 2))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("scripted", [False, True])
def test_what_cannot_be_looked_into_is_one_unknown_layer(scripted):
    model = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(16, 3))) if scripted else ThroughNumpy()
    kinds = ["RecursiveScriptModule"] if scripted else ["Flatten", "ThroughNumpy"]
    table = layer_table(model, (1, 4, 4))
    assert [layer.kind for layer in table.layers] == kinds and table.layers[-1].output_shape == (3,)
    assert table.layers[-1].receptive_field is None and table.multiply_adds is None
    assert table.parameters == table.layers[-1].parameters == 51


def test_an_activation_used_twice_shares_nothing():
    relu = nn.ReLU(inplace=True)
    layers = layer_table(nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Conv2d(2, 2, 3), relu), (1, 8, 8)).layers
    assert [layer.shared for layer in layers] == [False] * 4
    assert [layer.receptive_field["size"] for layer in layers] == [3, 3, 5, 5]


def test_layers_that_measure_themselves_at_the_first_image():
    assert layer_table(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), (1, 4, 4)).parameters == 170


LAZY = """
from torch import nn

def net():
    return nn.Sequential(nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
"""


@pytest.mark.parametrize("initialise", ["default", "he_normal"])
def test_lazy_layers_draw_their_weights_from_the_seed_and_their_run_opens_again(initialise, tmp_path):
    (tmp_path / "lazy.py").write_text(LAZY)
    fields = {
        "name": "lazy",
        "data": {"dataset": "digits", "max_per_class": 10},
        "model": f"{tmp_path}/lazy.py:net",
        "training": {"epochs": 1, "batch_size": 20, "optimizer": "adam", "initialise": initialise},
    }
    runs = []
    for session in (1, 2):
        torch.manual_seed(session)
        runs.append(cl.train(fields, out=tmp_path / str(session), verbose=False))
    first, second = ((run.path / "last.safetensors").read_bytes() for run in runs)
    assert first == second
    run = cl.load_run(runs[0].path)
    data = run.dataset()
    images = (torch.from_numpy(data.test_images) / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        outputs = run.model()(images)
    torch.testing.assert_close(outputs, torch.from_numpy(run.predictions()[0]), rtol=1e-4, atol=1e-4)


def test_a_lazy_module_of_python_s_own_is_drawn_from_the_seed_too():
    drawn = []
    for session in (1, 2):
        torch.manual_seed(session)
        module = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
        drawn.append([make(module, Choice(name=name), (1, 4, 4), 10, 5)[1].weight for name in ("default", "keep")])
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))


def test_lazy_layers_that_get_no_shape_are_told():
    with pytest.raises(UserError, match=r"its layer 0 \(Conv2d\) is given \(1, 8, 8\)"):
        make(nn.Sequential(nn.LazyConv2d(2, 9), nn.LazyConv2d(2, 3)), Choice(name="he_normal"), (1, 8, 8), 10, 0)
    with pytest.raises(UserError, match=r"torch cannot copy a lazy batch norm; give a function that builds the model"):
        make(nn.Sequential(nn.LazyBatchNorm2d()), Choice(name="default"), (1, 8, 8), 10, 0)
    unused = nn.Identity()
    unused.spare = nn.LazyLinear(3)
    with pytest.raises(UserError, match=r"the model's lazy spare.weight has no shape, since no image"):
        make(unused, Choice(name="he_normal"), (1, 8, 8), 10, 0)


NORMED = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10))


@pytest.mark.parametrize(("batch_size", "other"), [(359, 358), (1, 3)])
def test_a_batch_of_one_image_that_a_batch_norm_cannot_take_is_told_before_training(batch_size, other, tmp_path):
    def fields(size):
        return {
            "name": "normed",
            "data": {"dataset": "digits"},
            "model": "perceptron",
            "training": {"epochs": 1, "batch_size": size, "optimizer": "adam"},
        }

    told = (
        f"training.batch_size {batch_size} leaves a batch of one of the 1,437 training images, .* for example {other}"
    )
    with pytest.raises(UserError, match=told):
        cl.train(fields(batch_size), model=NORMED, out=tmp_path, verbose=False)
    assert not list(tmp_path.iterdir())
    assert cl.train(fields(358), model=NORMED, out=tmp_path, verbose=False).summary["epochs"] == 1


def test_a_batch_norm_over_a_whole_map_takes_one_image():
    check_last_batch(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), (1, 8, 8), 1437, 359)
    check_last_batch(NORMED, (1, 8, 8), 1437, 358)
    with pytest.raises(UserError, match=r"batch_size 4 leaves a batch of one of the 1 training images, [^;]*$"):
        check_last_batch(NORMED, (1, 8, 8), 1, 4)


FLAT = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


@pytest.mark.parametrize(
    ("model", "shape", "classes", "sentence"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 6, 5), nn.Flatten()),
            (1, 28, 28),
            10,
            "the model does not fit images of shape (1, 28, 28): its layer 0 (Conv2d) is given (1, 28, 28) "
            "and takes (3, height, width)",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 28 * 28, 10)),
            (1, 28, 28),
            10,
            "the model does not fit images of shape (1, 28, 28): its layer 3 (Linear) is given (3456) and takes (4704)",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(5)),
            (1, 8, 8),
            10,
            "the model does not fit images of shape (1, 8, 8): its layer 1 (BatchNorm2d) is given (6, 6, 6) "
            "and takes (5, height, width)",
        ),
        (
            FLAT,
            (1, 28, 28),
            7,
            "the model does not fit the data: its last layer 1 (Linear) gives (10) for each image, 7 classes need (7)",
        ),
        (
            FLAT,
            (1, 28, 28),
            None,
            "the model does not fit the data: its last layer 1 (Linear) gives (10) for each image, "
            "the images have the shape (1, 28, 28)",
        ),
        (
            nn.Flatten(),
            (1, 8, 8),
            None,
            "the model does not fit the data: its last layer Flatten (Flatten) gives (64) for each image, "
            "the images have the shape (1, 8, 8); end it with nn.Unflatten(1, (1, 8, 8))",
        ),
    ],
)
def test_a_wrong_shape_is_told_with_the_layer_and_both_shapes(model, shape, classes, sentence):
    with pytest.raises(UserError) as told:
        check_shapes(model, shape, classes)
    assert str(told.value) == sentence


class Calls(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.call = forward

    def forward(self, images):
        return self.call(images)


def test_a_misfit_inside_a_function_call_names_it():
    with pytest.raises(UserError, match=r"its layer conv2d \(conv2d\) is given \(1, 8, 8\)"):
        check_shapes(Calls(lambda images: F.conv2d(images, torch.zeros(2, 3, 3, 3))), (1, 8, 8), 10)


def test_batches_must_be_kept_apart():
    with pytest.raises(UserError, match=r"must keep the images of a batch apart; of 2 images .* gives \(128\)"):
        check_shapes(Calls(lambda images: images.flatten()), (1, 8, 8), 10)


def test_an_error_in_the_readers_own_code_is_not_dressed_up():
    def broken(images):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        check_shapes(Calls(broken), (1, 8, 8), 10)


def test_a_model_that_fits_is_let_through():
    check_shapes(FLAT, (1, 28, 28), 10)
    check_shapes(nn.Identity(), (1, 8, 8), None)
    check_shapes(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 8, 8))), (1, 8, 8), None)

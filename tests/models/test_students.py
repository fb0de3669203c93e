"""Networks as students write them, each in its own file with neighbours, against counts that plain torch makes."""

import contextlib
import copy
import importlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError

FOLDER = Path(__file__).parent / "students"
# file, name, images, what `inspect` fills in or is told
NETWORKS = [
    ("lenets", "LeNet5", "1x32x32", {}),
    ("lenets", "Mnist", "1x28x28", {}),
    ("lenets", "Cifar", "3x32x32", {}),
    ("lenets", "Mlp", "1x28x28", {"input_dim": 784}),
    ("lenets", "Mlp", "3x8x10", {"input_dim": 240}),
    ("lenets", "Forgetful", "1x32x32", {}),
    ("lenets", "Padded", "1x28x28", {}),
    ("lenets", "Lazy", "3x32x32", {}),
    ("lenets", "Lazy", "3x40x24", {}),
    ("lenets", "build", "3x32x32", {"in_channels": 3, "num_classes": 10}),
    ("lenets", "build", "1x28x28", {"in_channels": 1, "num_classes": 10}),
    ("lenets", "model", "1x28x28", {}),
    ("resnets", "ResNet", "3x32x32", {}),
    ("resnets", "ResNet", "1x28x28", {"in_channels": 1}),
    ("resnets", "GroupNormed", "3x32x32", {}),
    ("resnets", "InstanceNormed", "3x32x32", {}),
    ("resnets", "Forked", "3x32x32", {}),
    ("resnets", "Mobile", "1x28x28", {}),
    ("resnets", "Mobile", "3x32x32", {"in_chans": 3}),
    ("resnets", "Dense", "1x28x28", {}),
    ("resnets", "Inception", "1x28x28", {}),
    ("resnets", "SqueezeExcite", "1x28x28", {}),
    ("resnets", "Auxiliary", "3x32x32", {}),
    ("norms", "group", "3x32x32", {}),
    ("norms", "layer", "3x32x32", {}),
    ("norms", "rows", "3x32x32", {}),
    ("norms", "instance", "3x32x32", {}),
    ("norms", "tracked", "3x32x32", {}),
    ("norms", "local", "3x32x32", {}),
    ("norms", "late", "3x32x32", {}),
    ("norms", "late", "3x64x64", {}),
    ("norms", "ConvNext", "3x32x32", {}),
    ("norms", "Functional", "1x28x28", {}),
    ("norms", "WeightNormed", "1x28x28", {}),
    ("tuples", "UNet", "1x32x32", {"n_channels": 1, "n_classes": 10}),
    ("tuples", "UNet", "3x16x24", {"n_channels": 3, "n_classes": 10}),
    ("tuples", "WithIndices", "1x28x28", {}),
    ("tuples", "LogitsAndFeatures", "1x28x28", {}),
    ("tuples", "Dictionary", "1x28x28", {}),
    ("tuples", "OptionalMask", "1x28x28", {}),
    ("tuples", "Split", "1x28x28", {}),
    ("tuples", "Rows", "1x28x28", {}),
    ("tuples", "Patches", "1x28x28", {}),
    ("tuples", "Patches", "1x35x35", {"img_size": 35}),
    ("tuples", "Tied", "1x28x28", {}),
    ("dilated", "dilated", "1x28x28", {}),
    ("dilated", "dilated", "1x96x96", {}),
    ("dilated", "uneven", "1x28x28", {}),
    ("dilated", "grouped", "3x32x32", {}),
    ("dilated", "depthwise", "1x28x28", {}),
    ("dilated", "both", "2x40x40", {}),
    ("dilated", "pooled", "1x28x28", {}),
    ("dilated", "ceiled", "1x28x28", {}),
    ("dilated", "transposed", "1x28x28", {}),
    ("dilated", "shuffled", "1x28x28", {}),
    ("dilated", "Pyramid", "3x32x32", {}),
    ("dilated", "Functional", "1x28x28", {}),
    ("dilated", "Cropped", "1x28x28", {}),
    ("dilated", "Shared", "1x28x28", {}),
    ("dilated", "Shuffle", "2x28x28", {}),
]
# layers that never run -> their parameters; with a + those that run in training only
UNUSED = {
    "Forgetful": {"conv3": 4_640, "bn1": 12, "drop": 0},
    "Auxiliary": {
        **{"+aux": 90, "later.conv1": 2_304, "later.bn1": 32, "later.conv2": 2_304, "later.bn2": 32},
        "later.relu": 0,
    },
    "Tied": {"decoder.weight": 25_088},
}  # fmt: skip
ANSWERS = {"LogitsAndFeatures": "tuple of 2", "Dictionary": "dict of 1"}


def test_there_are_sixty():
    assert len(NETWORKS) == 60


def plainly(file, name, filled_in, shape):
    """Build the network without classlab."""
    sys.path.append(str(FOLDER))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            made = getattr(importlib.import_module(file), name)
            network = made if isinstance(made, nn.Module) else made(**filled_in)
            with torch.no_grad():
                network.eval()(torch.zeros(2, *shape))  # lazy layers take their shapes
    finally:
        sys.path.remove(str(FOLDER))
        for module, imported in list(sys.modules.items()):  # lest another reader's helpers be taken for these
            if str(getattr(imported, "__file__", None)).startswith(str(FOLDER)):
                del sys.modules[module]
    return network


def inspect(file, name, images, *more):
    return CliRunner().invoke(app, ["inspect", f"{FOLDER}/{file}.py:{name}", "--input", images, *more])


@pytest.mark.parametrize(("file", "name", "images", "filled_in"), NETWORKS)
def test_parameters_shapes_groups_and_fields_of(file, name, images, filled_in, monkeypatch):
    shape = tuple(int(side) for side in images.split("x"))
    network = plainly(file, name, filled_in, shape)
    done = inspect(file, name, images, "--json")
    if name in ANSWERS:
        assert isinstance(done.exception, UserError) and ANSWERS[name] in str(done.exception)
    else:
        assert done.exit_code == 0, done.output
    table = json.loads(done.stdout)
    assert table["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    unused = {"+" * part["in_training"] + part["name"]: part["parameters"] for part in table["unused"]}
    assert unused == UNUSED.get(name, {})
    assert table["unused_parameters"] == sum(count for part, count in unused.items() if part[0] != "+")
    held = sum(layer["parameters"] for layer in table["layers"]) + sum(unused.values())
    assert held == table["parameters"]
    _check_layers(network, shape, table["layers"])
    _check_fields(network, shape, table["layers"])


def leaves(network):
    return {path: part for path, part in network.named_modules() if not list(part.children())}


def run(network, images, mode=None):
    """Return the outputs of the network's innermost modules, by name, as far as it gets."""
    found, kept = {}, []

    def keep(path):
        def hook(module, inputs, output):  # its answer would take the output's place
            found.setdefault(path, output)

        return hook

    for path, module in leaves(network).items():
        kept.append(module.register_forward_hook(keep(path)))
    with contextlib.redirect_stdout(io.StringIO()), mode or contextlib.nullcontext():
        try:
            found[""] = network(images)
        except (RuntimeError, ValueError):
            found[""] = None  # a larger image than its linear layer takes
    for hook in kept:
        hook.remove()
    return found


def _check_layers(network, shape, layers):
    outputs, modules = run(network, torch.zeros(1, *shape)), leaves(network)
    for layer in {layer["name"]: layer for layer in reversed(layers)}.values():  # a layer used again: its first use
        module, output = modules.get(layer["name"]), outputs.get(layer["name"])
        output = output[0] if isinstance(output, tuple) else output
        if output is None:
            continue
        assert layer["output_shape"] == list(output.shape[1:]), layer["name"]
        if isinstance(module, nn.Conv2d):
            assert layer["groups"] == module.groups
            for key, sides in (
                ("kernel", module.kernel_size),
                ("stride", module.stride),
                ("dilation", module.dilation),
            ):
                assert layer[key] in (list(sides), sides[0] if sides[0] == sides[1] else None), (layer["name"], key)


NAMES = {"relu", "relu_", "leaky_relu", "gelu", "tanh", "sigmoid", "softmax", "log_softmax", "dropout"}
NORMS = {"group_norm", "layer_norm", "instance_norm"}


class Linear(TorchFunctionMode):
    """Activations do nothing and max pools are mean pools; norms do nothing where `norms` is false."""

    def __init__(self, norms):
        super().__init__()
        self.norms = norms

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in NAMES or (name in NORMS and not self.norms) or name == "batch_norm":
            return args[0]
        if name == "max_pool2d" and kwargs.get("dilation", 1) != 1:
            size, dilation = args[1], kwargs["dilation"]
            weight = torch.ones(args[0].shape[1], 1, size, size, dtype=torch.float64)
            return F.conv2d(args[0], weight, stride=kwargs["stride"], dilation=dilation, groups=args[0].shape[1])
        if name == "max_pool2d" and not kwargs.get("return_indices"):
            kept = {key: kwargs[key] for key in ("stride", "padding", "ceil_mode") if kwargs.get(key) is not None}
            return F.avg_pool2d(*args, **kept)
        if name == "lp_pool2d":
            return F.avg_pool2d(args[0], args[2], kwargs.get("stride"))
        return func(*args, **kwargs)


def positive(network):
    network = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(torch.rand_like(weights) + 0.1)
    return network


def seen(output, place, images):
    (gradient,) = torch.autograd.grad(output[(0, slice(None), *place)].sum(), images, retain_graph=True)
    return gradient[0].abs().sum(0) > 0


def both(value):
    return value if isinstance(value, list) else [value, value]


def _check_fields(network, shape, layers):
    """Look at the gradients of a place amid a map: of a larger image, whose border cuts no field off."""
    network = positive(network)
    sizes = [side for layer in layers if layer["receptive_field"] for side in both(layer["receptive_field"]["size"])]
    room = 32 * -(-2 * max((size or 0) for size in [*sizes, 0]) // 32)
    large = torch.rand(1, shape[0], shape[1] + room, shape[2] + room, dtype=torch.float64, requires_grad=True)
    outputs = run(network, large, Linear(norms=False))
    exact = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    whole, windows = (run(network, exact, Linear(norms)) for norms in (True, False))
    met, channels_last = set(), False
    for layer in layers:
        field = layer["receptive_field"]
        if layer["name"] in met:
            continue  # used again: the hook kept the first output
        met.add(layer["name"])
        channels_last ^= layer["kind"] == "permute"
        if channels_last:
            continue
        if layer["kind"].startswith("Adaptive") or layer["kind"] == "mean":
            break  # from here on the size of the image decides
        if field is None or len(layer["output_shape"]) != 3 or layer["name"] not in outputs:
            continue
        output = outputs[layer["name"]]
        if field["size"] is not None and isinstance(output, torch.Tensor) and output.dim() == 4:
            _check_size(output, large, field, layer["name"])
        output = whole[layer["name"]]
        if isinstance(output, torch.Tensor) and output.dim() == 4:
            places = [(row, column) for row in (0, output.shape[2] - 1) for column in (0, output.shape[3] - 1)]
            pixels = [seen(output, place, exact) for place in places]
            assert field["global"] in (None, all(bool(part.all()) for part in pixels)), layer["name"]
            plain = [seen(windows[layer["name"]], place, exact) for place in places]
            assert layer["norm_mixes"] == any(not torch.equal(*pair) for pair in zip(pixels, plain, strict=True))


def _check_size(output, images, field, name):
    for axis, (size, stride) in enumerate(zip(both(field["size"]), both(field["stride"]), strict=True)):
        middle = [side // 2 for side in output.shape[2:]]
        spans = []
        steps = min(5, output.shape[2 + axis] - middle[axis])
        for step in range(steps):
            place = [middle[0] + step * (axis == 0), middle[1] + step * (axis == 1)]
            lines = seen(output, place, images).any(dim=1 - axis).nonzero()
            spans.append((int(lines[0]), int(lines[-1])))
        assert max(last - first + 1 for first, last in spans) == size, (name, axis, spans)
        assert spans[-1][0] - spans[0][0] == (steps - 1) * stride, (name, axis, spans)


TRAINED = [("lenets", "LeNet5"), ("lenets", "Forgetful"), ("resnets", "ResNet"), ("resnets", "Mobile"),
           ("resnets", "Inception"), ("resnets", "SqueezeExcite"), ("norms", "Functional"), ("norms", "WeightNormed"),
           ("tuples", "Rows"), ("tuples", "Patches"), ("dilated", "Cropped"), ("dilated", "shuffled")]  # fmt: skip


@pytest.mark.parametrize(("file", "name"), TRAINED)
def test_what_is_inspected_trains_too(file, name, tmp_path):
    """Most make rows of their maps by `view`, some have a class for an option's default."""
    images = next(images for known, known_name, images, _ in NETWORKS if (known, known_name) == (file, name))
    shape = tuple(int(side) for side in images.split("x"))
    run = trained(f"{FOLDER}/{file}.py:{name}", shape, tmp_path)
    assert run.status in ("finished", "did_not_learn") and run.logits().shape == (20, 10)
    assert cl.load_run(run.path, trust=True).model() is not None


def test_a_second_answer_in_training_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"in training mode the model returns a tuple of 2 \(Tensor, Tensor\)"):
        trained(f"{FOLDER}/resnets.py:Auxiliary", (3, 32, 32), tmp_path)


def trained(model, shape, out):
    images = np.random.default_rng(0).integers(0, 255, (40, *shape)).astype(np.uint8)
    data = images, np.arange(40) % 10
    training = {"epochs": 1, "batch_size": 20, "optimizer": {"name": "sgd", "learning_rate": 0.01}, "native": False}
    experiment = {"name": "student", "data": {"dataset": "digits"}, "model": model, "training": training}
    return cl.train(experiment, data=data, test=(images[:20], data[1][:20]), out=out, verbose=False)

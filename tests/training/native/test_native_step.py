"""The native step against plain torch: gradients and weights after 50 steps, for shipped and for generated networks."""

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from classlab.errors import UserError
from classlab.experiment import Experiment, load
from classlab.lookup import names
from classlab.models import convnet, era_s6, eva7, perceptron, squeeze
from classlab.training import choices
from classlab.training.fast import replacements
from classlab.training.fast.native import library, step_source
from classlab.training.fast.native.native_step import NativeStep, lay_out
from classlab.training.fast.native.stages import NotNativeError
from classlab.training.settings import Settings

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="there is no C compiler")

SHIPPED = {
    "squeeze": (squeeze.build((1, 28, 28), 10), (1, 28, 28)),
    "squeeze, small images": (squeeze.build((1, 8, 8), 10), (1, 8, 8)),
    "era_s6": (era_s6.build((1, 28, 28), 10, width=8), (1, 28, 28)),
    "eva7 net2": (eva7.build((1, 28, 28), 10, net="net2"), (1, 28, 28)),
    "eva7 net3": (eva7.build((1, 28, 28), 10, net="net3"), (1, 28, 28)),
    "eva7 net8": (eva7.build((1, 28, 28), 10, net="net8"), (1, 28, 28)),
    "lenet": (convnet.build((3, 32, 32), 10), (3, 32, 32)),
    "lenet, average pool": (convnet.build((3, 32, 32), 10, pooling="average"), (3, 32, 32)),
    "perceptron": (perceptron.build((1, 24, 24), 10), (1, 24, 24)),
    "perceptron of colours": (perceptron.build((3, 9, 9), 7, widths=[33, 20]), (3, 9, 9)),
    "linear": (perceptron.build((1, 8, 8), 10, widths=[]), (1, 8, 8)),
}
SGD = {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.0005}
PLAIN_SGD = {"name": "sgd", "learning_rate": 1.0}
ADAM = {"name": "adam", "learning_rate": 0.001, "weight_decay": 0.001}
ADAMW = {"name": "adamw", "learning_rate": 0.001, "weight_decay": 0.1}


def mixed(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class CountedDropout(nn.Module):
    """Dropout by the native step's numbers, made here with numpy: of the step's seed, the stage and the image."""

    seed = np.uint64(0)

    def __init__(self, share, stage):
        super().__init__()
        self.share, self.stage = share, stage

    def forward(self, values):
        shape = values.permute(0, 2, 3, 1).shape if values.ndim == 4 else values.shape
        count, dropped = int(np.prod(shape[1:])), min(round(self.share * 2**16), 2**16 - 1)
        images = np.arange(len(values), dtype=np.uint64)
        with np.errstate(over="ignore"):
            first = mixed(CountedDropout.seed + mixed((np.uint64(self.stage) << np.uint64(32)) + images))
            steps = np.arange(-(-count // 4), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            numbers = mixed(first[:, None] + steps).view(np.int16)[:, :count]
        kept = torch.from_numpy(numbers >= dropped - 2**15).to(values.dtype) * (2**16 / (2**16 - dropped))
        mask = kept.view(shape)
        return values * (mask.permute(0, 3, 1, 2) if values.ndim == 4 else mask)


def laid_out(network, shape, precision="fp64", batch=6, threads=1, optimizer=SGD, loss=None, seed=0):
    """A network with weights of this seed, the layout of its native step, its optimizer and the experiment."""
    torch.manual_seed(seed)
    model = copy.deepcopy(network)
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    model = replacements.quicken(model.double() if precision == "fp64" else model)
    convolutions = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
    model = model.to(memory_format=torch.channels_last if convolutions else torch.contiguous_format)
    ends = [*model.children()][-1]
    loss = loss or ("nll" if isinstance(ends, nn.LogSoftmax) else "cross_entropy")
    plan = {"epochs": 1, "batch_size": batch, "optimizer": optimizer, "loss": loss}
    fields = {"name": "t", "data": {"dataset": "digits"}, "model": "squeeze", "training": plan}
    experiment = Experiment.model_validate({**fields, "protocol": {"validate_on": "test"}})
    slots = choices.optimizer(experiment.training.optimizer, model)
    layout = lay_out(model, experiment, slots, Settings("cpu", precision, convolutions, threads), shape)
    return model, layout, slots, experiment


def pair(network, shape, **how):
    """A network, its native step, and the same network with torch's optimizer and loss."""
    model, layout, slots, experiment = laid_out(network, shape, **how)
    twin = copy.deepcopy(model).train()
    stage = -1
    for name, layer in [*twin.named_modules()]:
        stage += isinstance(layer, nn.Conv2d | nn.Linear)
        if isinstance(layer, nn.Dropout):
            twin.set_submodule(name, CountedDropout(layer.p, stage))
    native = NativeStep(library.build(step_source.text(layout)), layout, slots)
    plan = experiment.training
    return model, native, twin, choices.optimizer(plan.optimizer, twin), choices.loss(plan.loss)


def train_both(model, native, twin, optimizer, loss, steps, largest=None):
    """Make the same steps with both; return the largest difference of a weight or running statistic."""
    form, drawn = native.form, torch.Generator().manual_seed(1)
    layout = torch.channels_last if any(p.ndim == 4 for p in twin.parameters()) else torch.contiguous_format
    classes = native.memory.layout.stages[-1].outputs
    totals, expected = torch.zeros(2, dtype=torch.float64), [0.0, 0]
    for step in range(steps):
        count = (
            form.batch if step % 3 else max(min(2, form.batch), form.batch - 1)
        )  # now and then a smaller batch, as at an epoch's end
        inputs = torch.randn(count, *form.image, generator=drawn, dtype=native.memory.dtype).contiguous(
            memory_format=layout
        )
        targets = torch.randint(classes, (count,), generator=drawn)
        torch.manual_seed(step)
        CountedDropout.seed = np.uint64(torch.randint(2**63 - 1, ()).item())
        torch.manual_seed(step)  # the native step draws its seed from torch's random state
        native.step(inputs, targets, totals)
        outputs = twin(inputs)
        value = loss(outputs=outputs, targets=targets, inputs=inputs, clean=inputs)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        expected[0] += value.item() * count
        expected[1] += int((outputs.argmax(1) == targets).sum())
    native.publish()
    assert totals[0].item() == pytest.approx(expected[0], rel=1e-4 if native.memory.dtype == torch.float32 else 1e-12)
    return max(
        (a.double() - b.double()).abs().max().item()
        for a, b in zip(model.state_dict().values(), twin.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_after_50_steps_are_torchs_in_double_precision(name):
    assert train_both(*pair(*SHIPPED[name]), steps=50) < 1e-9


@pytest.mark.parametrize("name", ["squeeze", "lenet", "perceptron of colours"])
def test_gradients_are_torchs(name):
    # With rate 1 and nothing else, what a weight changes by is its gradient.
    assert train_both(*pair(*SHIPPED[name], optimizer=PLAIN_SGD), steps=1) < 1e-9


@pytest.mark.parametrize("optimizer", [ADAM, ADAMW, PLAIN_SGD | {"learning_rate": 0.05}], ids=lambda o: o["name"])
@pytest.mark.parametrize("batch", [1, 4, 20])
def test_every_optimizer_and_size_of_batch(optimizer, batch):
    shape = SHIPPED["perceptron of colours"][1]
    network = convnet.build(shape, 7, filters=[5, 9], kernel=3, pool_after=[1], widths=[20])
    both = pair(network, shape, optimizer=optimizer, batch=batch)
    assert train_both(*both, steps=20) < 1e-9


@pytest.mark.parametrize("loss", ["mse", {"name": "cross_entropy", "label_smoothing": 0.1}], ids=str)
def test_the_other_losses(loss):
    assert train_both(*pair(*SHIPPED["lenet"], loss=loss, batch=3), steps=10) < 1e-9


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_the_images(threads):
    assert train_both(*pair(*SHIPPED["squeeze"], threads=threads, batch=7), steps=20) < 1e-9


@pytest.mark.parametrize("name", ["squeeze", "lenet", "perceptron"])
def test_in_single_precision_it_is_no_further_from_double_than_torch(name):
    assert train_both(*pair(*SHIPPED[name], precision="fp32", batch=32, optimizer=SGD), steps=8) < 1e-4


def generated(seed):
    """A random network that the native step has all layers of."""
    draw = random.Random(seed)
    channels, side = draw.choice([1, 2, 3]), draw.randint(6, 17)
    shape, layers, width = (channels, side, side + draw.randint(0, 3)), [], channels
    high, wide = shape[1:]
    for _ in range(draw.randint(0, 3)):
        kernel = draw.choice([1, 2, 3, 3, 5])
        padding = draw.randint(0, (kernel - 1) // 2)
        if min(high, wide) + 2 * padding - kernel < 2:
            break
        filters, norm = draw.randint(1, 34), draw.random() < 0.6
        layers.append(nn.Conv2d(width, filters, kernel, padding=padding, bias=draw.random() < 0.5))
        high, wide, width = high + 2 * padding - kernel + 1, wide + 2 * padding - kernel + 1, filters
        first = draw.random() < 0.5
        layers += [nn.ReLU()] * (first and draw.random() < 0.8)
        layers += [nn.BatchNorm2d(filters, eps=1e-3, momentum=0.2)] * norm + [nn.ReLU()] * (not first and norm)
        layers += [nn.Dropout(0.3)] * (draw.random() < 0.4)
        if min(high, wide) >= 3 and draw.random() < 0.6:
            layers.append(draw.choice([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d((2, 3)), nn.AvgPool2d(3)]))
            window = layers[-1].kernel_size
            window = (window, window) if isinstance(window, int) else window
            high, wide = high // window[0], wide // window[1]
    if layers and draw.random() < 0.4 and not isinstance(layers[-1], nn.MaxPool2d | nn.AvgPool2d):
        layers.append(nn.AdaptiveAvgPool2d(1))
        high = wide = 1
    layers.append(nn.Flatten())
    inputs = width * high * wide
    for _ in range(draw.randint(0, 2)):
        outputs = draw.randint(2, 40)
        layers += [nn.Linear(inputs, outputs, bias=draw.random() < 0.7)]
        layers += [nn.BatchNorm1d(outputs)] * (draw.random() < 0.4) + [nn.ReLU()]
        layers += [nn.Dropout(0.2)] * (draw.random() < 0.3)
        inputs = outputs
    layers.append(nn.Linear(inputs, draw.randint(2, 12)))
    return nn.Sequential(*layers), shape


@pytest.mark.parametrize("level", ["-O1", "-O2"])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_does_not_rest_on_how_the_compiler_optimises(level, threads, monkeypatch):
    """With -O1 and -O2 gcc left out the packing of weights that the second thread alone does."""
    monkeypatch.setattr(library, "FLAGS", (level, *library.FLAGS[1:]))
    network, shape = generated(9)
    assert train_both(*pair(network, shape, batch=9, threads=threads), steps=3) < 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_generated_networks(seed):
    network, shape = generated(seed)
    batch, threads = random.Random(seed).choice([(5, 1), (9, 2), (18, 1)])
    # A bias before a norm has a gradient of zero, which differs by its rounding alone; Adam divides it by itself.
    normed = any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in network)
    optimizer = SGD if normed else random.Random(seed).choice([SGD, ADAM, ADAMW])
    assert train_both(*pair(network, shape, batch=batch, threads=threads, optimizer=optimizer), steps=10) < 1e-9


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([nn.Conv2d(1, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 3)], "layer 0 is a convolution with a stride"),
        (
            [nn.Conv2d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 3)],
            r"layer 1 is of a kind .* \(GELU",
        ),
        ([nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 3)], "the network begins with BatchNorm2d"),
        ([nn.Flatten(), nn.Linear(64, 3), nn.ReLU()], "the network does not end with a linear layer"),
        (
            [nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)],
            r"layer 2 \(ReLU\) stands where it does not have it, after a pool",
        ),
        ([nn.Conv2d(1, 4, 3), nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(64, 3)], "windows that overlap"),
    ],
)
def test_what_it_does_not_have_is_said(layers, said):
    with pytest.raises(NotNativeError, match=said):
        pair(nn.Sequential(*layers), (1, 8, 8))


def test_a_network_of_the_readers_own_class_stays_with_torch():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 3)

        def forward(self, images):
            return self.layer(images.flatten(1))

    with pytest.raises(NotNativeError, match=r"begins with Own"):
        pair(Own(), (1, 8, 8))


def test_a_loss_of_another_output_is_refused():
    with pytest.raises(NotNativeError, match="the loss mse does not fit the network's last layer"):
        pair(*SHIPPED["eva7 net2"], loss="mse")


@pytest.mark.skipif(not library.has_bf16(), reason="the processor does not multiply bf16 numbers")
@pytest.mark.parametrize("name", ["squeeze", "era_s6", "eva7 net8", "lenet", "perceptron", "perceptron of colours"])
def test_bf16_gradients_are_as_near_to_exact_ones_as_torchs(name):
    network, native, twin, _, loss = pair(*SHIPPED[name], precision="bf16", batch=64, threads=2, optimizer=PLAIN_SGD)
    exact, before = copy.deepcopy(twin).double(), [p.detach().clone() for p in network.parameters()]
    inputs = torch.randn(64, *native.form.image, generator=torch.Generator().manual_seed(1)).contiguous(
        memory_format=native.memory.order
    )
    targets = torch.arange(64) % native.memory.layout.stages[-1].outputs
    for model, bf16 in ((exact, False), (twin, True)):
        torch.manual_seed(0)
        CountedDropout.seed = np.uint64(torch.randint(2**63 - 1, ()).item())
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs = model(inputs.to(next(model.parameters()).dtype))
        outputs = outputs if outputs.dtype == torch.float64 else outputs.float()
        loss(outputs=outputs, targets=targets, inputs=inputs, clean=inputs).backward()
    torch.manual_seed(0)
    native.step(inputs, targets, torch.zeros(2, dtype=torch.float64))
    native.publish()
    ours = [old - new.detach() for old, new in zip(before, network.parameters(), strict=True)]

    def error(gradients):
        return [
            ((g.double() - e.grad).norm() / (e.grad.norm() + 1e-12)).item()
            for g, e in zip(gradients, exact.parameters(), strict=True)
        ]

    theirs = [p.grad for p in twin.parameters()]
    assert sum(error(ours)) < 1.2 * sum(error(theirs)) + 1e-3
    assert likeness(ours, exact) > likeness(theirs, exact) - 0.01


def likeness(gradients, exact):
    """The cosine of the angle between all gradients and the exact ones."""
    flat = torch.cat([gradient.flatten().double() for gradient in gradients])
    return F.cosine_similarity(flat, torch.cat([p.grad.flatten() for p in exact.parameters()]), dim=0).item()


def test_every_shipped_experiment_is_either_native_or_says_why():
    said = {}
    for name in names("experiment"):
        experiment = load(name)
        if experiment.training.start_from is not None:
            continue
        from classlab.models.make import make

        shape = (3, 32, 32) if experiment.data.dataset.name == "cifar10" else (1, 28, 28)
        model = replacements.quicken(make(experiment.model, experiment.training.initialise, shape, 10, 0, None))
        settings = Settings("cpu", "fp32", True, 1)
        try:
            lay_out(model, experiment, choices.optimizer(experiment.training.optimizer, model), settings, shape)
            said[name] = "native"
        except NotNativeError as error:
            said[name] = str(error)
    others = {name: why for name, why in said.items() if why != "native"}
    assert set(others) == {"fashion-autoencoder", "fashion-autoencoder-sound"}, others
    assert all("it has the losses" in why for why in others.values())


def test_a_compiled_step_cannot_be_asked_for():
    from classlab.training.fast.native.decision import decide

    experiment = load("digits-quick", ["training.compile=true"])
    model = squeeze.build((1, 8, 8), 10)
    with pytest.raises(UserError, match=r"there is no compiled step any more; set training\.native=auto"):
        decide(Settings("cpu", "fp32", True, 1), experiment, model, (1, 8, 8), 1000, 1000)

"""The compiled step against the eager one, and what cannot be compiled."""

import numpy as np
import pytest
import torch
from torch import nn

from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.lookup import trusting
from classlab.runs.preparation import place_model, place_splits, prepare
from classlab.training.fast.functional import NotFunctionalError, take_apart
from classlab.training.settings import Settings, has_compiler
from classlab.training.train import Epoch, train_network

RANDOM = np.random.default_rng(0)
COLOUR = (RANDOM.integers(0, 256, (400, 3, 32, 32), dtype=np.uint8), np.arange(400) % 10)
GREY = (RANDOM.integers(0, 256, (90, 1, 12, 12), dtype=np.uint8), np.arange(90) % 3)
LENET = {"name": "convnet", "filters": [6, 16], "kernel": 5, "pool_after": [1, 2], "widths": [120, 84]}
PADDED = {"name": "convnet", "filters": [4, 6], "kernel": 3, "padding": 1, "pool_after": [2], "widths": [8]}


def epochs(*arguments):
    """The epochs of a training, without its single steps."""
    return [happened for happened in train_network(*arguments) if isinstance(happened, Epoch)]


class Small(nn.Module):
    """Batch norm, both kinds of dropout and a layer used twice. (A bias before the norm would learn rounding.)"""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Dropout(0.3)
        self.second, self.features = nn.Conv2d(6, 6, 3, padding=1), nn.Dropout2d(0.2)
        self.last = nn.Linear(6, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = self.drop(self.norm(self.first(images)).relu())
        seen = self.features(self.second(self.second(seen).relu())).mean((2, 3))
        return self.last(seen)


def experiment(model=None, data=None, **training) -> Experiment:
    plan = {"epochs": 1, "batch_size": 4, "optimizer": {"name": "sgd", "learning_rate": 0.001, "momentum": 0.9}}
    plan |= {"compile": False, "precision": "fp64"} | training
    fields = {"name": "t", "data": {"dataset": "digits", **(data or {})}, "model": model or LENET, "training": plan}
    with trusting():
        return Experiment.model_validate({**fields, "protocol": {"validate_on": "test"}})


def settings(plan: Experiment, compiled: bool = False) -> Settings:
    return Settings("cpu", plan.training.precision, True, 1, compiled)


def placed(plan: Experiment, seed: int, arrays, model=None, compiled: bool = False):
    given = {"data": arrays} | ({"model": model} if model is not None else {})
    ready = prepare(plan, seed, given, (arrays[0][:40], arrays[1][:40]))
    return place_splits(ready, settings(plan)), place_model(ready.model, settings(plan, compiled))


def alone(plan: Experiment, seed: int, arrays, model=None, compiled: bool = False):
    splits, network = placed(plan, seed, arrays, model, compiled)
    return list(epochs(network, splits, plan, seed, settings(plan, compiled)))


def difference(one: dict, other: dict) -> float:
    """Return the largest difference of two states, relative to the largest value of each tensor."""
    assert one.keys() == other.keys()
    return max(
        float((one[name].double() - other[name].double()).abs().max() / (other[name].double().abs().max() + 1e-30))
        for name in one
        if torch.isfinite(other[name].double()).all()
    )


class OwnRandomness(nn.Module):
    """Noise that no mask stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(144, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last((images + torch.randn_like(images)).flatten(1))


class Counts(OwnRandomness):
    """A buffer of its own that changes while training."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return self.last(images.flatten(1))


class NormTwice(nn.Module):
    """A batch norm that is used twice: each use changes the running statistics that the one before left."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.norm(self.first(images)).relu()).mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (OwnRandomness, "it draws random numbers of its own"),
        (Counts, "it changes its buffer seen while training"),
        (NormTwice, "the batch norm norm is used twice"),
    ],
)
def test_a_network_that_is_no_pure_function_is_told_apart(network, reason):
    with pytest.raises(NotFunctionalError, match=reason):
        take_apart(network(), torch.rand(4, 1, 12, 12))


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
def test_the_compiled_step_of_single_images_equals_the_eager_one():
    for model, images, loss in ((PADDED, GREY, "cross_entropy"), (LENET, COLOUR, "mse")):
        arrays = (images[0][:30], images[1][:30])
        plan = experiment(model, batch_size=1, loss=loss)
        (compiled,), (eager,) = alone(plan, 0, arrays, compiled=True), alone(plan, 0, arrays)
        assert difference(compiled.state, eager.state) < 1e-9


class Odd(nn.Module):
    """Convolutions that are no convolution of one image in two dimensions, though one image is given."""

    def __init__(self):
        super().__init__()
        self.across, self.along, self.last = nn.Conv2d(1, 2, 3), nn.Conv1d(2, 3, 5), nn.Linear(228, 3)

    def forward(self, images):
        halves = self.across(images.reshape(-1, 1, 6, 12)).reshape(len(images), 2, -1)
        return self.last(self.along(halves).flatten(1))


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
def test_single_images_may_go_through_any_convolution_in_a_compiled_step():
    arrays, plan = (GREY[0][:20], GREY[1][:20]), experiment(batch_size=1, epochs=1)
    (compiled,), (eager,) = alone(plan, 0, arrays, Odd, compiled=True), alone(plan, 0, arrays, Odd)
    assert difference(compiled.state, eager.state) < 1e-9


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
def test_a_compiled_step_knows_noisy_images_from_clean_ones():
    plan = experiment(
        {"name": "autoencoder", "widths": [16]},
        {"augmentations": [{"name": "uniform_noise", "high": 0.5}]},
        loss={"name": "reconstruction", "denoise": True},
        epochs=2,
    )
    (*_, compiled), (*_, eager) = (alone(plan, 0, GREY, compiled=one) for one in (True, False))
    assert difference(compiled.state, eager.state) < 1e-9


HARDEST = """
import torch.nn.functional as F

def hardest(outputs, targets):
    wrong = outputs.argmax(1) != targets
    return F.cross_entropy(outputs[wrong], targets[wrong]) if wrong.any() else outputs.square().mean()
"""


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("why", ["a loss that looks at its numbers", "headers that lack", "a batch norm used twice"])
def test_what_cannot_be_compiled_is_told_and_trained_eagerly_to_the_same_bits(
    why, optimizer, tmp_path, monkeypatch, capsys
):
    network, options, told = Small, {}, "the step is not compiled: "
    if why == "headers that lack":

        def fails(*_, **__):
            raise RuntimeError("C++ compile error\n\nx.cpp:1:10: fatal error: Python.h: No such file or directory")

        monkeypatch.setattr("torch._inductor.compile", fails)
        told += "x.cpp:1:10: fatal error: Python.h: No such file"
    elif why == "a batch norm used twice":
        network = NormTwice
        told += "the batch norm norm is used twice"
    else:
        (tmp_path / "own.py").write_text(HARDEST)
        options["loss"] = f"{tmp_path}/own.py:hardest"
    rates = {"name": optimizer, "learning_rate": 0.01} | ({"momentum": 0.9} if optimizer == "sgd" else {})
    plan = experiment(compile="auto", optimizer=rates, epochs=2, **options)
    eager = alone(plan, 0, GREY, network)
    assert "not compiled" not in capsys.readouterr().err
    fallen_back = alone(plan, 0, GREY, network, compiled=True)
    assert told in capsys.readouterr().err
    assert not fallen_back[0].settings.compiled
    for one, other in zip(fallen_back, eager, strict=True):
        assert one.row["train_loss"] == other.row["train_loss"]
        assert one.state.keys() == other.state.keys()
        assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    asked_for = experiment(compile=True, optimizer=rates, epochs=2, **options)
    with pytest.raises(UserError, match=r"^the step cannot be compiled: .*; set training.compile=false"):
        alone(asked_for, 0, GREY, network, compiled=True)


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
@pytest.mark.parametrize(("precision", "tolerance"), [("fp64", 1e-9), ("fp32", 1e-4)])
def test_the_compiled_step_equals_the_eager_one(precision, tolerance):
    for model, optimizer in ((Small, "adamw"), (None, "sgd")):
        arrays = (COLOUR[0][:202], COLOUR[1][:202]) if model is None else GREY
        plan = experiment(precision=precision, optimizer={"name": optimizer, "learning_rate": 0.003}, epochs=1)
        (compiled,), (eager,) = alone(plan, 0, arrays, model, compiled=True), alone(plan, 0, arrays, model)
        assert difference(compiled.state, eager.state) < tolerance
        assert compiled.row["train_loss"] == pytest.approx(eager.row["train_loss"], rel=tolerance)
        assert compiled.row["train_accuracy"] == eager.row["train_accuracy"]

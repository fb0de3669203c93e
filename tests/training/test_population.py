"""A population against its runs one by one, and the compiled step against the eager one."""

import numpy as np
import pytest
import torch
from torch import nn

from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.lookup import trusting
from classlab.runs.preparation import place_model, place_splits, prepare
from classlab.training.fast.functional import NotFunctionalError, take_apart
from classlab.training.population import Member, train_population
from classlab.training.settings import Settings, has_compiler
from classlab.training.train import train

RANDOM = np.random.default_rng(0)
COLOUR = (RANDOM.integers(0, 256, (400, 3, 32, 32), dtype=np.uint8), np.arange(400) % 10)
GREY = (RANDOM.integers(0, 256, (90, 1, 12, 12), dtype=np.uint8), np.arange(90) % 3)
LENET = {"name": "convnet", "filters": [6, 16], "kernel": 5, "pool_after": [1, 2], "widths": [120, 84]}
PADDED = {"name": "convnet", "filters": [4, 6], "kernel": 3, "padding": 1, "pool_after": [2], "widths": [8]}
EPOCHS = {"cifar": 1, "grey": 2}


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
    return list(train(network, splits, plan, seed, settings(plan, compiled)))


def together(plans, seeds, arrays, model=None, states=None):
    made = [placed(plan, seed, arrays, model) for plan, seed in zip(plans, seeds, strict=True)]
    members = [Member(plan, seed, m[1]) for plan, seed, m in zip(plans, seeds, made, strict=True)]
    epochs = list(train_population(members, made[0][0], settings(plans[0]), states))
    return [[epoch[place] for epoch in epochs if epoch[place] is not None] for place in range(len(plans))]


def difference(one: dict, other: dict) -> float:
    """Return the largest difference of two states, relative to the largest value of each tensor."""
    assert one.keys() == other.keys()
    return max(
        float((one[name].double() - other[name].double()).abs().max() / (other[name].double().abs().max() + 1e-30))
        for name in one
        if torch.isfinite(other[name].double()).all()
    )


def sgd(rate: float, momentum: float = 0.9, weight_decay: float = 0.0) -> dict:
    return {"name": "sgd", "learning_rate": rate, "momentum": momentum, "weight_decay": weight_decay}


@pytest.mark.parametrize(("precision", "images", "tolerance"), [("fp64", 400, 1e-9), ("fp32", 80, 1e-4)])
def test_8_seeds_of_4_rates_of_lenet_at_batch_4_equal_their_separate_runs(precision, images, tolerance):
    arrays = (COLOUR[0][:images], COLOUR[1][:images])
    plans = [
        experiment(precision=precision, optimizer=sgd(rate)) for rate in (0.02, 0.01, 0.001, 1e-4) for _ in range(8)
    ]
    seeds = [*range(8)] * 4
    for member, (plan, seed) in zip(together(plans, seeds, arrays), zip(plans, seeds, strict=True), strict=True):
        (epoch,), (single,) = member, alone(plan, seed, arrays)
        assert difference(epoch.state, single.state) < tolerance
        assert epoch.row["test_accuracy"] == pytest.approx(single.row["test_accuracy"], abs=0.026)
        assert epoch.row["train_loss"] == pytest.approx(single.row["train_loss"], rel=tolerance)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_batch_norm_dropout_augmentation_and_the_members_own_rates_equal_their_separate_runs(optimizer):
    rates = [(0.01, 0.0, 0.9), (0.03, 0.01, 0.5), (0.002, 0.1, 0.0)]
    plans = []
    for rate, decay, momentum in rates:
        choice = {"name": optimizer, "learning_rate": rate, "weight_decay": decay}
        choice |= {"momentum": momentum} if optimizer == "sgd" else {}
        augmentations = [{"name": "rotate", "degrees": 10}, {"name": "horizontal_flip"}]
        plans.append(experiment(data={"augmentations": augmentations}, optimizer=choice, epochs=2, batch_size=8,
                                schedule="one_cycle"))  # fmt: skip
    members = together(plans, [3, 4, 5], GREY, Small)
    for member, plan, seed in zip(members, plans, [3, 4, 5], strict=True):
        for epoch, single in zip(member, alone(plan, seed, GREY, Small), strict=True):
            shared = {name: value for name, value in epoch.state.items() if name in single.state}
            assert difference(shared, single.state) < 1e-9
            assert epoch.row["test_accuracy"] == single.row["test_accuracy"]


def test_a_member_that_diverges_changes_no_bit_of_the_others_and_ends_after_its_epoch():
    def plans(last):
        return [experiment(precision="fp32", epochs=2, optimizer=sgd(rate)) for rate in (0.01, 0.001, last)]

    arrays = (COLOUR[0][:60], COLOUR[1][:60])
    wild, harmless = (together(plans(last), [0, 1, 2], arrays) for last in (1e30, 0.01))
    assert not np.isfinite(wild[2][-1].row["train_loss"]) and len(wild[2]) == 1
    for place in (0, 1):
        for one, other in zip(wild[place], harmless[place], strict=True):
            assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)


def test_a_population_goes_on_from_its_states_bit_for_bit():
    plans = [experiment(precision="fp32", epochs=3, optimizer=sgd(rate)) for rate in (0.01, 0.001)]
    arrays = (COLOUR[0][:62], COLOUR[1][:62])
    whole = together(plans, [0, 1], arrays)
    rest = together(plans, [0, 1], arrays, states=[member[0].state for member in whole])
    for one, other in zip(whole, rest, strict=True):
        assert [epoch.row["epoch"] for epoch in other] == [2, 3]
        assert all(torch.equal(one[-1].state[name], other[-1].state[name]) for name in one[-1].state)


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
        (OwnRandomness, "random|vmap"),
        (Counts, "changes its buffer seen|vmap"),
        (NormTwice, "the batch norm norm is used twice"),
    ],
)
def test_a_network_that_is_no_pure_function_is_told_apart(network, reason):
    with pytest.raises(NotFunctionalError, match=reason):
        take_apart(network(), torch.rand(4, 1, 12, 12))


def test_a_loss_that_looks_at_its_numbers_is_told_apart():
    def looks(outputs, targets, **_):
        return outputs.mean() if outputs.sum() > 0 else outputs.square().mean()

    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    with pytest.raises(NotFunctionalError, match="vmap"):
        take_apart(network, torch.rand(4, 1, 12, 12), looks)


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

"""The loop against plain PyTorch, and the pieces that decide its bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from classlab.experiment import Training, load
from classlab.runs.preparation import place_splits, prepare
from classlab.training.fast import cores, machine
from classlab.training.random import generator, number
from classlab.training.schedules import one_cycle
from classlab.training.settings import Settings, choose, isolated
from classlab.training.train import Epoch, train_network

FP32 = Settings("cpu", "fp32", False, 1)


def epochs(*arguments):
    """The epochs of a training, without its single steps."""
    return [happened for happened in train_network(*arguments) if isinstance(happened, Epoch)]


@pytest.mark.parametrize(
    ("optimizer", "plain"),
    [
        (
            {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
            lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True, weight_decay=1e-3),
        ),
        ({"name": "adam", "learning_rate": 1e-2}, lambda p: torch.optim.Adam(p, 1e-2)),
        ({"name": "adamw", "learning_rate": 1e-2}, lambda p: torch.optim.AdamW(p, 1e-2)),
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_the_loop_equals_plain_pytorch(optimizer, plain):
    changes = ["data.augmentations=[]", "training.epochs=1", "protocol.validate_on=none", "contract={}"]
    experiment = load("digits-quick", changes)
    fields = experiment.model_dump(mode="json")
    fields["training"]["optimizer"] = optimizer
    experiment = load(fields)
    prepared = prepare(experiment, seed=5, given={}, test=None)
    splits = place_splits(prepared, FP32)
    reference = prepare(experiment, seed=5, given={}, test=None).model.train()
    rows = [epoch.row for epoch in epochs(prepared.model, splits, experiment, 5, FP32)]

    images = (splits["train"].pixels.float() / 255 - splits["train"].mean) / splits["train"].std
    labels, steps = splits["train"].labels, -(-len(splits["train"]) // 64)
    stepper = plain(reference.parameters())
    rates = torch.optim.lr_scheduler.OneCycleLR(
        stepper, stepper.param_groups[0]["lr"], total_steps=steps, pct_start=0.2, cycle_momentum=False
    )
    for epoch in range(1, 2):
        total = 0.0
        for index in torch.randperm(len(labels), generator=generator(5, epoch, "shuffle")).split(64):
            loss = nn.functional.cross_entropy(reference(images[index]), labels[index])
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            rates.step()
            total += loss.item() * len(index)
        assert rows[epoch - 1]["train_loss"] == pytest.approx(total / len(labels), rel=1e-5)
    for ours, theirs in zip(prepared.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_one_cycle_equals_torch_s():
    model = nn.Linear(1, 1)
    stepper = torch.optim.SGD(model.parameters(), 0.3)
    rates = torch.optim.lr_scheduler.OneCycleLR(stepper, 0.3, total_steps=57, pct_start=0.25, cycle_momentum=False)
    for step in range(57):
        assert 0.3 * one_cycle(step, 57, 1, warmup_percent=25.0) == pytest.approx(
            stepper.param_groups[0]["lr"], rel=1e-9
        )
        stepper.step()
        if step < 56:
            rates.step()


def test_randomness_depends_on_seed_epoch_and_purpose_only():
    drawn = {
        (seed, epoch, purpose): tuple(torch.rand(3, generator=generator(seed, epoch, purpose)).tolist())
        for seed in range(3)
        for epoch in range(3)
        for purpose in ("shuffle", "augment")
    }
    assert len(set(drawn.values())) == len(drawn)
    assert number(1, 2, "shuffle") == number(1, 2, "shuffle") < 2**63


def test_isolated_work_leaves_the_session_as_it_was():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with isolated(FP32):
        torch.rand(5)
        assert torch.get_num_threads() == 1
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads


def plan(batch_size: int, epochs: int = 1, **options: object) -> Training:
    return Training(batch_size=batch_size, epochs=epochs, optimizer={"name": "sgd", "learning_rate": 0.1}, **options)


def test_small_steps_take_one_thread_and_bf16_only_large_ones(monkeypatch):
    monkeypatch.setattr("classlab.training.settings.has_bf16", lambda device: True)
    measured = replace(machine.cached(), conv_bf16_ratio=1.5, bf16_gflops=900.0, fp32_gflops=200.0, load=500.0)
    monkeypatch.setattr(machine, "cached", lambda device: measured)
    convolution, linear = nn.Conv2d(1, 4, 3), nn.Linear(4, 4)
    assert choose("cpu", plan(64), linear, 50_000).threads == 1
    assert choose("cpu", plan(64), linear, None).threads == torch.get_num_threads()
    assert choose("cpu", plan(64), linear, 50_000, threads=2).threads == 2
    assert choose("cpu", plan(4), convolution, 10**9).precision == "fp32"
    assert choose("cpu", plan(512), convolution, 1000).precision == "bf16"
    assert choose("cpu", plan(512), linear, 1_000_000).precision == "bf16"
    assert choose("cpu", plan(512), linear, 1000).precision == "fp32"
    assert choose("cpu", plan(512), linear, None).precision == "fp32"
    slower = replace(measured, conv_bf16_ratio=0.9, bf16_gflops=300.0, work_for_threads=10**12, load=0.0)
    monkeypatch.setattr(machine, "cached", lambda device: slower)
    assert choose("cpu", plan(512), convolution, 1000).precision == "fp32"
    assert choose("cpu", plan(512), linear, 1_000_000).precision == "fp32"
    assert choose("cpu", plan(512), convolution, 1_000_000).threads == 1
    assert choose("cpu", plan(4, precision="bf16"), linear, 10**9).precision == "bf16"


def test_on_two_cores_a_network_without_convolutions_leaves_one_to_the_loader_for_longer(monkeypatch):
    measured = replace(machine.cached(), work_for_threads=20_000_000, load=0.0)
    monkeypatch.setattr(machine, "cached", lambda device: measured)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    for count, expected in ((2, [1, 1, 2]), (4, [1, 2, 2])):
        monkeypatch.setattr("classlab.training.settings.cores", lambda count=count: count)
        works = (190_000, 210_000, 810_000)  # multiply-adds of one of 100 images
        assert [choose("cpu", plan(100), nn.Linear(4, 4), work).threads for work in works] == expected
        assert choose("cpu", plan(100), nn.Conv2d(1, 4, 3), 210_000).threads == 2


def test_an_epoch_sees_every_image_once():
    seen = []

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, images):
            if self.training:
                seen.append(images.detach())
            return self.linear(images.flatten(1))

    experiment = load("digits-quick", ["data.augmentations=[]", "training.epochs=1", "contract={}"])
    prepared = prepare(experiment, 0, {"model": Counting()}, None)
    seen.clear()
    list(epochs(prepared.model, place_splits(prepared, FP32), experiment, 0, FP32))
    met = torch.cat(seen).flatten(1).numpy()
    images = place_splits(prepared, FP32)["train"]
    all_images = ((images.pixels.float() / 255 - images.mean) / images.std).flatten(1).numpy()
    assert np.sort(met.sum(1)) == pytest.approx(np.sort(all_images.sum(1)), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("running", ["1", "7"])
def test_images_prepared_ahead_are_the_same_images(running, monkeypatch, tmp_path):
    load_file = tmp_path / "loadavg"
    load_file.write_text(f"0.1 0.1 0.1 {running}/200 1234")
    monkeypatch.setattr(cores, "LOAD", load_file)
    monkeypatch.setattr(cores, "cores", lambda: 2)
    assert cores.has_idle_core(1) == (running == "1")
    assert not cores.has_idle_core(2)
    experiment = load("digits-quick", ["training.epochs=2", "contract={}"])
    prepared = prepare(experiment, 0, {}, None)
    (*_, last) = epochs(prepared.model, place_splits(prepared, FP32), experiment, 0, FP32)
    monkeypatch.setattr(cores, "LOAD", tmp_path / "nowhere")
    assert not cores.has_idle_core(1)
    prepared = prepare(experiment, 0, {}, None)
    (*_, alone) = epochs(prepared.model, place_splits(prepared, FP32), experiment, 0, FP32)
    assert all(torch.equal(value, alone.state[name]) for name, value in last.state.items())

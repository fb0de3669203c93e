"""Mixing: images and shares against their formulas, the loss against soft labels, resume, and what refuses it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import classlab as cl
from classlab import lookup
from classlab.experiment import load
from classlab.runs import execute
from classlab.runs.events import EpochDone
from classlab.training import choices, losses, mixings
from classlab.training.mixings import MixedLabels

PLAN = {
    "name": "mixed",
    "data": {"dataset": "digits", "max_per_class": 30, "val_size": 50},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 2, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.003}},
}
IMAGES = torch.rand(6, 2, 9, 11, generator=torch.Generator().manual_seed(1))
OTHERS = IMAGES.flip(0)


def test_mixup_is_the_weighted_mean_and_its_share_of_a_beta():
    shares = []
    for seed in range(400):
        mixed, share = mixings.mixup(IMAGES, OTHERS, np.random.default_rng(seed), alpha=0.4)
        torch.testing.assert_close(mixed, share * IMAGES + (1 - share) * OTHERS)
        shares.append(share)
    drawn = np.random.default_rng(1).beta(0.4, 0.4, 100_000)
    assert min(shares) >= 0.5 and np.mean(shares) == pytest.approx(np.maximum(drawn, 1 - drawn).mean(), abs=0.02)


def test_cutmix_puts_a_rectangle_in_and_its_share_is_what_is_left():
    for seed in range(100):
        mixed, share = mixings.cutmix(IMAGES, OTHERS, np.random.default_rng(seed))
        replaced = (mixed != IMAGES).any(1).any(0)
        rows, columns = replaced.any(1).nonzero(), replaced.any(0).nonzero()
        area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1) if len(rows) else 0
        assert share == pytest.approx(1 - int(area) / 99) and share >= 0.5
        assert torch.equal(mixed[:, :, replaced], OTHERS[:, :, replaced])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_soft_labels(smoothing):
    outputs = torch.randn(5, 4, dtype=torch.float64)
    first, second, share = torch.randint(4, (5,)), torch.randint(4, (5,)), 0.7
    soft = share * F.one_hot(first, 4) + (1 - share) * F.one_hot(second, 4).double()
    weighted = choices.of_both(lambda outputs, targets, **_: losses.cross_entropy(outputs, targets, smoothing))
    found = weighted(outputs=outputs, targets=MixedLabels(first, second, share), inputs=None, clean=None)
    torch.testing.assert_close(found, F.cross_entropy(outputs, soft, label_smoothing=smoothing))


@pytest.mark.parametrize("name", lookup.names("mixing"))
def test_a_run_mixes_and_goes_on_after_a_stop_with_the_same_bytes(name, tmp_path):
    plan = load(PLAN, [f"training.mixing={name}"])
    whole = cl.train(plan, out=tmp_path / "whole", verbose=False)
    plain = cl.train(PLAN, out=tmp_path / "plain", verbose=False)
    assert whole.history["train_loss"].iloc[0] > plain.history["train_loss"].iloc[0]

    again = tmp_path / "again"
    happenings = execute.events(execute.ask(plan, seed=0, out=again))
    next(happening for happening in happenings if isinstance(happening, EpochDone))
    happenings.close()  # stopped after its first epoch
    resumed = cl.train(plan, out=again, resume=True, verbose=False)
    assert (resumed.path / "last.safetensors").read_bytes() == (whole.path / "last.safetensors").read_bytes()
    assert "Mixing" in whole.report(out=tmp_path / "report.html").read_text()


def test_the_native_step_does_not_mix(tmp_path):
    with pytest.raises(cl.UserError, match=r"it does not have training.mixing"):
        cl.train(load(PLAN, ["training.mixing=mixup", "training.native=true"]), out=tmp_path, verbose=False)


def test_a_reconstruction_has_no_labels_to_mix(tmp_path):
    fields = {**PLAN, "model": {"name": "autoencoder", "widths": [16, 4]}}
    plan = load(fields, ["training.mixing=mixup", "training.loss=reconstruction"])
    with pytest.raises(cl.UserError, match=r"training.mixing mixes labels, and the loss reconstruction has none"):
        cl.train(plan, out=tmp_path, verbose=False)

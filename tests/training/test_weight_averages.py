"""Averages of weights, Lookahead, clipping, the L1 penalty, Muon and the one cycle against plain PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

import classlab as cl
from classlab.data.augment import bind
from classlab.experiment import load
from classlab.runs import execute, store
from classlab.runs.events import EpochDone
from classlab.runs.preparation import place_splits, prepare
from classlab.training import choices, optimizers, schedules
from classlab.training.orthogonal_steps import orthogonal
from classlab.training.random import generator
from classlab.training.settings import Settings
from classlab.training.train import Epoch, train_network

FP32 = Settings("cpu", "fp32", False, 1)
SMALL = {
    "name": "small",
    "data": {"dataset": "digits", "max_per_class": 12, "max_test_per_class": 3, "val_size": 20},
    "model": {"name": "squeeze", "width": 4},
    "training": {
        "epochs": 3, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    },
}  # fmt: skip


def plain(changes, every_step=lambda model, step: None, penalty=None, longest=None):
    """Yield our state and a model trained by hand, in plain PyTorch, after each epoch."""
    experiment = load({**SMALL, "training": {**SMALL["training"], **changes}})
    prepared = prepare(experiment, 0, {}, None)
    splits = place_splits(prepared, FP32)
    reference = prepare(experiment, 0, {}, None).model.train()
    images, step = splits["train"], 0
    optimizer = torch.optim.SGD(reference.parameters(), 0.1, 0.9)
    for happened in train_network(prepared.model, splits, experiment, 0, FP32):
        if not isinstance(happened, Epoch):
            continue
        order = torch.randperm(len(images), generator=generator(0, int(happened.row["epoch"]), "shuffle"))
        batches = list(images.batches(order, 32, bind([]), torch.Generator(), torch.contiguous_format))
        for inputs, _, labels in batches:
            step += 1
            loss = nn.functional.cross_entropy(reference(inputs), labels)
            if penalty:
                loss = loss + penalty * sum(weight.abs().sum() for weight in reference.parameters())
            optimizer.zero_grad()
            loss.backward()
            if longest:
                norm = sum((weight.grad**2).sum() for weight in reference.parameters()).sqrt()
                for weight in reference.parameters():
                    weight.grad *= min(1.0, longest / norm)
            optimizer.step()
            every_step(reference, step)
        yield happened, reference, [inputs for inputs, _, _ in batches]


def same(state, prefix, expected):
    for name, value in expected.items():
        if name.endswith("num_batches_tracked"):  # a count, of which torch takes a mean in whole numbers
            continue
        torch.testing.assert_close(state[prefix + name], value, rtol=2e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize(("changes", "by_hand"), [
    ({"l1_penalty": 1e-3}, {"penalty": 1e-3}),
    ({"max_gradient_norm": 0.3}, {"longest": 0.3}),
])  # fmt: skip
def test_penalty_and_clipping_equal_plain_pytorch(changes, by_hand):
    for epoch, reference, _ in plain(changes, **by_hand):
        same(epoch.state, "model.", reference.state_dict())


def test_the_moving_average_is_torch_s_and_is_what_a_state_holds():
    means = []

    def move(model, step):
        if not means:
            means.append(AveragedModel(first, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True))
            means[0].update_parameters(first)  # torch's copies the weights the first time; ours begins with the first
        means[0].update_parameters(model)

    first = prepare(load(SMALL), 0, {}, None).model
    for epoch, reference, _ in plain({"averages": {"ema_decay": 0.9}}, move):
        same(epoch.state, "model.", means[0].module.state_dict())
        same(epoch.state, "trained.", reference.state_dict())


def test_the_mean_over_epochs_is_torch_s_with_statistics_of_its_own():
    mean = None
    for epoch, reference, batches in plain({"averages": {"swa_from_epoch": 2}}):
        if epoch.row["epoch"] == 1:
            same(epoch.state, "model.", reference.state_dict())
            assert not any(name.startswith("trained.") for name in epoch.state)
            continue
        mean = mean or AveragedModel(reference)
        mean.update_parameters(reference)
        update_bn(batches, mean)
        same(epoch.state, "model.", mean.module.state_dict())


def test_lookahead_by_its_definition():
    slow = {}

    def ahead(model, step):
        if step % 3 == 0:
            for name, weight in model.named_parameters():
                slow[name] = slow[name] + 0.4 * (weight.detach() - slow[name])
                weight.data.copy_(slow[name])

    slow |= {
        name: weight.detach().clone() for name, weight in prepare(load(SMALL), 0, {}, None).model.named_parameters()
    }
    for epoch, reference, _ in plain({"lookahead": {"every_steps": 3, "share": 0.4}}, ahead):
        same(epoch.state, "model.", reference.state_dict())
        same(epoch.state, "slow.", slow)


EVERYTHING = {
    "lookahead": {"every_steps": 4}, "l1_penalty": 1e-5, "max_gradient_norm": 1.0, "warmup_epochs": 0.5,
    "schedule": {"name": "one_cycle", "peak_epoch": 1, "min_momentum": 0.8, "max_momentum": 0.9},
}  # fmt: skip


@pytest.mark.parametrize("changes", [
    {**EVERYTHING, "averages": {"ema_decay": 0.9}}, {**EVERYTHING, "averages": {"swa_from_epoch": 2}},
    {"optimizer": {"name": "muon"}},
])  # fmt: skip
def test_a_run_that_was_cut_off_goes_on_to_the_same_bytes(tmp_path, changes):
    fields = {**SMALL, "training": {**SMALL["training"], **changes}}
    whole = cl.train(fields, out=tmp_path / "whole", verbose=False)
    asked = execute.ask(fields, out=tmp_path / "cut")
    happening = execute.events(asked)
    for event in happening:
        if isinstance(event, EpochDone) and event.row["epoch"] == 2:
            happening.close()
    again = cl.train(fields, out=tmp_path / "cut", resume=True, verbose=False)
    assert again.path == asked.path and "begins at epoch 3" in (again.path / store.LOG).read_text()
    for name in (store.LAST, store.WEIGHTS, store.PREDICTIONS):
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes(), name


def test_a_state_without_the_trained_weights_is_refused(tmp_path):
    fields = {**SMALL, "training": {**SMALL["training"], "averages": {"ema_decay": 0.9}, "lookahead": {}}}
    run = cl.train(fields, out=tmp_path, verbose=False)
    state, about = store.read_checkpoint(run.path / store.LAST), store.read_about(run.path / store.LAST)
    (run.path / store.SUMMARY).unlink()
    for prefix in ("trained", "slow"):
        kept = {name: value for name, value in state.items() if name != f"{prefix}.conv1.weight"}
        store.write_checkpoint(run.path / store.LAST, kept, about)
        with pytest.raises(cl.UserError, match=rf"its {prefix}\.\* are not this network's weights"):
            cl.train(fields, out=tmp_path, resume=True, verbose=False)


def test_muon_is_torch_s_for_matrices_and_adamw_for_the_rest():
    torch.manual_seed(0)
    shapes = [(6, 2, 3, 3), (6,), (4, 6), (3, 4), (3,)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [
        nn.Parameter(weight.detach().flatten(1) if weight.ndim > 2 else weight.detach().clone()) for weight in ours
    ]
    mine = optimizers.muon(ours, 0.02, 0.9, True, 0.1, 0.003)
    matrices = torch.optim.Muon([theirs[0], theirs[2]], 0.02, weight_decay=0.1, momentum=0.9)
    rest = torch.optim.AdamW([theirs[1], theirs[3], theirs[4]], 0.003, weight_decay=0.1)
    for _ in range(4):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape)
            other.grad = own.grad.view(other.shape).clone()
        for optimizer in (mine, matrices, rest):
            optimizer.step()
    for place, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        tolerance = 4e-3 if place in (0, 2) else 1e-6  # torch makes its steps orthogonal in bf16
        assert torch.allclose(own.view(other.shape), other, atol=tolerance), place


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (4, 4)])
def test_steps_become_orthogonal(shape):
    torch.manual_seed(1)
    matrix = torch.randn(shape)
    left, _, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
    singular = np.linalg.svd(orthogonal(matrix).numpy(), compute_uv=False)
    assert singular.min() > 0.6 and singular.max() < 1.3
    assert (left.T @ orthogonal(matrix).numpy() @ right.T).diagonal().min() > 0.6


@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_one_cycle_with_its_momentum_equals_torch_s(shape, optimizer):
    made = {"sgd": lambda p: torch.optim.SGD(p, 0.3, 0.9), "adam": lambda p: torch.optim.Adam(p, 0.3)}[optimizer]
    ours, theirs = (made([nn.Parameter(torch.zeros(1))]) for _ in range(2))
    rates = torch.optim.lr_scheduler.OneCycleLR(
        theirs, 0.3, total_steps=40, pct_start=0.3, anneal_strategy="cos" if shape == "cosine" else shape
    )
    for step in range(40):
        factor, momentum = schedules.one_cycle(
            step, 40, 8, peak_epoch=1.5, shape=shape, min_momentum=0.85, max_momentum=0.95
        )
        choices.set_rates(ours, [0.3], factor, momentum)
        for key in ("lr", "momentum", "betas"):
            assert ours.param_groups[0].get(key, 0) == pytest.approx(theirs.param_groups[0].get(key, 0), rel=1e-9)
        theirs.step()
        if step < 39:
            rates.step()


def test_a_warm_up_goes_before_any_schedule():
    fields = {**SMALL["training"], "schedule": "cosine", "warmup_epochs": 1.5}
    warm = choices.schedule(load({**SMALL, "training": fields}).training)
    for step in range(30):
        factor = schedules.cosine(step, 30) * min(1, (step + 1) / 16)
        assert warm(step, 30, 10, ()) == (pytest.approx(factor), None)


@pytest.mark.parametrize(("change", "sentence"), [
    ("training.averages={ema_decay: 0.9, swa_from_epoch: 1}", "exactly one of ema_decay and swa_from_epoch"),
    ("training.averages={swa_from_epoch: 9}", "swa_from_epoch must be at most epochs"),
    ("training.averages={ema: 0.9}", "ema_decay"),
    ("training.lookahead={share: 2}", "share"),
    ("training.schedule={name: one_cycle, peak_epoch: 9}", r"peak_epoch must be below epochs \(3\); got 9"),
    ("training.warmup_epochs=7", "warmup_epochs must be at most epochs"),
    ("training.l1_penalty=-1", "l1_penalty"),
    ("training.l1_penality=1", r"did you mean training\.l1_penalty"),
    ("training.max_gradient_norm=0", "max_gradient_norm"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(change, sentence):
    with pytest.raises(cl.UserError, match=sentence):
        load(SMALL, [change])


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"schedule": {"name": "one_cycle", "min_momentum": 0.9}}, "are given together, the lower first"),
    ({"schedule": {"name": "one_cycle", "min_momentum": 0.9, "max_momentum": 0.8}}, "given together, the lower first"),
    ({"schedule": {"name": "one_cycle", "min_momentum": 0.8, "max_momentum": 0.9},
      "optimizer": {"name": "sgd", "learning_rate": 0.1}}, "the optimizer has none"),
    ({"native": True, "l1_penalty": 1e-4}, "does not have training.l1_penalty"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused_in_a_sentence(tmp_path, changes, sentence):
    with pytest.raises(cl.UserError, match=sentence):
        cl.train({**SMALL, "training": {**SMALL["training"], **changes}}, out=tmp_path, verbose=False)

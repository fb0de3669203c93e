"""The native evaluation against the network in torch, for shipped and for generated networks."""

import copy

import pytest
import torch
from torch import nn

from classlab.runs.execute import train
from classlab.training.fast.native import library, step_source
from classlab.training.fast.native.native_evaluation import NativeEvaluation, evaluation_layout
from tests.training.native.test_native_step import SHIPPED, generated, laid_out

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="there is no C compiler")


def evaluation(network, shape, precision, threads=1):
    """The native evaluation of a network with statistics of its own, and the network."""
    model, step, *_ = laid_out(network, shape, precision=precision, threads=threads)
    random = torch.Generator().manual_seed(5)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.copy_(torch.randn(layer.running_mean.shape, generator=random))
            layer.running_var.copy_(torch.rand(layer.running_var.shape, generator=random) + 0.1)
            layer.weight.data.uniform_(-1, 2, generator=random)
            layer.bias.data.uniform_(-1, 1, generator=random)
    layout = evaluation_layout(step)
    found = NativeEvaluation(library.build(step_source.text(layout)), layout)
    found.take()
    return found, model.eval()


def difference(found, model, shape, count):
    random = torch.Generator().manual_seed(1)
    images = torch.randn(count, *shape, generator=random, dtype=found.memory.dtype)
    with torch.no_grad():
        expected = model(images)
    return ((found(images) - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("name", SHIPPED)
def test_outputs_are_torchs(name):
    network, shape = SHIPPED[name]
    for precision, least in (("fp64", 1e-12), ("fp32", 1e-5)):
        found, model = evaluation(network, shape, precision, threads=1 + (precision == "fp32"))
        for count in (1, 5, 47, 200):
            assert difference(found, model, shape, count) < least


@pytest.mark.parametrize("seed", range(8))
def test_outputs_of_generated_networks_are_torchs(seed):
    network, shape = generated(seed)[:2]
    assert difference(*evaluation(network, shape, "fp64", threads=2), shape, 33) < 1e-12


def test_it_takes_at_most_the_images_that_it_was_built_for():
    found, _ = evaluation(*SHIPPED["linear"], "fp32")
    with pytest.raises(ValueError, match="it is built for 1 to 200 images that lie in one block, got 201"):
        found(torch.zeros(201, 1, 8, 8))


def test_the_rows_of_a_run_are_what_torch_finds_in_its_weights(tmp_path):
    """Through the public face: the last row of metrics.csv against the weights that the run left."""
    plan = {"epochs": 2, "batch_size": 32, "optimizer": "adam", "loss": "cross_entropy", "native": True}
    fields = {
        "name": "evaluated", "data": {"dataset": "digits", "val_size": 300}, "model": "squeeze", "training": plan,
        "protocol": {"validate_on": "val", "test_each_epoch": True, "train_metrics": "re-evaluated"},
    }  # fmt: skip
    run = train(fields, out=tmp_path, verbose=False)
    assert run.environment["settings"]["native_evaluation"]
    model, last = run.model(), run.history.iloc[-1]
    for split in ("train", "val", "test"):
        images = run.images(split)
        with torch.no_grad():
            outputs = model(images.batch(slice(None), [], None)[0])
        assert last[f"{split}_accuracy"] == pytest.approx((outputs.argmax(1) == images.labels).double().mean().item())
        loss = nn.functional.cross_entropy(outputs, images.labels).item()
        assert last[f"{split}_loss"] == pytest.approx(loss, rel=1e-4)


def test_weights_are_those_of_the_last_take():
    found, model = evaluation(*SHIPPED["lenet"], "fp32")
    images = torch.randn(3, 3, 32, 32)
    before = found(images)
    changed = copy.deepcopy(model.state_dict())
    model.load_state_dict({name: value * 2 for name, value in changed.items()})
    assert torch.equal(found(images), before)
    found.take()
    assert not torch.equal(found(images), before)

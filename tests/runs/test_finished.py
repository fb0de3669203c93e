"""A finished run asked for its checkpoint, images, logits, probabilities and mistakes, compared with plain PyTorch."""

import numpy as np
import pytest
import torch

import classlab as cl
from classlab.errors import UserError

QUICK = {
    "name": "quick",
    "data": {
        "dataset": "digits",
        "val_size": 100,
        "expansion": [[], [{"name": "horizontal_flip", "probability": 1.0}]],
    },
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cl.train(QUICK, out=tmp_path_factory.mktemp("runs"), verbose=False)


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_probabilities_of_a_split_are_torch_s(run, name):
    pixels = run.dataset().test_images if name == "test" else run.dataset().images[run.split()[name]]
    mean, std = (torch.tensor(run.environment["normalise"][key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    values = torch.from_numpy(pixels).float()
    values = values / 255 if pixels.dtype == np.uint8 else values
    with torch.no_grad():
        logits = run.model()((values - mean) / std)
    np.testing.assert_allclose(run.logits(name), logits.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run.probabilities(name), logits.double().softmax(1).numpy(), rtol=1e-4, atol=1e-5)
    assert len(run.labels(name)) == len(logits)
    assert run.probabilities(name) is run.probabilities(name), "worked out once"


def test_mistakes_of_a_split_are_those_the_network_makes(run):
    for name in ("train", "val", "test"):
        wrong = run.logits(name).argmax(1) != run.labels(name)
        found = run.mistakes(10_000, name)
        assert sorted(found["index"]) == np.flatnonzero(wrong).tolist()
        assert found["confidence"].is_monotonic_decreasing


def test_copies_of_an_expanded_training_set_are_given_when_asked_for(run):
    images = len(run.split()["train"])
    assert len(run.images("train")) == images and len(run.images("train", copies=True)) == 2 * images
    assert len(run.images("val", copies=True)) == 100


def test_a_model_is_the_reader_s_to_change_and_the_shared_network_is_not(run):
    assert run.model() is not run.model()
    assert run.network is run.network
    with torch.no_grad():
        for parameter in run.model().parameters():
            parameter.zero_()
    assert any(parameter.any() for parameter in run.network.parameters())


def test_the_checkpoint_is_what_the_protocol_selects(run, tmp_path):
    assert run.checkpoint == run.path / "last.safetensors"
    best = cl.train({**QUICK, "protocol": {"select": "best"}}, out=tmp_path, verbose=False)
    assert best.checkpoint == best.path / "best.safetensors"
    (best.path / "best.safetensors").unlink()  # as for a run that diverged at once
    assert cl.load_run(best.path).checkpoint == best.path / "last.safetensors"


def test_what_the_reader_changes_in_place_stays_with_the_reader(run):
    logits, labels = run.predictions()
    right = run.probabilities().copy()
    logits[:], labels[:] = 0, 0
    run.split()["train"].clear()
    assert np.array_equal(run.probabilities(), right) and len(run.mistakes(10_000)) < 300
    assert len(run.images("train")) > 1000
    with pytest.raises(ValueError, match="read-only"):
        run.probabilities()[:] = 0


def test_a_split_that_does_not_exist_is_refused_with_a_suggestion(run):
    with pytest.raises(UserError, match=r"a split is train, val, test; got 'tests'.*did you mean test"):
        run.images("tests")


def test_what_train_and_load_run_return_can_report_and_predict(run):
    again = cl.load_run(run.path)
    assert type(again) is type(run) is cl.Run
    assert cl.train.__doc__ and "seed" in cl.train.__doc__

"""A run's network takes normalised images and says so; its weights are plain PyTorch's; a module can be given back."""

import copy
import io

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import classlab as cl
from classlab.errors import UserError

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "max_per_class": 40, "max_test_per_class": 10},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 3, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.01}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cl.train(QUICK, out=tmp_path_factory.mktemp("runs"), verbose=False)


def test_images_as_they_are_read_are_refused_and_normalised_ones_give_the_run_s_own_answers(run):
    data, network = run.dataset(), run.model()
    images = data.test_images
    for raw in (torch.from_numpy(images), torch.from_numpy(images).float() / 255):
        with pytest.raises(
            UserError, match=r"takes normalised images, and these lie in 0 … .* run.normalised\(images\)"
        ):
            network(raw)
    for given in (images, images.astype(np.float32) / 255, torch.from_numpy(images)[:, 0]):
        with torch.no_grad():
            right = network(run.normalised(given)).argmax(1).numpy() == data.test_labels
        assert right.sum() == run.summary["test_correct"]
    with pytest.raises(UserError, match=r"images must be uint8, or fractions from 0 to 1"):
        run.normalised(torch.randn(2, 1, 8, 8))
    with pytest.raises(UserError, match=r"images must be \(count, 1, 8, 8\); got \(2, 3, 8, 8\)"):
        run.normalised(torch.zeros(2, 3, 8, 8))


def test_a_look_at_the_images_is_in_nobody_s_way(run):
    network = run.model()
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 10)
    buffer = io.BytesIO()
    torch.save(copy.deepcopy(network), buffer)
    assert set(network.state_dict()) == set(run.network.state_dict())
    assert run.network(torch.rand(1, 1, 8, 8)).shape == (1, 10)


def test_the_weights_alone_load_in_plain_pytorch(run):
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    state = load_file(run.path / "weights.safetensors")
    assert list(state) == sorted(run.network.state_dict())
    plain.load_state_dict(
        dict(zip(plain.state_dict(), (state[name] for name in run.network.state_dict()), strict=True))
    )
    images = run.normalised(run.dataset().test_images)
    assert torch.equal(plain(images), run.network(images))


def test_a_module_given_in_python_can_be_given_back(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    made = cl.train(QUICK, model=net, out=tmp_path, verbose=False)
    with pytest.raises(UserError, match=r"give the module back with load_run\(path, model=…\)"):
        cl.load_run(made.path).model()
    images = made.normalised(made.dataset().test_images)
    expected = made.model()(images)
    for module in (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
    ):
        opened = cl.load_run(made.path, model=module)
        assert torch.equal(opened.model()(images), expected) and opened.layer_table.parameters == 650
        assert opened.report().is_file()
    with pytest.raises(UserError, match="holds the weights of another network"):
        cl.load_run(made.path, model=nn.Sequential(nn.Flatten(), nn.Linear(64, 12))).model()


def test_a_module_for_a_run_that_has_its_own_is_refused(run):
    with pytest.raises(UserError, match="was not made with a module given in Python: its own network is perceptron"):
        cl.load_run(run.path, model=nn.Linear(1, 1))

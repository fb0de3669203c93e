"""What a reader meets in the first week: mistakes with images, charts without a network, shared images, depthwise."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

import classlab as cl
from classlab.data.arrays import from_arrays
from classlab.experiment import Data
from classlab.runs.preparation import tell_of_shared
from classlab.training import settings
from classlab.training.fast import machine

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "max_per_class": 20, "max_test_per_class": 5},
    "model": {"name": "perceptron", "widths": [4]},
    "training": {"epochs": 1, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cl.train(QUICK, out=tmp_path_factory.mktemp("runs"), verbose=False)


def test_charts_show_themselves_without_a_network(run):
    chart = run.curves()
    drawn = chart._repr_mimebundle_()
    assert set(drawn) == {"text/html", "text/plain"} and "data:image/svg+xml;base64," in drawn["text/html"]
    assert chart.to_dict()["hconcat"]


def test_a_test_image_in_the_training_set_is_said(capsys):
    images = np.random.default_rng(0).integers(0, 255, (20, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(20) % 2
    tests = images[:4].copy()
    tests[[0, 2]] = 7
    plan = Data(dataset="digits")
    tell_of_shared(from_arrays((images, labels), (tests, labels[:4])), plan, is_given=True)
    said = capsys.readouterr().err
    assert "2 of the 4 test images of" in said and "(test image 1 is training image 1)" in said
    tell_of_shared(from_arrays((images, labels), (images[:4] + 1, labels[:4])), plan, is_given=True)
    tell_of_shared(cl.load_experiment(QUICK).data.dataset.call("dataset"), plan)
    assert capsys.readouterr().err == ""


def test_depthwise_networks_have_a_measurement_of_their_own(monkeypatch):
    measured = machine.Machine("cpu", "p", "t", 2, 100.0, 900.0, 30.0, 1.5, 0, 0.0, 1.0, "d", 0.5)
    monkeypatch.setattr(machine, "cached", lambda device="cpu", threads=None: measured)
    monkeypatch.setattr(settings, "has_bf16", lambda device: True)
    plan = cl.load_experiment({**QUICK, "training": {**QUICK["training"], "batch_size": 128}}).training
    plain, depthwise = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, groups=8)

    def precision(layer):
        return settings.choose("cpu", plan, nn.Sequential(layer), 10**9, threads=1).precision

    assert (precision(plain), precision(depthwise)) == ("bf16", "fp32")
    measured = replace(measured, depthwise_bf16_ratio=1.2)
    assert (precision(plain), precision(depthwise)) == ("bf16", "bf16")

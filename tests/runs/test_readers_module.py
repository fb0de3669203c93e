"""A module of the reader's own, with a branch and a shared layer: it trains, inspects, saves, and loads elsewhere."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import classlab as cl
from classlab.errors import UserError
from classlab.network.layer_table import layer_table

MODULE = """
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, classes, width=6):
        super().__init__()
        channels, height, side = input_shape
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.shared = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Linear(2 * width, classes)

    def forward(self, images):
        x = F.relu(self.first(images))
        y = F.relu(self.norm(self.shared(F.relu(self.shared(x)))))
        return self.last(torch.cat([x + y, y], dim=1).mean((2, 3)))
"""
LOAD = """
import sys, torch
import classlab as cl
run = cl.load_run(sys.argv[1], trust=True)
images = torch.linspace(-1, 1, 5 * 64).view(5, 1, 8, 8)
with torch.no_grad():
    sys.stdout.write(run.model()(images).numpy().tobytes().hex())
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    (folder / "mine.py").write_text(MODULE)
    return cl.train(
        {
            "name": "mine",
            "data": {"dataset": "digits"},
            "model": {"name": f"{folder}/mine.py:Net", "width": 8},
            "training": {"epochs": 6, "batch_size": 128, "optimizer": {"name": "adam", "learning_rate": 0.01}},
        },
        out=folder / "runs",
        verbose=False,
    )


def test_it_trains_and_inspects(run):
    assert run.status == "finished" and run.summary["test_accuracy"] > 0.3
    table = layer_table(run.model(), (1, 8, 8))
    assert table.parameters == run.summary["parameters"] == 80 + 584 + 16 + 170
    assert [layer.parameters for layer in table.layers if layer.name == "shared"] == [584, 0]
    assert next(layer for layer in table.layers if layer.kind == "cat").receptive_field["size"] == 7


def test_its_weights_load_in_another_process_to_the_same_bits(run):
    images = torch.linspace(-1, 1, 5 * 64).view(5, 1, 8, 8)
    with torch.no_grad():
        here = run.model()(images).numpy().tobytes().hex()
    there = subprocess.run(
        [sys.executable, "-c", LOAD, str(run.path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert there.stdout == here
    logits, labels = run.predictions()
    assert np.isfinite(logits).all() and len(labels) == 360


def test_a_checkpoint_with_a_pickle_inside_is_refused_and_nothing_in_it_runs(run, tmp_path):
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    file = run.path / "last.safetensors"
    whole = file.read_bytes()
    try:
        torch.save({"model.first.weight": Bomb()}, file)
        with pytest.raises(UserError, match=r"last\.safetensors is not a whole safetensors checkpoint"):
            cl.load_run(run.path).model()
    finally:
        file.write_bytes(whole)
    assert not marker.exists()


def test_the_weights_of_another_width_are_told_by_name_and_both_shapes(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("environment.json", "last.safetensors", "summary.json"):
        (other / name).write_bytes((run.path / name).read_bytes())
    shutil.copytree(run.path / "code", other / "code")
    (other / "experiment.yaml").write_text((run.path / "experiment.yaml").read_text().replace("width: 8", "width: 9"))
    with pytest.raises(UserError) as told:
        cl.load_run(other).model()
    assert "last.safetensors holds the weights of another network: first.weight is (8, 1, 3, 3) there" in str(
        told.value
    )
    assert "(9, 1, 3, 3) in the network" in str(told.value)

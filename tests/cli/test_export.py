"""`classlab export`: what it prints, what it refuses, and with which exit code."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import Refused, UserError
from classlab.use.export import weights_file

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 200},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cl.train(QUICK, seed=0, out=tmp_path_factory.mktemp("runs"), verbose=False)


def classlab(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_it_says_the_proof_and_the_files(run, tmp_path):
    done = classlab("export", run.path, "--to", "safetensors", "--out", tmp_path)
    assert done.exit_code == 0
    assert "the same class on 360 of 360 test images, logits at most" in done.stdout
    assert (tmp_path / "quick.safetensors").is_file() and (tmp_path / "quick.safetensors.md").is_file()
    document = json.loads(classlab("export", run.path, "--to", "safetensors", "--out", tmp_path, "--json").stdout)
    assert document["proof"]["agreeing"] == document["proof"]["images"] == 360
    assert document["files"] == [str(tmp_path / "quick.safetensors"), str(tmp_path / "quick.safetensors.md")]


def test_python_gives_the_same(run, tmp_path):
    exported = run.export("safetensors", tmp_path)
    assert exported.path.name == "quick.safetensors" and exported.proof.largest <= exported.proof.allowed


def test_what_differs_is_an_honest_no(run, tmp_path, monkeypatch):
    monkeypatch.setattr(weights_file, "answers", lambda file, carried, images: np.zeros((360, 10)))
    done = classlab("export", run.path, "--to", "safetensors", "--out", tmp_path)
    assert isinstance(done.exception, Refused)
    assert "quick.safetensors does not answer as the network does, so it is not written" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--to", "onxx"], "--to must be onnx, .*; got 'onxx'; did you mean onnx"),
        (["--to", "torchscript"], "--to must be onnx, .*; got 'torchscript'"),
    ],
)
def test_mistakes(run, words, sentence):
    done = classlab("export", run.path, *words)
    assert isinstance(done.exception, UserError)
    import re

    assert re.match(sentence, str(done.exception))


def test_a_missing_run_is_said(tmp_path):
    done = classlab("export", tmp_path / "none", "--to", "onnx")
    assert isinstance(done.exception, UserError) and "none" in str(done.exception)

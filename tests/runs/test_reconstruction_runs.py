"""Runs that draw images again, and classifiers that start from their encoders, frozen and fine-tuned."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError

PLAN = {
    "epochs": 5, "batch_size": 50, "initialise": "he_normal", "optimizer": {"name": "adam", "learning_rate": 0.003},
}  # fmt: skip
WIDTHS = {"widths": [20, 8]}


def fields(name, model, loss):
    return {
        "name": name,
        "data": {"dataset": "digits", "val_size": 200},
        "model": {**model, **WIDTHS},
        "training": {**PLAN, "loss": loss},
    }


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    drawing = fields("drawing", {"name": "autoencoder"}, "reconstruction")
    return cl.train(drawing, out=tmp_path_factory.mktemp("runs"), verbose=False)


def classifier(encoder, freeze, out):
    model = {"name": "encoder_classifier", "hidden": [16], "encoder": encoder, "freeze": freeze}
    return cl.train(fields("encoder", model, "cross_entropy"), out=out, verbose=False)


def encoder_weights(run):
    weights = load_file(run.path / "last.safetensors")
    return {name: value for name, value in weights.items() if name.startswith("model.encoder.")}


def test_a_run_that_reconstructs_says_its_loss_and_has_no_mistakes(autoencoder):
    assert autoencoder.reconstructs and autoencoder.status == "finished"
    assert autoencoder.sentence() == f"test loss {autoencoder.summary['test_loss']:.4f}"
    assert autoencoder.sentence() in repr(autoencoder)
    assert "train_accuracy" not in autoencoder.history and autoencoder.curves().to_dict()["layer"]
    with pytest.raises(UserError, match=r"mistakes are wrong class names, and .* reconstructs images"):
        autoencoder.mistakes()


def test_frozen_weights_stay_to_the_byte_and_fine_tuned_ones_move(autoencoder, tmp_path):
    folder = str(autoencoder.path)
    runs = {
        "fresh": classifier(None, False, tmp_path),
        "frozen": classifier(folder, True, tmp_path),
        "fine-tuned": classifier(folder, False, tmp_path),
    }
    trained = encoder_weights(autoencoder)
    assert len(trained) == 4 and len({run.path for run in runs.values()}) == 3
    for name, value in trained.items():
        kept = encoder_weights(runs["frozen"])[name]
        assert kept.numpy().tobytes() == value.numpy().tobytes()
        assert not torch.equal(encoder_weights(runs["fine-tuned"])[name], value)
        assert not torch.equal(encoder_weights(runs["fresh"])[name], value)
    assert all(run.status == "finished" and run.summary["test_accuracy"] > 0.2 for run in runs.values())
    assert len({run.summary["parameters"] for run in runs.values()}) == 1
    images = torch.rand(3, 1, 8, 8)
    again = runs["frozen"].model()
    assert torch.equal(again.encoder(images), autoencoder.model().encoder(images))
    page = runs["frozen"].report(out=tmp_path / "frozen.html").read_text()
    frozen = sum(value.numel() for value in trained.values())
    assert f"{frozen:,} parameters were frozen" in page


def test_a_run_is_whole_where_the_run_that_it_started_from_is_gone(autoencoder, tmp_path):
    gone = tmp_path / "gone"
    shutil.copytree(autoencoder.path, gone)
    run = classifier(str(gone), True, tmp_path)
    before = encoder_weights(run)
    shutil.rmtree(gone)
    after = encoder_weights(cl.load_run(run.path))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "The layers cannot be shown here" not in run.report(out=tmp_path / "gone.html").read_text()


def test_the_shell_says_the_test_loss(tmp_path):
    file = tmp_path / "drawing.yaml"
    file.write_text(json.dumps(fields("drawing", {"name": "autoencoder"}, "reconstruction")))
    command = ["run", str(file), "--set", "training.epochs=1", "--out", str(tmp_path / "runs")]
    printed = CliRunner().invoke(app, [*command, "--json"])
    assert printed.exit_code == 0, printed.output
    summary = json.loads(printed.stdout)
    assert summary["test_accuracy"] is None and summary["test_interval"] is None and summary["test_loss"] > 0
    loss = f"{summary['test_loss']:.4f}"
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0 and f"1 epoch, test loss {loss}," in said.stdout
    listed = CliRunner().invoke(app, ["runs", str(tmp_path / "runs")])
    assert f"loss {loss}" in listed.stdout

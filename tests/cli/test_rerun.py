"""`classlab rerun`: the same bytes, as alike as another seed's, or another run and why."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError
from classlab.runs import repetition, store

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 200},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four seeds of one experiment beside each other."""
    out = tmp_path_factory.mktemp("runs")
    return [cl.train(QUICK, seed=seed, out=out, verbose=False) for seed in range(4)]


def copied(run, folder):
    """Copy a run with its siblings, so that it can be changed."""
    shutil.copytree(run.path.parent, folder / run.path.parent.name)
    return cl.load_run(folder / run.path.parent.name / run.path.name)


def test_a_run_gives_the_same_bytes_again(runs, tmp_path):
    done = CliRunner().invoke(app, ["rerun", str(runs[0].path), "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["verdict"] == "the same bytes" and found["differences"] == {}
    assert found["sentence"].startswith("The same bytes: weights, curve and predictions came out again, after ")
    for name in (store.LAST, store.BEST):
        assert (runs[0].path / name).read_bytes() == (tmp_path / "quick" / runs[0].path.name / name).read_bytes()


def test_other_bits_within_what_a_seed_changes_are_said_so(runs, tmp_path):
    run = copied(runs[0], tmp_path)
    for name in (store.LAST, store.METRICS, store.BEST):  # as if the machine had computed otherwise then
        shutil.copy(runs[1].path / name, run.path / name)
    environment = json.loads((run.path / store.ENVIRONMENT).read_text())
    environment["torch"] = "2.0.0"
    (run.path / store.ENVIRONMENT).write_text(json.dumps(environment))
    found = repetition.repeat(cl.load_run(run.path), tmp_path / "again", verbose=False)
    assert found.verdict == "within another seed" and list(found.differences) == ["torch"]
    assert "within what another seed would give, by 4 runs" in found.sentence
    assert "torch 2.0.0 then, " in found.sentence


def test_another_run_is_called_one_with_what_differs(runs, tmp_path):
    run = copied(runs[0], tmp_path)
    for folder in run.path.parent.iterdir():  # all seeds learned more slowly than these settings do
        rows = store.read_metrics(folder / store.METRICS)
        store.write_metrics(folder / store.METRICS, [{**row, "train_loss": 3 * row["train_loss"]} for row in rows])
    found = repetition.repeat(cl.load_run(run.path), tmp_path / "again", verbose=False)
    assert found.verdict == "another run"
    assert found.sentence.startswith("Another run: test accuracy ")
    assert "outside what another seed would give" in found.sentence
    assert found.sentence.endswith("so that its files were changed, or this version computes otherwise")


def test_without_other_seeds_the_images_decide_and_it_is_said(runs, tmp_path):
    run = copied(runs[0], tmp_path)
    for folder in run.path.parent.iterdir():
        if folder.name != run.path.name:
            shutil.rmtree(folder)
    rows = store.read_metrics(run.path / store.METRICS)
    store.write_metrics(run.path / store.METRICS, [{**row, "train_loss": row["train_loss"] + 1e-9} for row in rows])
    found = repetition.repeat(cl.load_run(run.path), tmp_path / "again", verbose=False)
    assert found.verdict == "within another seed"
    assert "what another seed would give is not known" in found.sentence


def test_what_cannot_be_trained_again_is_refused(runs, tmp_path):
    run = copied(runs[0], tmp_path)
    (run.path / store.SUMMARY).unlink()
    with pytest.raises(UserError, match="has not finished"):
        repetition.repeat(cl.load_run(run.path), tmp_path / "again")
    images, labels = cl.load_run(runs[0].path).images("train").pixels.numpy(), runs[0].images("train").labels.numpy()
    given = cl.train({**QUICK, "name": "given"}, data=(images, labels), out=tmp_path, verbose=False)
    with pytest.raises(UserError, match="cannot be trained again from its files: its data came from Python"):
        repetition.repeat(given, tmp_path / "again")

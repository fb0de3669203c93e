"""`classlab runs` and the names of runs: date, settings that differ, sort, filter, latest, any depth, a prefix."""

import json
import os

import pytest
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError
from classlab.runs import store

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "max_per_class": 20, "max_test_per_class": 5},
    "model": {"name": "perceptron", "widths": [4]},
    "training": {"epochs": 1, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with runs of one experiment, two of them changed, one deep below."""
    folder = tmp_path_factory.mktemp("work")
    runs = [
        cl.train(cl.load_experiment(QUICK, changes), out=folder / out, seed=seed, verbose=False)
        for changes, out, seed in (
            ([], "runs", 0),
            (["training.epochs=2"], "runs", 1),
            (["training.optimizer.learning_rate=0.5"], "runs/deep/below", 2),
        )
    ]
    for number, run in enumerate(runs):
        os.utime(run.path / store.SUMMARY, (1_000_000_000 + 100_000 * number,) * 2)
    return folder, runs


@pytest.fixture(autouse=True)
def inside(made, monkeypatch):
    monkeypatch.chdir(made[0])


def ask(*words):
    done = CliRunner().invoke(app, ["runs", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def names(text):
    return [row["run"].rpartition("/")[2] for row in json.loads(text)]


def test_the_table_has_dates_and_the_settings_that_differ_at_any_depth(made):
    lines = ask().splitlines()
    assert lines[0].split() == [
        "test", "val", "epochs", "parameters", "time", "contract", "date", "settings", "run"
    ]  # fmt: skip
    assert len(lines) == 4 and all("2001-09-" in line for line in lines[1:])
    assert sum("epochs 2" in line for line in lines) == 1 and sum("learning_rate 0.5" in line for line in lines) == 1
    assert not any("batch_size" in line for line in lines)


def test_sorted_filtered_and_the_latest(made):
    every = [run.path.name for run in made[1]]
    assert names(ask("--sort", "date", "--json")) == every[::-1]
    assert names(ask("--latest", "2", "--json")) == every[::-1][:2]
    assert names(ask("--filter", "epochs=2", "--json")) == [every[1]]
    assert names(ask("--filter", "training.epochs=2", "--filter", "below", "--json")) == []
    assert names(ask("--filter", "below", "--json")) == [every[2]]
    assert names(ask("--filter", "seed=1", "--json")) == [every[1]]
    assert "no run there holds that" in ask("--filter", "nothing")
    accuracies = [row["test_accuracy"] for row in json.loads(ask("--sort", "test", "--json"))]
    assert accuracies == sorted(accuracies, reverse=True)


def test_a_narrow_terminal_has_the_columns_that_fit(made, monkeypatch):
    from classlab.cli.output import console

    monkeypatch.setattr(console, "_width", 80)
    lines = ask().splitlines()
    assert max(map(len, lines)) <= 80 and "test" in lines[0] and "date" in lines[0] and "val" not in lines[0]


def test_a_run_by_a_unique_prefix_or_latest(made):
    first, second, deep = (run.path for run in made[1])
    assert cl.load_run("latest").path.resolve() == deep.resolve()
    assert cl.load_run(second.name[:6]).path.resolve() == second.resolve()
    assert cl.load_run(first.name.partition("-")[2][:5]).path.resolve() == first.resolve()
    assert cl.load_run(f"runs/quick/{first.name[:5]}").path.resolve() == first.resolve()
    assert cl.load_run("deep").path.resolve() == deep.resolve()
    with pytest.raises(UserError, match=r"'quick' begins the names of 3 runs: .*; give more of one's name"):
        cl.load_run("quick")
    with pytest.raises(UserError, match=r"there is no folder .*nothing"):
        cl.load_run("nothing")
    written = CliRunner().invoke(app, ["report", "latest"], catch_exceptions=False)
    assert written.stdout.strip().endswith(f"{deep.name}/report.html")
    compared = CliRunner().invoke(app, ["compare", second.name[:4], "latest", "--json"], catch_exceptions=False)
    assert compared.exit_code == 0


def test_latest_of_no_run_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="latest is the last run in runs, and there is none yet"):
        cl.load_run("latest")

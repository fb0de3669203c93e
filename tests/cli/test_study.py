"""`classlab study` and `classlab compare` as a shell sees them."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

STUDY = """
name: rates
question: Which rate?
experiment:
  name: quick
  data: {dataset: digits, val_size: 200}
  model: {name: perceptron, widths: [16]}
  training: {epochs: 2, batch_size: 64, optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9}}
sweep: {grid: {training.optimizer.learning_rate: [0.1, 0.001]}}
seeds: 2
"""


def command(*words):
    return [sys.executable, "-m", "classlab.cli.main", *map(str, words)]


def shell(*words, cwd=None):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=240, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "rates.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(file):
    """The study, trained once: what it printed, and where it is."""
    return shell("study", file, "--out", file.parent / "studies", "--jobs", 1), file.parent / "studies" / "rates"


def test_a_study_prints_its_table_and_a_sentence_and_keeps_progress_on_standard_error(trained):
    done, folder = trained
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rates: Which rate?\n") and str(folder / "results.csv") in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[:6])
    assert "learning_rate=0.001 " in done.stdout and "2 shared seeds" in " ".join(done.stdout.split())
    assert "[4/4]" in done.stderr and "seed 1: " in done.stderr


def test_a_finished_study_answers_again_in_one_json_document(trained, file):
    _, folder = trained
    done = shell("study", file, "--out", folder.parent, "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0 and [one["n"] for one in document["variants"]] == [2, 2]
    assert len(document["runs"]) == 4 and len(document["comparisons"]) == 1 and len(document["sentences"]) == 4
    assert " by 2 seeds (other seeds would change the mean so) and " in document["sentences"][2]
    assert "more seeds or values make it grow" in " ".join(done.stderr.split())


def test_a_dry_run_says_what_would_be_trained_and_trains_nothing(trained, file, tmp_path):
    done = shell("study", file, "--out", tmp_path, "--dry-run", "--seeds", 3)
    assert done.returncode == 0 and not list(tmp_path.iterdir())
    said = " ".join(done.stdout.split())
    assert "6 runs to train" in said and "1,210" in said and "by a short measurement" in said and " MB in " in said
    _, folder = trained
    left = json.loads(shell("study", file, "--out", folder.parent, "--seeds", 3, "--dry-run", "--json").stdout)
    assert (left["runs"], left["done"]) == (6, 4)
    assert {one["known_from"] for one in left["variants"]} == {"finished runs"}


def test_ctrl_c_keeps_what_is_done_and_says_so(file, tmp_path):
    words = command("study", file, "--out", tmp_path, "--set", "training.epochs=40", "--jobs", "1")
    # A shell's background commands ignore Ctrl-C, and hand that on to all that they start.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    until = time.monotonic() + 120
    while not list(tmp_path.rglob("summary.json")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "of 4 runs are done in" in " ".join(told.split()), told
    assert "Traceback" not in told
    failures = json.loads((tmp_path / "rates" / "failures.json").read_text())
    assert failures == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("study", "cifar-dept"), "did you mean cifar-depth?"),
        (("study", "nosuch.yaml"), "there is no study file nosuch.yaml"),
        (("study", "cifar-depth", "--set", "trainin.epochs=1"), "did you mean training?"),
        (
            ("study", "cifar-learning-rate", "--set", "training.optimizer.learning_rate=0.5"),
            "sweep.grid of cifar-learning-rate sets training.optimizer.learning_rate itself and would undo this",
        ),
        (("study", "cifar-depth", "--seeds", "0"), "seeds must be at least 1"),
        (("compare", "/nowhere"), "there is no folder /nowhere"),
        (("compare", "."), "--images writes a file that ends in .png; got x.jpg"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_2(words, sentence, trained):
    _, folder = trained
    more = ("--images", "x.jpg") if words == ("compare", ".") else ()
    done = shell(*words, *more, cwd=folder)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("classlab: ") and sentence in done.stderr and len(done.stderr.splitlines()) == 1


def test_compare_takes_a_study_s_runs_and_draws_where_they_disagree(trained, tmp_path):
    from PIL import Image

    _, folder = trained
    done = shell("compare", folder, "--images", tmp_path / "images.png")
    assert done.returncode == 0, done.stderr
    assert "training.optimizer.learning_rate" in done.stdout and "give different answers on" in done.stdout
    with Image.open(tmp_path / "images.png") as picture:
        assert picture.width > 500
    document = json.loads(shell("compare", folder, "--json").stdout)
    assert document["differences"]["training.optimizer.learning_rate"] == {
        "learning_rate=0.1": "0.1", "learning_rate=0.001": "0.001",
    }  # fmt: skip
    assert document["disagreements"]["count"] > 0


def test_compare_refuses_foreign_code_unless_trusted(trained, tmp_path):
    import shutil

    _, folder = trained
    run = next(iter(folder.rglob("experiment.yaml"))).parent
    shutil.copytree(run, tmp_path / run.name)
    named = tmp_path / run.name / "experiment.yaml"
    text = named.read_text().replace("name: perceptron", "name: theirs.py:build")
    named.write_text(text)
    refused = shell("compare", tmp_path / run.name)
    assert refused.returncode == 2 and "takes code from theirs.py:build" in refused.stderr
    assert shell("compare", tmp_path / run.name, "--trust").returncode == 0


def test_help_shows_an_example():
    for name in ("study", "compare"):
        done = shell(name, "--help")
        assert done.returncode == 0 and f"Example: classlab {name}" in done.stdout

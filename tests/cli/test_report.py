import json
import sys

import pytest
from typer.testing import CliRunner

import classlab as cl
from classlab.cli import main as shell
from classlab.errors import UserError

FIELDS = {
    "name": "tiny",
    "data": {"dataset": "digits", "val_size": 100},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 1, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cl.train(FIELDS, out=tmp_path_factory.mktemp("runs"), verbose=False)


def report(*arguments):
    return CliRunner().invoke(shell.app, ["report", *map(str, arguments)], catch_exceptions=False)


def test_the_report_is_written_into_the_run_folder_and_named(run):
    result = report(run.path, "--author", "Ada Lovelace", "--roll", "052", "--course", "Deep Learning")
    assert result.exit_code == 0
    assert result.stdout.strip() == str(run.path / "report.html")
    text = (run.path / "report.html").read_text()
    assert "Ada Lovelace" in text and "052" in text and "Deep Learning" in text


def test_json_is_one_document_that_names_the_file(run, tmp_path):
    result = report(run.path, "--out", tmp_path / "ada.html", "--json")
    written = {"run": str(run.path), "report": str(tmp_path / "ada.html"), "pdf": None, "figures": None}
    assert json.loads(result.stdout) == written
    assert (tmp_path / "ada.html").exists()


def test_pdf_and_figures_stand_beside_the_report(run, tmp_path):
    result = report(run.path, "--out", tmp_path / "ada.html", "--pdf", "--figures", tmp_path / "figures")
    assert result.stdout.split() == [str(tmp_path / name) for name in ("ada.html", "ada.pdf", "figures")]
    assert (tmp_path / "ada.pdf").read_bytes().startswith(b"%PDF-")
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    figures = ("loss", "accuracy", "confusion", "architecture", "samples", "wrong", "right")
    assert names >= {f"{name}.{ending}" for name in figures for ending in ("svg", "png", "pdf")}
    assert names >= {f"{name}.{ending}" for name in ("layers", "classes", "per-class") for ending in ("csv", "tex")}


def test_a_studys_folder_is_reported_on_too(tmp_path):
    study = {"name": "pair", "experiment": FIELDS, "sweep": {"grid": {"training.batch_size": [64, 128]}}, "seeds": 1}
    done = cl.study(study, out=tmp_path, jobs=1)
    result = report(done.path, "--out", tmp_path / "pair.html", "--json")
    assert json.loads(result.stdout)["report"] == str(tmp_path / "pair.html")
    assert "batch_size=128" in (tmp_path / "pair.html").read_text()


def test_the_help_holds_an_example():
    assert "Example: classlab report runs/digits-quick/" in report("--help").stdout


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        report(tmp_path / "nowhere")


def foreign(run, folder, code):
    """Copy the run's folder and make its experiment take its model from `code`."""
    for file in run.path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    experiment = (folder / "experiment.yaml").read_text()
    (folder / "experiment.yaml").write_text(experiment.replace("name: perceptron", f"name: {code}"))
    return folder


OWN_MODEL = """
from torch import nn
from pathlib import Path
Path({trace!r}).touch()


def build(input_shape, classes, widths=(8,), activation="relu"):
    from classlab.models.perceptron import build as perceptron
    return perceptron(input_shape=input_shape, classes=classes, widths=list(widths))
"""


def test_code_of_somebody_elses_folder_is_not_run_unless_trusted(run, tmp_path):
    trace, code = tmp_path / "it-ran", tmp_path / "own.py"
    code.write_text(OWN_MODEL.format(trace=str(trace)))
    (tmp_path / "run").mkdir()
    folder = foreign(run, tmp_path / "run", f"{code}:build")
    with pytest.raises(UserError, match=r"takes code from .*own.py:build; .* refused unless --trust is given"):
        report(folder)
    assert not trace.exists()
    assert report(folder, "--trust").exit_code == 0
    assert trace.exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: cross_entropy", "name: os:system"),
        ("name: digits", "name: pickle:loads"),
        ("augmentations: []", "augmentations: ['os:system']"),
        ("expansion: []", "expansion: [['os:system']]"),
        ("expansion: []", "expansion: [[{name: 'os:system'}]]"),
    ],
)
def test_foreign_code_is_seen_wherever_it_is_named(run, tmp_path, old, new):
    folder = foreign(run, tmp_path, "perceptron")
    experiment = (folder / "experiment.yaml").read_text()
    assert old in experiment
    (folder / "experiment.yaml").write_text(experiment.replace(old, new))
    with pytest.raises(UserError, match="refused unless --trust is given"):
        report(folder)


def test_code_that_a_contract_beside_a_run_names_is_not_run(run, tmp_path):
    (tmp_path / "run").mkdir()
    folder = foreign(run, tmp_path / "run", "perceptron")
    resolved = (folder / "experiment.yaml").read_text()
    head = resolved[: resolved.index("contract:")]
    (folder / "experiment.yaml").write_text(f"{head}contract: limits.yaml\n")
    (folder / "limits.yaml").write_text("dataset: 'os:system'\n")
    with pytest.raises(UserError, match=r"limits.yaml takes code from os:system; .* unless --trust is given"):
        report(folder)


def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["classlab", "report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        shell.main()
    assert ended.value.code == 2
    told = f"{tmp_path} is not a run folder: it has no experiment.yaml; a study's folder would have study.yaml"
    assert capsys.readouterr().err == f"classlab: {told}\n"

"""A report of the reader's own, outside the package: a YAML file and its experiments, and what bad ones are told."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import classlab
import classlab as cl
from classlab import lookup
from classlab.errors import UserError
from classlab.reproduction import measures, published, reproduce

CHAPTER = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")

REPORT = """\
# A sixth report: what a student found on the small digits.
name: my-report
title: A perceptron on small digits
question: How well does a perceptron of 16 units classify 8×8 digits after three epochs?
runs:
  narrow: {experiment: narrow.yaml, quick: {training.epochs: 1}}
  shipped: {experiment: digits-quick, set: {training.epochs: 1, data.max_per_class: 60}, seeds: 2}
parts:
  - title: Network
    runs: [narrow]
    blocks: [layers, my_block.py:blocks]
    values:
      - {what: parameters, of: narrow, metric: parameters, claim: exact, published: 1210, source: report}
  - title: Training
    runs: [narrow, shipped]
    blocks: [loss, accuracy, comparisons]
    values:
      - {what: test accuracy, of: narrow, metric: test_accuracy, epoch: last, published_percent: 80, source: report}
      - {what: train loss, of: narrow, metric: train_loss, each_epoch: [2.0, 1.5, 1.0], source: report}
"""
NARROW = """\
name: narrow
data: {dataset: digits, val_size: 200}
model: {name: my_network.py:build, width: 16}
training: {epochs: 3, batch_size: 64, optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9}}
"""
NETWORK = """\
from torch import nn


def build(input_shape, classes, width: int):
    inputs = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, classes))
"""
BLOCK = """\
from classlab.drawing.blocks import Words


def blocks(material):
    return [Words(f"{name} has {len(runs)} runs to tell of.") for name, runs in material.runs.items()]
"""


def test_a_report_outside_the_package_is_reproduced_from_its_file(tmp_path, monkeypatch):
    for name, text in {"report": REPORT, "narrow": NARROW}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "my_network.py").write_text(NETWORK)
    (tmp_path / "my_block.py").write_text(BLOCK)
    monkeypatch.chdir(tmp_path)
    package = Path(classlab.__file__).parent
    before = {file: file.stat().st_mtime_ns for file in package.rglob("*") if "__pycache__" not in file.parts}
    (report,) = cl.reproduce("report.yaml", verbose=False)
    after = {file: file.stat().st_mtime_ns for file in package.rglob("*") if "__pycache__" not in file.parts}
    assert before == after
    assert {name: len(runs) for name, runs in report.runs.items()} == {"narrow": 1, "shipped": 2}
    document = json.loads(Path("reproduced/my-report.json").read_text())
    words = {figure["what"]: figure["verdict"] for figure in document["figures"]}
    assert words["parameters"] == "holds" and len(words) == 5 and document["command"].endswith("reproduce report.yaml")
    page = Path("reproduced/my-report.html").read_text()
    assert "narrow has 1 runs to tell of." in page and "A diamond is a figure that the report published" in page
    assert "Reproduced" in repr(type(report)) and report.show("Network").blocks


def test_its_files_lie_beside_it_wherever_the_command_is_given(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    for name, text in {
        "report": REPORT,
        "narrow": NARROW.replace("my_network.py:build, width: 16", "perceptron"),
    }.items():
        (tmp_path / "here" / f"{name}.yaml").write_text(text)
    (tmp_path / "here" / "my_block.py").write_text(BLOCK)
    monkeypatch.chdir(tmp_path)
    report = published.load("here/report.yaml")
    assert (
        report.runs["narrow"].experiment == "here/narrow.yaml" and report.runs["shipped"].experiment == "digits-quick"
    )
    assert report.parts[0].blocks == ("layers", "here/my_block.py:blocks")
    assert report.runs["narrow"].resolve().name == "narrow"
    assert report.source == str((tmp_path / "here" / "report.yaml").resolve())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title: Network", "titel: Network", r"parts.0.titel is not a setting; did you mean parts.0.title\?"),
        ("blocks: [layers, my_block.py:blocks]", "blocks: [layer]", "there is no block 'layer'; did you mean layers"),
        ("my_block.py:blocks", "no_block.py:blocks", "there is no file no_block.py to take code from"),
        ("my_block.py:blocks", "my_block.py:block", "my_block.py defines no function or class 'block'"),
        ("runs: [narrow]", "runs: [narow]", "no run is named 'narow'; did you mean narrow"),
        ("runs: [narrow, shipped]", "runs: [narrow]", "no part names the run 'shipped'"),
        (
            "metric: parameters",
            "metric: parameter",
            "parameters: no run has a figure 'parameter'; did you mean parameters",
        ),
        ("epoch: last, ", "", "test accuracy: a loss or an accuracy needs an epoch"),
        ("runs: [narrow]", "lesson: era-s7\n    runs: [narrow]", "there is no lesson 'era-s7'; did you mean era-s6"),
        ("of: narrow, metric: parameters", "of: lesson, metric: rows", "parameters: the part 'Network' has no lesson"),
        ("claim: exact, published: 1210", "claim: exact", "parameters: exactly 1 published figure is needed"),
        ("claim: exact", "claim: similar", "exactly 0 published figure is needed"),
        ("name: my-report", "name: ../my-report", "name may hold letters, digits"),
        ("seeds: 2}", "seeds: 2, starts_from: shipped}", "the run 'shipped' starts from a run that starts from it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_anything_is_trained(old, new, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert old in REPORT
    Path("report.yaml").write_text(REPORT.replace(old, new, 1))
    Path("my_block.py").write_text(BLOCK)
    with pytest.raises(UserError, match=rf"^report.yaml: (.*: )?{told}"):
        published.load("report.yaml")


def test_an_experiment_that_is_nowhere_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("report.yaml").write_text(REPORT)
    Path("my_block.py").write_text(BLOCK)
    with pytest.raises(UserError, match=r"there is no experiment file narrow.yaml"):
        cl.reproduce("report.yaml", verbose=False)
    assert not Path("reproduced").exists()


def test_the_example_in_the_docs_is_a_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = [block for block in CHAPTER.split("\n\n") if block.startswith("    name: ")]
    for name, example in zip(("my-report", "small"), examples, strict=True):
        Path(f"{name}.yaml").write_text(textwrap.dedent(example))
    report = published.load("my-report.yaml")
    needed = reproduce.needed([report], tmp_path, quick=True)
    assert [(run.run, run.seed) for run in needed] == [("small", 0), ("small", 1), ("small", 2), ("wide", 0)]
    assert [run.experiment.training.epochs for run in needed] == [1, 1, 1, 3]


def test_every_block_and_metric_is_in_the_docs():
    rows = "\n".join(line for line in CHAPTER.splitlines() if line.startswith("| "))
    words = set(re.findall(r"[a-z_-]+", rows))
    assert {*lookup.names("block"), *measures.RUN, *measures.LESSON} <= words


def test_a_new_block_is_one_file_in_the_package(tmp_path):
    """In a copy of the package: a file in report/blocks/, found by its name."""
    package = tmp_path / "copy" / "classlab"
    shutil.copytree(Path(classlab.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "report" / "blocks" / "brand_new.py").write_text(BLOCK)
    report = REPORT.replace("my_block.py:blocks", "brand-new").replace("narrow.yaml", "digits-quick")
    (tmp_path / "report.yaml").write_text(report)
    code = (
        "from pathlib import Path\nimport classlab\nfrom classlab.drawing.blocks import Words\n"
        "from classlab.reproduction import published, reproduced, reproduced_document\n"
        f"assert Path(classlab.__file__).is_relative_to({str(package)!r})\n"
        "report = published.load('report.yaml')\n"
        "found = reproduced.Reproduced(report, {name: [] for name in report.runs}, Path(), '')\n"
        "print([block.text for block in reproduced_document.blocks(found, 'Network') if isinstance(block, Words)][-1])"
    )
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path, env=environment)
    assert done.stdout == "narrow has 0 runs to tell of.\n", done.stderr

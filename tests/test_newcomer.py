"""What a newcomer adds, from the chapters alone: each in as few files as docs/code.md says, and nothing registered."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from classlab.lookup import HOME

DATASET = '''"""odd-digits: the odd ones of scikit-learn's digits, 8 × 8, grey; needs no network."""

import numpy as np

from classlab.data.dataset import Dataset
from classlab.data.sources import digits

CLASS_NAMES = ("1", "3", "5", "7", "9")
MEAN, STD = (0.3,), (0.37,)
SHAPE, SIZES = (1, 8, 8), {"train": 706, "test": 200}
DIGEST = ""
LICENCE, CITATION = "Creative Commons Attribution 4.0", "E. Alpaydin and C. Kaynak, 1998"
SOURCES = ("scikit-learn",)
read_folder = None  # nothing to fetch, so no files to decode


def load() -> Dataset:
    """Return the odd digits, labelled 0 to 4."""
    whole = digits.load()
    images = np.concatenate([whole.images, whole.test_images])
    labels = np.concatenate([whole.labels, whole.test_labels])
    odd = labels % 2 == 1
    images, labels = images[odd], labels[odd] // 2
    parts = images[:-200], labels[:-200], images[-200:], labels[-200:]
    return Dataset("odd-digits", *parts, CLASS_NAMES, MEAN, STD, "scikit-learn", LICENCE, CITATION)
'''
AUGMENTATION = '''

def darken(images: Tensor, generator: Draws, factor: float = 0.9) -> Tensor:
    """Multiply every number by a factor."""
    return images * factor
'''
LISTENER = """
import sys
from classlab.runs.events import Ended, EpochDone, follow

for event in follow([sys.argv[1]], seconds=0.1):
    if isinstance(event, EpochDone):
        print("epoch", event.row["epoch"])
    if isinstance(event, Ended):
        print(event.summary["status"])
"""
EXPERIMENT = """
name: mine
data: {{dataset: {dataset}, val_size: 100, augmentations: [{augmentation}]}}
model: {{name: perceptron, widths: [16]}}
training: {{epochs: 2, batch_size: 32, optimizer: {{name: sgd, learning_rate: 0.1}}}}
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to add to."""
    shutil.copytree(HOME, tmp_path / "copy" / "classlab", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy" / "classlab"


def classlab(package: Path, *words: str, code: int = 0) -> str:
    """Run a command with a copy of the package, and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-P", "-m", "classlab.cli.main", *words]
    done = subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_dataset_is_one_file(package):
    (package / "data" / "sources" / "odd_digits.py").write_text(DATASET)
    (package.parent / "mine.yaml").write_text(EXPERIMENT.format(dataset="odd-digits", augmentation=""))
    assert "odd-digits" in classlab(package, "data", "list")
    assert "sheet.svg" in classlab(package, "data", "show", "odd-digits", "--out", "sheet.svg")
    assert "test accuracy" in classlab(package, "run", "mine.yaml")
    assert "did you mean odd-digits?" in classlab(package, "data", "stats", "odd-digit", code=2)


def test_an_augmentation_is_one_function(package):
    file = package / "data" / "augmentations.py"
    file.write_text(file.read_text() + AUGMENTATION)
    augmentation = "{name: darken, factor: 0.5}"
    (package.parent / "mine.yaml").write_text(EXPERIMENT.format(dataset="digits", augmentation=augmentation))
    assert "test accuracy" in classlab(package, "run", "mine.yaml")
    misspelt = classlab(package, "run", "mine.yaml", "--set", "data.augmentations.0.facter=1", code=2)
    assert "facter" in misspelt and "did you mean" in misspelt


def test_a_listener_is_one_file_and_touches_nothing(package):
    (package.parent / "mine.yaml").write_text(EXPERIMENT.format(dataset="digits", augmentation=""))
    (package.parent / "listen.py").write_text(LISTENER)
    classlab(package, "run", "mine.yaml")
    folder = next((package.parent / "runs" / "mine").glob("s0-*"))
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    heard = subprocess.run(
        [sys.executable, "listen.py", str(folder)], cwd=package.parent, env=environment, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert heard.stdout.split("\n") == ["epoch 1", "epoch 2", "finished", ""]

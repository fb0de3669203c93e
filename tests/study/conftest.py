"""Small studies on the digits, and a shell to run them in."""

import os
import subprocess
import sys

import pytest

from classlab.yaml_text import to_yaml

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 200, "augmentations": [{"name": "rotate", "degrees": 10}]},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
}


@pytest.fixture(scope="session")
def quick():
    """An experiment that takes a moment."""
    return QUICK


@pytest.fixture
def rates():
    """Two learning rates, two seeds."""
    return {
        "name": "rates",
        "question": "Which rate?",
        "experiment": QUICK,
        "sweep": {"grid": {"training.optimizer.learning_rate": [0.1, 0.01]}},
        "seeds": 2,
    }


@pytest.fixture
def shell(tmp_path):
    """`classlab` with the words given; a mapping among them is written to a file first."""

    def command(*words):
        given = []
        for place, word in enumerate(words):
            if isinstance(word, dict):
                file = tmp_path / f"study-{place}-{len(list(tmp_path.glob('study-*')))}.yaml"
                file.write_text(to_yaml(word), encoding="utf-8")
                word = file
            given.append(str(word))
        return [sys.executable, "-m", "classlab.cli.main", *given]

    def shell(*words, cwd=None, **environment):
        return subprocess.run(
            command(*words), capture_output=True, text=True, timeout=240, cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "80", **environment},
        )  # fmt: skip

    shell.command = command
    return shell

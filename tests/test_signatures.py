"""Options are read from the files of shipped things as Python itself would import them, and without torch."""

import subprocess
import sys

import pytest

from classlab import lookup, signatures

SHIPPED = [(kind, name) for kind in lookup.HANDED_OVER for name in lookup.names(kind)]


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_what_is_read_is_what_is_imported(kind, name):
    file, function = lookup._place(kind, name)
    signatures.options(file, function, lookup.HANDED_OVER[kind])  # it can be read
    read = lookup.known_options(kind, name, strict=True)
    imported = lookup.options_model(kind, lookup.find(kind, name), strict=True)
    assert repr(read.model_fields) == repr(imported.model_fields)
    assert read.model_json_schema() == imported.model_json_schema()


@pytest.mark.parametrize(
    "line",
    [
        "def sgd(*parameters): ...",
        "def sgd(rate: unknown): ...",
        "def sgd(rate: float = [1 for _ in range(2)]): ...",
        "import numpy\n\n\ndef sgd(rate: numpy.float32): ...",
        "def sgd(): ...\ndef sgd(rate): ...",
        "",
    ],
)
def test_what_is_not_simple_is_left_to_python(line, tmp_path):
    (tmp_path / "file.py").write_text(line)
    with pytest.raises(signatures.NotReadError):
        signatures.options(tmp_path / "file.py", "sgd", ())


REFUSED = [
    "training.epochz=3", "training.epochs=0", "training.optimizer.learning_rte=1", "training.optimizer=sgdd",
    "model.widht=3", "model=resnet50", "data.augmentations=[{name: cutout}]", "data.augmentations.0.degrees=-1",
    "data.dataset=minst", "training.loss={name: mse, reduction: sum}", "training.schedule.warmup=3", "contract.seeds=0",
]  # fmt: skip


def test_a_bad_setting_is_refused_without_torch():
    program = f"""
import sys
from classlab.errors import UserError
from classlab.experiment import load
for setting in {REFUSED}:
    try:
        load("digits-quick", [setting])
    except UserError:
        continue
    raise AssertionError(setting)
load("mnist-20k", ["training.epochs=3"]).digest()
assert not {{"torch", "sklearn", "scipy", "pandas"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""The exported notebook: executed from top to bottom, with pictures, in plain PyTorch, and proved as a script is."""

import json
from dataclasses import replace

import pytest

import classlab as cl
from classlab.experiment import load
from classlab.use.export import story_notebook
from classlab.use.export.carried import carried
from classlab.use.export.eject.leaving import leaving
from classlab.use.export.proof import prove


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    changes = {"training.epochs": 2, "training.native": False, "contract": {}, "data.max_per_class": 40}
    experiment = load("digits-quick", changes=changes)
    return cl.train(experiment, seed=1, out=str(tmp_path_factory.mktemp("runs")), verbose=False, threads=1)


def source(cell):
    return "".join(cell["source"])


def test_it_is_executed_with_pictures_and_answers_as_the_network_does(run, tmp_path):
    ready = carried(run)
    file = story_notebook.write(ready, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"digits_quick.ipynb", "weights.npz", "data.npz"}
    cells = json.loads(file.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not any("classlab" in line for cell in code for line in source(cell).splitlines() if "import" in line)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert "epoch 2, train_loss" in printed and "95 % interval" in printed
    text = "\n".join(map(source, cells))
    assert "The whole training runs in this cell" in text and "TRAIN = True" in text
    assert prove(ready, story_notebook, file).agreeing == 360


def test_a_long_training_is_shown_as_it_was_recorded(run):
    ready = carried(run)
    vars(ready.run)["summary"] = {**ready.run.summary, "seconds": 90.0}
    plan = replace(leaving(ready), run="<b>*run*", class_names=tuple("<>23456789"))
    text = "\n".join(source(cell) for cell in story_notebook.build(ready, plan).cells)
    assert "Training took classlab 1 min 30 s, so **this cell does not train**" in text
    assert 'TRAIN = False\nRECORDED = [\n    {"epoch": 1, "train_loss"' in text
    assert "one of 10 classes: &lt;, &gt;, 2" in text

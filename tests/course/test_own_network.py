"""A student's own network in a hand-in: counted and measured by its graph, its code run only apart and when trusted."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from classlab.cli.main import app
from classlab.course import graph_network, weighing_room
from classlab.errors import UserError
from classlab.network.contents import contents
from classlab.network.layer_table import layer_table
from classlab.use.export.onnx_graph import graph

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")

STUDENTS = Path(__file__).parents[1] / "models" / "students"
NETWORK = """import contextlib
from pathlib import Path

from torch import nn

with contextlib.suppress(OSError):
    Path("{ran}").write_text("")


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.1), nn.AdaptiveAvgPool2d(2)
        )
        self.answer = nn.Linear(24, num_classes)

    def forward(self, x):
        return self.answer(self.body(x).flatten(1))
"""
RULES = """title: A network of your own
student_seeds: true
keep_epochs: true
quantities: {roll: {last_digits: 3}}
decisions: {size: {about: size, branches: [{value: 64, means: batches of 64}]}}
experiments:
  net:
    data: {dataset: digits, val_size: 200}
    model: "network.py:Net"
    training: {epochs: 2, batch_size: {decided: size}, optimizer: {name: adam, learning_rate: 0.01}, native: false}
contracts:
  net: {dataset: digits, max_parameters: 400, must_contain: [batch_norm], min_test_accuracy_percent: 20}
points: {items: [{about: as asked, run: net, rule: all, points: 5}]}
"""


def classlab(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """Return (the folder of rules, class list and hand-ins, the student's folder)."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "network.py").write_text(NETWORK.replace("{ran}", str(folder / "ran")))
    (folder / "class.csv").write_text("born,roll\n01/02/03,B0001\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = classlab("assign", "rules.yaml", "--class-list", "class.csv", "--out", "tasks", "--trust")
        assert done.exit_code == 0, done.output
        (student,) = [place for place in (folder / "tasks").iterdir() if place.is_dir()]
        shutil.copy(folder / "network.py", student)
        patch.chdir(student)
        seed = next(line.split()[1] for line in Path("task.yaml").read_text().splitlines() if line.startswith("seed"))
        assert classlab("run", "net.yaml", "--seed", seed).exit_code == 0
        (run,) = student.glob("runs/*/*")
        words = [sys.executable, "-m", "classlab.cli.main", "hand-in", str(run), "--for", "task.yaml"]
        refused = subprocess.run(words, capture_output=True, text=True)  # this process trusts the code already
        assert refused.returncode == 2 and "refused unless --trust is given" in refused.stderr
        done = classlab(
            "hand-in", *student.glob("runs/*/*"), "--for", "task.yaml", "--trust", "--out", folder / "sent" / "a.zip"
        )
        assert done.exit_code == 0, done.output
        assert "counted and measured by graph.onnx" in done.output
    return folder, student


def graded(folder, out, *words):
    words = (*words, "--rules", folder / "rules.yaml", "--class-list", folder / "class.csv")
    done = classlab("grade", folder / "sent", "--out", out, "--jobs", 1, "--json", *words)
    assert done.exit_code == 0, (done.output, done.exception)
    (record,) = [json.loads(file.read_text()) for file in (out / "weighed").glob("?*" * 5 + ".json")
                 if file.name != "draw.json"]  # fmt: skip
    return json.loads(done.stdout)["students"][0], record["runs"][0]


def test_without_trust_the_graph_is_measured_and_no_code_runs(handed_in, tmp_path):
    folder, student = handed_in
    (folder / "ran").unlink(missing_ok=True)
    points, run = graded(folder, tmp_path)
    assert points["points"] == 5 and not (folder / "ran").exists()
    (summary,) = student.glob("runs/*/*/summary.json")
    assert run["measured"]["test_accuracy"] == pytest.approx(json.loads(summary.read_text())["test_accuracy"])
    assert run["measured"]["parameters"] == 6 * 9 + 6 + 2 * 6 + 240 + 10
    assert run["proof"]["word"] == "not proved" and "--trust" in run["proof"]["sentence"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux cuts a process off")
def test_with_trust_the_code_runs_apart_and_its_training_is_proved(handed_in, tmp_path):
    folder, _ = handed_in
    points, run = graded(folder, tmp_path, "--trust")
    if "does not let a process be cut off" in run["problem"]:
        pytest.skip(run["problem"])
    assert points["points"] == 5 and run["proof"]["word"] == "proved" and not (folder / "ran").exists()
    assert any("what its process says" in note for note in run["notes"])


@pytest.mark.parametrize(
    ("file", "name", "shape"),
    [("norms", "group", (3, 32, 32)), ("norms", "ConvNext", (3, 32, 32)), ("resnets", "Auxiliary", (3, 32, 32)),
     ("dilated", "both", (2, 40, 40)), ("tuples", "Patches", (1, 28, 28)), ("dilated", "ceiled", (1, 28, 28))],
)  # fmt: skip
def test_a_graph_answers_and_counts_as_the_network_it_was_made_of(file, name, shape, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(STUDENTS))
    torch.manual_seed(1)
    network = getattr(importlib.import_module(file), name)()
    with torch.no_grad():
        network(torch.rand(2, *shape))  # lazy layers take their sizes
        for value in network.state_dict().values():  # as if trained: no two tensors are the same
            if value.is_floating_point():
                value += 0.05 * torch.rand(value.shape)
    made = graph(network.eval(), torch.rand(2, *shape), ["answers"])
    (tmp_path / "graph.onnx").write_bytes(made.SerializeToString())
    again = graph_network.read(tmp_path / "graph.onnx", shape)
    with torch.no_grad():
        images = torch.rand(3, *shape)
        np.testing.assert_allclose(again(images), network(images), rtol=1e-4, atol=1e-4)
    state = {f"model.{key}": value for key, value in network.state_dict().items()}
    trainable = sum(value.numel() for value in network.parameters())
    assert graph_network.held_against(again, state) == (trainable, "")
    if name not in ("Auxiliary", "Patches"):  # a head that only training uses; attention that a graph takes apart
        tables = layer_table(network, shape), layer_table(again, shape)
        assert tables[0].multiply_adds == tables[1].multiply_adds
        assert contents(tables[0]) == contents(tables[1])


def simple(change=lambda model: None):
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(48, dtype=np.float32).reshape(3, 16) / 48, "w")
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["images"], ["flat"]), helper.make_node("Gemm", ["flat", "w"], ["answers"],
                                                                             transB=1)],
        "g", [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["n", 3])], [weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    change(model)
    return model.SerializeToString()


def inserted(kind, inputs=("images",), **attributes):
    from onnx import helper

    def change(model):
        model.graph.node.insert(0, helper.make_node(kind, list(inputs), ["seen"], **attributes))
        model.graph.node[1].input[0] = "seen"

    return change


def outside(model):
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer[0].data_location = 1


def bomb(model):
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 10**9, 4, 4]), "size"))
    inserted("Expand", ("images", "size"))(model)


def shortened(model):
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:8]


def foreign(model):
    model.opset_import.add(domain="com.microsoft", version=1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no graph at all", "is no ONNX graph"), (simple(outside), "lie in another file"),
        (simple(bomb), "a value of"), (simple(shortened), "cannot be run"), (simple(foreign), "not ONNX's own"),
        (simple(inserted("NonZero")), "holds NonZero"),
        (simple(inserted("Conv", ("images", "w"), auto_pad="SAME_UPPER")), "automatic padding"),
        (simple(lambda model: model.graph.node.pop()), "cannot be run"),
        (simple(lambda model: model.graph.input[0].type.tensor_type.shape.dim.pop()), "images of [1, 4]"),
    ],
)  # fmt: skip
def test_a_hostile_graph_gets_one_sentence(content, sentence, tmp_path):
    (tmp_path / "graph.onnx").write_bytes(content)
    with pytest.raises(UserError, match=sentence.replace("[", r"\[")) as raised:
        graph_network.read(tmp_path / "graph.onnx", (1, 4, 4))
    assert "\n" not in str(raised.value)


def test_a_graph_of_other_weights_is_not_the_one_handed_in(tmp_path):
    (tmp_path / "graph.onnx").write_bytes(simple())
    network = graph_network.read(tmp_path / "graph.onnx", (1, 4, 4))
    same = {"model.w": torch.arange(48).reshape(3, 16) / 48, "model.bias": torch.rand(7)}
    assert graph_network.held_against(network, same) == (55, "")
    other = {"model.w": torch.rand(3, 16)}
    assert "not in the weights" in graph_network.held_against(network, other)[1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_the_code_left_in_place_of_its_figures_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "traits.npz")
    with pytest.raises(UserError, match=r"traits\.npz"):
        weighing_room._read_numbers(tmp_path / "traits.npz")
    (tmp_path / "link.npz").symlink_to("/etc/passwd")
    with pytest.raises((UserError, ValueError)):
        weighing_room._read_numbers(tmp_path / "link.npz")

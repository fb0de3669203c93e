"""`classlab inspect FILE.py:NAME`: a reader's own network, without an experiment."""

import json
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.cli.output import console
from classlab.errors import UserError
from classlab.experiment import Choice, load
from classlab.models.make import make

NETS = """
import torch
import torch.nn.functional as F
from torch import nn
from beside import WIDTH

print("imported")


class Net(nn.Module):
    def __init__(self, in_channels=3, num_classes=7, width=WIDTH):
        super().__init__()
        print("built")
        self.conv = nn.Conv2d(in_channels, width, 3, padding=2, dilation=2, groups=in_channels)
        self.norm = nn.GroupNorm(1, width)
        self.fc = nn.Linear(width, num_classes)
        self.spare = nn.Linear(2, 3)

    def forward(self, x):
        print(x.shape)
        return F.softmax(self.fc(self.norm(self.conv(x)).mean((2, 3))))


class Two(nn.Module):
    def forward(self, left, right):
        return left + right


class None_(nn.Module):
    def forward(self):
        return torch.zeros(2, 3)


class Pair(Net):
    def forward(self, x):
        return super().forward(x), x


class Lost(Net):
    def forward(self, x):
        return self.nothing(x)


class Needy(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        raise ValueError(f"no hidden {hidden}")


class Hidden(nn.Sequential):
    def __init__(self, out_features, hidden: int, act=nn.ReLU):
        super().__init__(nn.Flatten(), nn.LazyLinear(hidden), act(), nn.Linear(hidden, out_features))


class Lenet(nn.Sequential):
    def __init__(self, num_channels=6):
        layers = nn.Conv2d(1, num_channels, 5), nn.MaxPool2d(2), nn.Conv2d(num_channels, 16, 5), nn.MaxPool2d(2)
        super().__init__(*layers, nn.Flatten(), nn.Linear(400, 10))


class Never(Lenet):
    def __init__(self):
        super().__init__()
        self[5] = nn.Linear(401, 10)


class Batchless(nn.Sequential):
    def forward(self, x):
        return x.flatten().view(-1, 8)


ready = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(1))
digits = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "beside.py").write_text('print("beside")\nWIDTH = 6\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inspect(*words, width=80):
    before, console.width = console._width, width
    try:
        return CliRunner().invoke(app, ["inspect", *words])
    finally:
        console._width = before  # the next command is piped, and wraps no table


def shell(*words, cwd):
    command = [sys.executable, "-c", "from classlab.cli.main import main; main()", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def refused(*words):
    done = inspect(*words)
    assert isinstance(done.exception, UserError), done.output
    return str(done.exception)


def test_prints_go_to_standard_error_neighbours_are_found_and_json_stays_json(nets):
    before = list(sys.path)
    done = inspect("nets.py:Net", "--input", "3x32x32", "--json")
    table = json.loads(done.stdout)
    assert [word in done.stderr for word in ("beside", "imported", "built", "torch.Size([2, 3, 32, 32])")] == [True] * 4
    assert sys.path == before and "beside" not in done.stdout
    assert (table["experiment"], table["network"], table["input_shape"]) == (None, "nets.py:Net", [3, 32, 32])
    assert [part["name"] for part in table["unused"]] == ["spare"] and table["unused_parameters"] == 9
    assert table["layers"][-1]["output_shape"] == [7], "without data the author's own number of classes stands"


def test_the_table_shows_dilation_groups_and_that_a_norm_mixes_and_names_what_is_unused(nets):
    done = inspect("nets.py:Net", "--out", "net.svg", "--out", "net.csv")
    assert "nets.py:Net: images 3×32×32, the first usual size that fits (--input states another)" in done.stdout
    assert "conv     Conv       3 s1 p2 d2 g3  6×32×32" in done.stdout
    assert "5 s1 + norm" in done.stdout and "+ norm: also on what lies beyond, through a norm" in done.stdout
    assert "d dilation, g groups;" in done.stdout
    assert "Unused, never run: spare (Linear); 9 of the 130 parameters are theirs, 121 are used." in done.stdout
    assert "conv 3 s1 p2 d2 g3" in (nets / "net.svg").read_text()
    assert (nets / "net.csv").read_text().splitlines()[1].endswith("2,2,3,false")


def test_a_warning_names_the_reader_s_line_and_no_file_of_classlab_s(nets):
    (nets / "nets.py").write_text(NETS + '\nimport warnings\nwarnings.warn("mind this", stacklevel=2)\n')
    done = shell("inspect", "nets.py:Net", cwd=nets)
    line = 1 + NETS.splitlines().index("        return F.softmax(self.fc(self.norm(self.conv(x)).mean((2, 3))))")
    assert f"nets.py:{line}: UserWarning: Implicit dimension choice for softmax" in done.stderr
    assert "nets.py:" in done.stderr and "mind this" in done.stderr and "classlab/" not in done.stderr
    assert done.stderr.count("Implicit dimension") == 1


@pytest.mark.parametrize(
    ("name", "images"),
    [("Lenet", "1×32×32"), ("ready", "1×28×28"), ("digits", "1×8×8"), ("Net", "3×32×32")],
)
def test_where_no_size_is_stated_the_first_usual_one_that_fits_is_taken(nets, name, images):
    assert f"images {images}, the first usual size that fits" in inspect(f"nets.py:{name}").stdout


def test_what_authors_call_the_facts_is_filled_in_unless_it_is_stated(nets):
    done = inspect("nets.py:Net", "--input", "1x28x28")
    assert "filled in: in_channels 1" in done.stdout and "6×28×28" in done.stdout
    assert "12×32×32" in inspect("nets.py:Net", "--set", "model.width=12").stdout
    done = inspect("nets.py:Net", "--input", "1x8x8", "--set", "model.num_classes=4", "--json")
    assert json.loads(done.stdout)["layers"][-1]["output_shape"] == [4]
    done = inspect("nets.py:Hidden", "--set", "model.hidden=5")
    assert "filled in: out_features 10" in done.stdout and "3,985" in done.stdout
    assert "Conv  " in inspect("nets.py:Lenet").stdout, "num_channels has a default, and may mean the width"


def test_an_experiment_fills_them_in_from_its_data_and_does_not_state_them(nets):
    experiment = load("digits-quick", ["model={name: nets.py:Net, width: 3}"], trust=True)
    assert experiment.model.options == {"width": 3}
    network = experiment.model.call("model", input_shape=(1, 8, 8), classes=10)
    assert (network.conv.in_channels, network.fc.out_features) == (1, 10)
    stated = load("digits-quick", ["model={name: nets.py:Net, num_classes: 4}"], trust=True)
    assert stated.model.options == {"num_classes": 4, "width": 6}
    assert stated.model.call("model", input_shape=(1, 8, 8), classes=10).fc.out_features == 4


def test_a_network_that_stands_ready_in_a_file_is_drawn_from_the_seed(nets):
    choice = load("digits-quick", ["model=nets.py:digits"], trust=True).model
    drawn = [make(choice, Choice(name="default"), (1, 8, 8), 10, seed)[1].weight for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    with pytest.raises(UserError, match=r"nets\.py:digits: width is not a setting; it has: none"):
        load("digits-quick", ["model={name: nets.py:digits, width: 3}"], trust=True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nets.py:Two"], "the forward of Two takes 2 inputs (left, right)"),
        (["nets.py:None_"], "a network is given one input, a batch of images; the forward of None_ takes no images"),
        (["nets.py"], "is named by FILE.py:NAME; got nets.py; it defines Net, Two, None_"),
        (["nets.py:"], "is named by FILE.py:NAME; got nets.py:; it defines"),
        (["nets.py:Nett"], "nets.py defines no function or class 'Nett' to use as model; did you mean Net?"),
        (["none.py:Net"], "there is no file none.py to take code from"),
        (["nets.py:Net", "--input", "28x28"], "--input takes channels x height x width, such as 1x28x28 or 3x32x32"),
        (["nets.py:Net", "--input", "0x28x28"], "each from 1 to 4,096; got 0x28x28"),
        (["nets.py:Lenet", "--input", "3x32x32"], "its layer 0 (Conv2d) is given (3, 32, 32) and takes (1,"),
        (["nets.py:Never"], "its layer 5 (Linear) is given (256) and takes (401); --input CxHxW states another size"),
        (["nets.py:Hidden"], "nets.py:Hidden: hidden is required and was not given (--set model.OPTION=VALUE sets"),
        (["nets.py:Hidden", "--set", "model.hidden=a"], "nets.py:Hidden: hidden must be a whole number; got 'a'"),
        (["nets.py:Net", "--set", "training.epochs=3"], "only its options are set: --set model.OPTION=VALUE"),
        (["era-s6", "--input", "3x32x32"], "--input goes with FILE.py:NAME; the images of the experiment era-s6"),
        (["nets.py:Batchless"], "images (1, 28, 28) do not fit Batchless; --input CxHxW states another size"),
        (["nets:Net"], "there is no module named 'nets' to take code from (file.py:name takes a file)"),
    ],
)  # fmt: skip
def test_what_cannot_be_inspected_gets_one_sentence(nets, words, sentence):
    assert sentence in refused(*words)


def test_a_table_comes_first_where_the_answer_is_no_one_tensor_for_each_image(nets):
    done = inspect("nets.py:Pair", "--json")
    assert json.loads(done.stdout)["parameters"] == 130
    assert str(done.exception).endswith("it returns a tuple of 2 (Tensor, Tensor)")
    done = inspect("nets.py:Batchless", "--input", "1x8x8")
    assert "8 " in done.stdout and "must keep the images of a batch apart" in str(done.exception)


def test_a_table_comes_first_where_the_last_layer_does_not_fit_the_classes(nets):
    changed = ("digits-quick", "--set", "model={name: nets.py:Net, num_classes: 4}")
    for more in ([], ["--json"]):
        done = inspect(*changed, *more)
        assert str(done.exception).endswith("(Softmax) gives (4) for each image, 10 classes need (10)")
        assert "GroupNorm" in done.stdout
    done = shell("inspect", *changed, cwd=nets)
    assert done.returncode == 2 and "GroupNorm" in done.stdout and "10 classes need (10)" in done.stderr


def test_a_module_that_is_not_installed_is_named_in_one_sentence(nets):
    (nets / "far.py").write_text("import torchvisionn.models\n")
    (nets / "near.py").write_text("import far\n")
    assert refused("far.py:Net") == (
        "far.py imports torchvisionn, and no module of that name is installed here or lies beside the file"
    )
    assert refused("near.py:Net").startswith("far.py imports torchvisionn")
    assert refused("digits-quick", "--set", "model=near.py:Net").startswith("far.py imports torchvisionn")
    (nets / "late.py").write_text("def build():\n    import torchvisionn\n")
    assert refused("late.py:build").startswith("late.py imports torchvisionn")
    (nets / "script.py").write_text("raise SystemExit('usage: script.py FOLDER')\n")
    assert 'put what only a script does behind if __name__ == "__main__":' in refused("script.py:Net")


def test_a_file_may_import_its_neighbours_with_a_dot(nets):
    (nets / "dotted.py").write_text("from .nets import Lenet\nfrom . import beside\n")
    assert inspect("dotted.py:Lenet").exit_code == 0
    (nets / "beside.py").write_text("WIDTH = 9\n")
    assert not any(name.endswith(".nets") and "dotted" not in name for name in sys.modules)


@pytest.mark.parametrize(
    ("words", "last"),
    [
        (["nets.py:Lost"], "AttributeError: 'Lost' object has no attribute 'nothing'"),
        (["nets.py:Needy", "--set", "model.hidden=3"], "ValueError: no hidden 3"),
        (["broken.py:Net"], "SyntaxError: invalid syntax"),
        (["digits-quick", "--set", "model=raising.py:Net"], "ValueError: my own mistake"),
        (["digits-quick", "--set", "model=nets.py:Lost"], "AttributeError: 'Lost' object has no attribute 'nothing'"),
    ],
)
def test_an_error_of_the_reader_s_fits_a_screen_and_shows_the_reader_s_lines(nets, words, last):
    (nets / "broken.py").write_text("class Net(:\n")
    (nets / "raising.py").write_text("raise ValueError('my own mistake')\n")
    done = shell("inspect", *words, cwd=nets)
    told = done.stderr[done.stderr.index("Traceback") :]
    assert done.returncode == 1 and told.splitlines()[-1] == last
    assert len(told.splitlines()) < 10 and any(file in told for file in ("nets.py", "broken.py", "raising.py"))
    for name in ("typer", "click", "pydantic", "lookup.py", "own_code.py", "trace.py"):
        assert name not in told


def test_a_softmax_before_cross_entropy_is_said_before_training_and_by_inspect(nets, capsys):
    fields = {
        "name": "twice",
        "data": {"dataset": "digits", "max_per_class": 10, "max_test_per_class": 5},
        "model": "nets.py:digits",
        "training": {"epochs": 1, "batch_size": 50, "optimizer": "adam"},
    }
    sentence = "the network ends in a softmax (layer 2), and the loss cross_entropy applies one itself"
    cl.train(load(fields, trust=True), out=nets / "runs", verbose=False)
    assert sentence in capsys.readouterr().err
    assert sentence in inspect("digits-quick", "--set", "model=nets.py:digits").stderr
    assert sentence not in inspect("digits-quick").stderr
    assert sentence not in inspect("digits-quick", "--set", "model=nets.py:digits", "--set", "training.loss=nll").stderr


def test_sanity_is_asked_of_it_too(nets):
    done = inspect("nets.py:Lenet", "--sanity", "--json")
    assert [finding["question"] for finding in json.loads(done.stdout)["sanity"]] == [
        "first_loss",
        "gradients",
        "overfit",
    ]

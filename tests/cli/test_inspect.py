import json
import re

import pytest
import torch
from cost import full_disk
from typer.testing import CliRunner

from classlab.cli.main import app
from classlab.cli.output import console
from classlab.errors import UserError

COUNTS = {
    **{"era-s6": 16_976, "eva7-net8": 19_310, "eva7-net2": 14_026, "eva7-net3": 19_174, "prml-mlp": 52_650},
    **{"fashion-cnn": 1_730_610, "fashion-autoencoder": 815_196, "fashion-encoder-classifier": 418_240},
    **{"cifar-linear": 30_730, "cifar-mlp": 379_774, "cifar-mlp-no-relu": 379_774, "cifar-lenet": 62_006},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def inspect(*arguments, width=80):
    before, console.width = console._width, width
    try:
        return CliRunner().invoke(app, ["inspect", *arguments], catch_exceptions=False)
    finally:
        console._width = before  # the next command is piped, and wraps no table


@pytest.mark.parametrize("name", COUNTS)
def test_every_network_of_the_reports_is_shipped_and_exact(name):
    document = json.loads(inspect(name, "--json").stdout)
    assert document["parameters"] == document["trainable_parameters"] == COUNTS[name]
    assert set(document) >= {"parameters", "multiply_adds", "memory", "input_shape", "layers"}
    for layer in document["layers"]:
        assert set(layer) >= {"name", "kind", "output_shape", "kernel", "stride", "padding", "parameters"}
        assert set(layer["receptive_field"]) == {"size", "stride", "global"}


def test_the_table_names_every_layer_and_fits_the_terminal():
    shown = inspect("era-s6")
    assert shown.exit_code == 0
    assert re.search(r"conv9 +Conv +3 s1 p1 +16×5×5 +2,304 +57,600 +28 s2", shown.stdout)
    assert re.search(r"total +16,976 +3,043,040", shown.stdout)
    assert "input 0.00, forward and backward 0.81, parameters 0.06, total 0.88" in shown.stdout
    assert "16,976 parameters, at most 19,999 allowed: kept" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines() if "s1 p0" in line)
    assert re.search(r"average +AdaptiveAvgPool +16×1×1", inspect("mnist-20k").stdout)
    wide = inspect("mnist-20k", width=120).stdout
    assert "receptive field" in wide and re.search(r"average +AdaptiveAvgPool2d +16×1×1", wide)


def test_settings_can_be_changed_and_a_broken_contract_is_only_shown():
    shown = inspect("era-s6", "--set", "model.width=18")
    assert shown.exit_code == 0 and "at most 19,999 allowed: not kept" in shown.stdout


def test_a_reader_s_own_module_is_inspected(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, width=4):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ndata: {dataset: digits}\n"
        f"model: {{name: '{tmp_path}/mine.py:Net', width: 8}}\n"
        "training: {epochs: 1, batch_size: 8, optimizer: {name: sgd, learning_rate: 0.1}}\n"
    )
    document = json.loads(inspect(str(tmp_path / "mine.yaml"), "--json").stdout)
    assert document["parameters"] == 64 * 8 + 8 + 80 + 10


def test_a_model_that_does_not_fit_the_data_is_told_in_a_sentence():
    with pytest.raises(UserError, match="model era_s6 needs images of at least 20×20 pixels; got 8×8"):
        inspect("digits-quick", "--set", "model=era_s6")
    with pytest.raises(UserError, match="there is no model named 'perceptor'; did you mean perceptron"):
        inspect("prml-mlp", "--set", "model=perceptor")


def test_nothing_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path))
    assert inspect("cifar-lenet").exit_code == 0
    assert not list(tmp_path.iterdir())


def test_classes_counted_anew_shrink_the_last_layer():
    document = json.loads(inspect("fashion-cnn", "--set", "data.labels=renumber", "--json").stdout)
    assert document["layers"][-1]["output_shape"] == [5]


def test_it_is_written_in_every_form(tmp_path):
    files = [tmp_path / f"net{ending}" for ending in (".html", ".csv", ".tex", ".svg", ".png")]
    assert inspect("prml-mlp", *(part for file in files for part in ("--out", str(file)))).exit_code == 0
    page, table, latex, svg, png = (file.read_bytes() for file in files)
    assert b"<svg" in page and b"linear3" in page and b"://" not in page.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"linear3,Linear,10" in table and b"\\toprule" in latex and svg.startswith(b"<svg") and png[1:4] == b"PNG"


def test_where_it_cannot_be_written_is_told():
    with pytest.raises(
        UserError, match=r"--out writes files that end in \.html, \.csv, \.tex, \.svg, \.png; got x\.jpg"
    ):
        inspect("prml-mlp", "--out", "x.jpg")
    with pytest.raises(UserError, match=r"/nowhere/x\.svg cannot be written: No such file or directory"):
        inspect("prml-mlp", "--out", "/nowhere/x.svg")


def test_sanity_answers_three_questions_and_says_no_with_exit_1(tmp_path):
    document = json.loads(inspect("prml-mlp", "--sanity", "--json").stdout)
    assert [finding["question"] for finding in document["sanity"]] == ["first_loss", "gradients", "overfit"]
    assert all(finding["passed"] for finding in document["sanity"])
    (tmp_path / "dead.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, 10), nn.Threshold(99, 0))\n"
    )
    shown = inspect("prml-mlp", "--sanity", "--set", f"model={{name: '{tmp_path}/dead.py:Net'}}")
    assert shown.exit_code == 1
    assert "✗ no gradient reaches 1.weight and 1 more" in shown.stdout


def test_a_contract_s_wishes_for_layers_are_shown():
    wishes = ("contract.must_contain=[dropout]", "contract.layers.convolution=9", "contract.must_not_contain=[linear]")
    shown = inspect("era-s6", *(part for wish in wishes for part in ("--set", wish)))
    assert "✓ 9 convolution layers, 9 wanted: kept" in shown.stdout
    assert "✗ 1 linear layer, none allowed: not kept" in shown.stdout


@pytest.mark.parametrize("ending", ["html", "csv", "tex", "svg", "png"])
def test_a_file_that_cannot_be_written_is_told_after_the_answer_and_the_old_one_stays(ending, tmp_path):
    file = tmp_path / f"net.{ending}"
    inspect("era-s6", "--out", str(file))
    before = file.read_bytes()
    with full_disk():
        done = CliRunner().invoke(app, ["inspect", "era-s6", "--out", str(file)])
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == f"{file} cannot be written: File too large"
    assert "16,976" in done.stdout
    assert file.read_bytes() == before
    (tmp_path / f"link.{ending}").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="is a link, and nothing is written through links"):
        inspect("era-s6", "--out", str(tmp_path / f"link.{ending}"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

"""`classlab lesson`: the five commands, their exit codes and their sentences."""

import json

import openpyxl
import pytest
from typer.testing import CliRunner

from classlab.cli.main import app
from classlab.errors import UserError
from classlab.lesson import quantities, small_network


def lesson(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["lesson", *map(str, arguments)], catch_exceptions=False)


def sentence(*arguments):
    with pytest.raises(UserError) as caught:
        lesson(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_workbook_has_a_sheet_per_rate_and_the_rows_asked_for(tmp_path):
    done = lesson(
        "workbook", "--like", "era-s6", "--learning-rates", "2,0.05", "--epochs", 4, "--out", tmp_path / "a.xlsx"
    )
    assert done.exit_code == 0
    assert "2 sheets of 4 rows, and Graphs" in done.stdout
    book = openpyxl.load_workbook(tmp_path / "a.xlsx", data_only=True)
    assert book.sheetnames == ["LR 2.0", "LR 0.05", "Graphs"]
    right = lesson("check", tmp_path / "a.xlsx")
    assert right.exit_code == 0
    assert right.stdout.rstrip().endswith("a.xlsx: right")


def test_the_walk_has_the_networks_numbers():
    found = json.loads(lesson("walk", "--like", "eva7-s4", "--epoch", 2, "--json").stdout)
    expected = quantities.values(small_network.descend(small_network.build("eva7-s4"), 10.0, 2)[-1])
    told = {one["result"]: one["value"] for one in found if one["kind"] != "update"}
    for name, value in told.items():
        if " by path " not in name:
            assert value == pytest.approx(expected[name], rel=1e-12)
    text = lesson("walk").stdout
    assert "a_h1 = σ(h1) = 1 / (1 + e^(−h1))" in text
    assert "∂E1/∂a_o1 = a_o1 − t1 = 0.106478" in text
    assert "Every path counts: the gradient of w1 is the sum over all ways from the error to it." in text


def test_the_check_says_what_is_wrong_and_exits_1(tmp_path):
    file = tmp_path / "a.xlsx"
    lesson("workbook", "--learning-rates", "0.5", "--epochs", 8, "--out", file)
    book = openpyxl.load_workbook(file)
    assert book["LR 0.5"]["AD40"].value == "=(S40-B40)*S40*(1-S40)*M40"
    book["LR 0.5"]["AD40"].value = "=(S40-B40)*S40*(1-S40)*K40"
    book.save(file)
    found = lesson("check", file)
    assert found.exit_code == 1
    assert "AD40 multiplies by a_h1 (column K) where a_h2 (column M) belongs" in found.stdout
    assert "should hold" in found.stdout
    assert found.stdout.rstrip().endswith("a.xlsx: wrong")
    document = json.loads(lesson("check", file, "--json").stdout)
    assert document["right"] is False


@pytest.mark.parametrize("options", [[], ["--hidden", "tanh", "--biases", "0", "--output", "softmax"]])
def test_compare_agrees_with_autograd(options):
    done = lesson("compare", *options, "--epochs", 3)
    assert done.exit_code == 0
    assert "over 3 epochs at η = 2 both agree to 1e-12" in done.stdout
    document = json.loads(lesson("compare", *options, "--epochs", 3, "--json").stdout)
    assert document["agree"] is True
    assert document["largest_difference"] < 1e-12


def test_the_page_is_written(tmp_path):
    done = lesson("page", "--out", tmp_path / "a.html", "--epochs", 5, "--sizes", "3,2,1")
    assert done.exit_code == 0
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


def test_mistakes_are_told_in_a_sentence(tmp_path):
    out = ["--out", tmp_path / "a.xlsx"]
    assert sentence("workbook", "--like", "era", *out) == (
        "--like must be one of era-s6, eva7-s4; got 'era'; did you mean era-s6?"
    )
    assert sentence("workbook", "--learning-rates", "2;1", *out) == (
        "--learning-rates takes numbers with commas between them, for example 0.1,0.2; got '2;1'"
    )
    assert sentence("workbook", "--learning-rates", "0", *out) == "a learning rate must be a number above 0; got 0"
    assert sentence("workbook", "--epochs", "0", *out) == "epochs must lie in 1 … 10,000; got 0"
    assert sentence("walk", "--epoch", "0") == "--epoch counts from 1; got 0"
    assert sentence("walk", "--sizes", "2,x").startswith("--sizes takes whole numbers with commas between them")
    assert sentence("walk", "--inputs", "1,2,3").startswith("each example must have 2 inputs; got 3")
    assert sentence("page", "--out", tmp_path / "a.pdf").startswith("--out must end in .html; got")
    assert "there is no folder" in sentence("workbook", "--out", tmp_path / "no" / "a.xlsx")
    assert "cannot be written" in sentence("page", "--out", tmp_path / "no" / "a.html")
    assert "there is no file" in sentence("check", tmp_path / "none.xlsx")


@pytest.mark.parametrize("command", ["workbook", "walk", "page", "check", "compare"])
def test_every_command_has_help_with_an_example(command):
    help_text = " ".join(lesson(command, "--help").stdout.split())
    assert f"Example: classlab lesson {command}" in help_text

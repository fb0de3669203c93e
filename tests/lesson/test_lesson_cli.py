"""`classlab lesson`: what files and options hold is printed as it is, what is written is not lost, limits are told."""

import errno
import os
import time

import layouts
import openpyxl
import pytest
import raw
from typer.testing import CliRunner

from classlab.cli.main import app
from classlab.errors import UserError
from classlab.lesson import small_network, walk_page, written_workbook

WRITERS = {"a.xlsx": written_workbook.write, "a.html": walk_page.write}


def lesson(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["lesson", *map(str, arguments)], catch_exceptions=False)


def sentence(*arguments):
    start = time.process_time()
    with pytest.raises(UserError) as caught:
        lesson(*arguments)
    assert time.process_time() - start < 2
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1600
    return str(caught.value)


# What is printed


@pytest.mark.parametrize("name", ["[bold]x[/y]", "[/x]", ":smile:", "a\x1b[31mb", "x\\"])
def test_a_files_name_is_printed_as_it_is(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = name.replace("\x1b", "\\x1b")
    (tmp_path / name.rpartition("/")[0]).mkdir(exist_ok=True)
    assert lesson("workbook", "--epochs", 3, "--out", f"{name}.xlsx").stdout.startswith(f"{printed}.xlsx: 6 sheets")
    assert lesson("check", f"{name}.xlsx").stdout.rstrip().endswith(f"\n{printed}.xlsx: right")
    assert lesson("page", "--epochs", 3, "--out", f"{name}.html").stdout.startswith(f"{printed}.html: open it in")
    assert f"there is no file {name}-.xlsx" in sentence("check", f"{name}-.xlsx")


@pytest.mark.parametrize("title", ["[red]", "[/x]", ":smile:", "a&#10;b", "x\\", "\u202e"])
def test_what_a_workbook_holds_is_printed_as_it_is(title, tmp_path):
    file = layouts.write(layouts.ERA, tmp_path / "a.xlsx", {("h1", 3): "TEXT", ("a_h1", 3): "=1/0"})
    parts = {name: content.decode() for name, content in raw.read(file).items()}
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace('name="LR 0.5"', f'name="{title}"')
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace(
        "TEXT", "[/bold] :smile: _x001B_&#133;"
    )
    done = lesson("check", raw.write(file, parts))
    assert done.exit_code == 1
    printed = title.replace("&#10;", "\\n").replace("\u202e", "\\u202e")
    assert done.stdout.startswith(f"\n{printed} A35:AE65\n")
    assert "I39 holds the text '[/bold] :smile: _x001B_\\x85' where a number belongs" in done.stdout
    assert "      holds [/bold] :smile: _x001B_\\x85\n" in done.stdout
    assert lesson("check", file, "--json").exit_code == 1


# What is written


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("call", ["fsync", "open", "replace"])
def test_on_a_full_disk_the_old_file_is_kept(name, call, tmp_path, monkeypatch):
    file = tmp_path / name
    WRITERS[name](small_network.build(), [1.0], 3, file)
    before = file.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError) as caught:
        WRITERS[name](small_network.build(), [2.0], 3, file)
    monkeypatch.undo()
    assert str(caught.value) == f"{file} cannot be written: No space left on device"
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_written_through_links_or_over_what_is_no_file(name, tmp_path):
    kept, link, folder = tmp_path / "kept", tmp_path / f"link-{name}", tmp_path / f"folder-{name}"
    kept.write_text("kept")
    link.symlink_to(kept)
    folder.mkdir()
    for file, words in [
        (link, "is a link, and nothing is written through links"),
        (folder, "is not a regular file, so it is not written to"),
        (tmp_path / "none" / name, "cannot be written"),
        (kept / name, "cannot be written"),
        (tmp_path / f"{'x' * 300}{name}", "cannot be written"),
        (tmp_path / f"a\x00{name}", "cannot be written"),
    ]:
        with pytest.raises(UserError) as caught:
            WRITERS[name](small_network.build(), [1.0], 3, file)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    assert kept.read_text() == "kept"
    assert set(tmp_path.iterdir()) == {kept, link, folder}


def test_a_workbook_can_be_written_over_again(tmp_path):
    for rate in (1.0, 2.0):
        written_workbook.write(small_network.build(), [rate], 3, tmp_path / "a.xlsx")
    assert openpyxl.load_workbook(tmp_path / "a.xlsx").sheetnames == ["LR 2.0", "Graphs"]


def test_a_very_large_or_small_rate_makes_a_name_that_a_sheet_can_have(tmp_path):
    written_workbook.write(small_network.build(), [1e-300, 1e25, 1e15], 2, tmp_path / "a.xlsx")
    names = openpyxl.load_workbook(tmp_path / "a.xlsx").sheetnames
    assert names == ["LR 1e-300", "LR 1e+25", "LR 1000000000000000.0", "Graphs"]


# Options


LONG = "9" * 400
OUT = ["--out", "a.xlsx"]
BAD = {
    "epochs": (["workbook", "--epochs", 999999999, *OUT], "epochs must lie in 1 … 10,000; got 999,999,999"),
    "epochs of many digits": (["workbook", "--epochs", "9" * 4200, *OUT], "epochs must lie in 1 … 10,000; got 999,"),
    "no epochs": (["page", "--epochs", 0, "--out", "a.html"], "epochs must lie in 1 … 10,000; got 0"),
    "epochs of a page": (["page", "--epochs", LONG, "--out", "a.html"], "epochs must lie in 1 … 10,000; got 9,999,"),
    "epochs to compare": (["compare", "--epochs", 999999999], "epochs must lie in 1 … 10,000; got 999,999,999"),
    "numbers to compare": (
        ["compare", "--epochs", 10_000, "--sizes", "12,12,12"],
        "up to 500,000 numbers are compared; 289 in each of 10,000 epochs are more: fewer epochs",
    ),
    "epoch 0": (["walk", "--epoch", 0], "--epoch counts from 1; got 0"),
    "epoch": (["walk", "--epoch", 10_001], "--epoch may be up to 10,000; got 10,001"),
    "epoch of many digits": (["walk", "--epoch", LONG], "--epoch may be up to 10,000; got 9,999,"),
    "units": (
        ["walk", "--sizes", "2,999999,2"],
        "--sizes must name 2 to 6 layers of 1 to 12 units, for example 2,2,2; got 2,999999,2",
    ),
    "units of many digits": (["walk", "--sizes", f"2,{LONG},2"], "--sizes must name 2 to 6 layers of 1 to 12 units"),
    "units of too many digits": (["walk", "--sizes", "9" * 5000], "--sizes takes whole numbers with commas between"),
    "layers": (["walk", "--sizes", ",".join("2" * 1000)], "for example 2,2,2; got 2,2,2,2,2,2,2 … (1,000 layers)"),
    "ten thousand layers": (
        ["walk", "--sizes", ",".join("2" * 10_000)],
        "--sizes takes up to 2,000 numbers; got 10,000",
    ),
    "no size": (["walk", "--sizes", ""], "--sizes takes whole numbers with commas between them"),
    "rates that are none": (
        ["workbook", "--learning-rates", "nan,inf,1e999", *OUT],
        "a learning rate must be a number above 0; got nan",
    ),
    "a rate without bounds": (["walk", "--learning-rate", "inf"], "a learning rate must be a number above 0; got inf"),
    "rates": (
        ["workbook", "--learning-rates", ",".join(f"0.{i + 1}" for i in range(100)), *OUT],
        "--learning-rates takes 1 to 24 rates, for example 2,1,0.5; got 100",
    ),
    "ten thousand rates": (["page", "--learning-rates", "1," * 9_999 + "1", "--out", "a.html"], "takes up to 2,000"),
    "inputs of many digits": (["walk", "--inputs", f"{LONG},1"], "inputs must be finite numbers"),
    "inputs too large to add": (["walk", "--inputs", "1e308,1e308", "--weights", "9,9,9,9,1,1,1,1"], "is not finite"),
    "sums whose powers of e are all 0": (
        ["walk", "--output", "softmax", "--weights", "1,1,1,1,-2000,0,-2000,0"],
        "with such large numbers the formulas cannot be worked out as they are written",
    ),
    "examples": (["walk", "--inputs", ";".join(["1,2"] * 200)], "--inputs takes up to 100 examples; got 200"),
    "ten thousand examples": (["walk", "--inputs", ";".join(["1,2"] * 10_000)], "--inputs takes up to 2,000 numbers"),
    "weights times examples": (
        ["walk", "--sizes", "12,12,12,12,12,12", "--inputs", ";".join([",".join("1" * 12)] * 20)],
        "weights times examples may be up to 5,000; got 14,400: fewer units or examples",
    ),
    "no weights": (["walk", "--weights", ","], "--weights takes numbers with commas between them, for example 0.1,0.2"),
    "weights": (["walk", "--weights", ",".join("1" * 1999)], "weights must be 8 numbers for these sizes; got 1999"),
    "a long text": (["walk", "--biases", "x" * 100_000], "--biases takes numbers with commas between them"),
    "a long name": (["walk", "--like", "x" * 100_000], "--like must be one of era-s6, eva7-s4; got 'xxx"),
    "another activation": (
        ["walk", "--hidden", "x" * 100_000],
        "--hidden must be one of sigmoid, tanh, relu; got 'xxx",
    ),
    "a link": (["check", "/dev/stdin"], "is not a regular file"),
}


@pytest.mark.parametrize("case", BAD)
def test_every_option_has_a_maximum_that_is_told_at_once(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = BAD[case]
    assert words in sentence(*arguments)
    assert not list(tmp_path.iterdir())

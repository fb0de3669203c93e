"""The lines of a training fit a terminal, and a table that is piped is not wrapped."""

import math
from pathlib import Path

import pytest
from rich.table import Table

from classlab.runs.epoch_table import screen
from classlab.runs.events import Begun, EpochDone
from classlab.terminal import PlainConsole

ROW = {"epoch": 1, "train_loss": 2.25, "train_accuracy": 0.9312, "val_loss": 1.5, "val_accuracy": 1.0}
END = {"learning_rate": 0.00096, "seconds": 1234.5}
ROWS = {
    "one split": {**{key: value for key, value in ROW.items() if "val" not in key}, **END},
    "two splits": {**ROW, **END},
    "three splits": {**ROW, "test_loss": 0.5, "test_accuracy": 0.05, **END},
    "losses alone": {"epoch": 1, "train_loss": 2.25, "val_loss": 1.5, "test_loss": 1.5, **END},
    "large and lost": {**ROW, "train_loss": 123456789.0, "val_loss": math.inf, **END},
}


def lines(row, epochs, capsys):
    for _ in screen([Begun(Path("run"), "name", 0, epochs, 0, 100), EpochDone(Path("run"), row)]):
        pass
    return [line for line in capsys.readouterr().err.splitlines() if line.strip()]


@pytest.mark.parametrize("epochs", [1, 20, 1000])
@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_line_fits_the_terminal_and_the_heading_stands_over_it(row, width, epochs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    splits, titles, cells = lines(row, epochs, capsys)
    assert len(splits) == len(titles) == len(cells) <= width
    for split in ("train", "val", "test"):
        assert splits.split().count(split) == sum(key.startswith(split) for key in row)
    assert len(titles.replace("acc %", "acc").split()) == len(cells.split())
    assert ("rate" in titles and "seconds" in titles) or width == 60


def test_the_rate_goes_before_the_seconds_and_no_split_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "65")
    _, titles, _ = lines(ROWS["three splits"], 20, capsys)
    assert titles.split() == ["epoch", *["loss", "acc", "%"] * 3, "seconds"]


def test_a_table_is_wrapped_in_a_terminal_alone(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    table = Table(box=None)
    table.add_column("path")
    table.add_row("runs/" + "x" * 200)
    PlainConsole().print(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) > 200
    PlainConsole(force_terminal=True, color_system=None).print(table)
    assert "…" in capsys.readouterr().out

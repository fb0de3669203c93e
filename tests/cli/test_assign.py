"""`classlab assign` as a shell sees it."""

import csv
import json
import os
from pathlib import Path

import pytest
from cost import full_disk, within
from typer.testing import CliRunner

from classlab.cli import main as shell
from classlab.errors import UserError

ADA = ("--born", "18/03/02", "--roll", "B20AI052")


def assign(*words):
    return CliRunner().invoke(shell.app, ["assign", *map(str, words)], catch_exceptions=False)


def test_words_are_the_derivation_and_where_the_files_are(tmp_path):
    done = assign("dl-minor-1", *ADA, "--out", tmp_path)
    assert done.exit_code == 0
    assert "DD+MM+YY = 23, odd → classes 1, 3, 5, 7, 9\n" in done.stdout
    assert str(tmp_path / "dl-minor-1-ecc926221e") in done.stdout and "(ours)" not in done.stdout
    assert "MNIST (ours)" in assign("dl-minor-1", "--born", "18/03/02", "--roll", "053", "--out", tmp_path).stdout


def test_json_is_one_document_with_every_file_and_no_birth_date(tmp_path):
    done = assign("dl-minor-1", *ADA, "--out", tmp_path, "--json")
    document = json.loads(done.stdout)
    assert document["rules"] == "dl-minor-1" and document["task"] == "ecc926221e"
    assert len(document["derivation"]) == 10 and len(document["experiments"]) == len(document["contracts"]) == 3
    for file in [*document["experiments"], *document["contracts"], *document["sheet"].values()]:
        assert Path(file).is_file()
    assert "18/03" not in done.stdout and "B20AI" not in done.stdout


def test_an_assigned_experiment_runs_and_its_contract_is_checked(tmp_path):
    """Rules of one's own, sized for a test: from the details to a run that is checked."""
    rules = tmp_path / "mine.yaml"
    rules.write_text(
        """
title: Small digits
quantities: {letters: {letters: first}}
decisions:
  width: {about: width, branches: [{when: {more_than: [letters, 4]}, value: 16}, {value: 8, means: eight units}]}
experiments:
  net:
    data: {dataset: digits}
    model: {name: perceptron, widths: [{decided: width}]}
    training: {epochs: 1, batch_size: 64, optimizer: {name: sgd, learning_rate: 0.1}}
contracts:
  net: {dataset: digits, layers: {linear: 2}, max_parameters: 700}
"""
    )
    done = assign(rules, *ADA, "--first", "Ada", "--out", tmp_path, "--json")
    document = json.loads(done.stdout)
    assert [line["why"] for line in document["derivation"]] == ["letters = 3, at most 4"]
    words = ["run", document["experiments"][0], "--out", str(tmp_path / "runs")]
    assert CliRunner().invoke(shell.app, words, catch_exceptions=False).exit_code == 0
    words = ["check", str(tmp_path / "runs"), "--contract", document["contracts"][0]]
    checked = CliRunner().invoke(shell.app, words, catch_exceptions=False)
    assert checked.exit_code == 0 and "2 linear layers, 2 wanted: kept" in checked.stdout
    with pytest.raises(UserError, match=r"^letters needs the student's first name: give --first$"):
        assign(rules, *ADA, "--out", tmp_path)


def test_a_class_gets_its_tasks_and_a_table_of_how_even_they_are(tmp_path):
    rows = "".join(f"{day:02d}/{1 + day % 12:02d}/02,B20AI{7 * day:03d}\n" for day in range(1, 13))
    (tmp_path / "class.csv").write_text("born,roll\n" + rows)
    words = ("dl-minor-1", "--class-list", tmp_path / "class.csv", "--out", tmp_path / "tasks")
    document = json.loads(assign(*words, "--json").stdout)
    assert document["students"] == len(document["tasks"]) == 12
    assert len(list((tmp_path / "tasks").glob("dl-minor-1-*/task.pdf"))) == 12
    dataset = document["spread"][0]
    assert [branch["means"] for branch in dataset["branches"]] == ["Fashion-MNIST", "MNIST"]
    assert [branch["count"] for branch in dataset["branches"]] == [6, 6] and dataset["p"] == 1.0
    assert "born" not in (tmp_path / "tasks" / "tasks.csv").read_text()
    shown = assign(*words).stdout
    assert f"12 students, {document['distinct_tasks']} different tasks" in shown and "50 %" in shown


def test_the_class_list_is_not_written_over(tmp_path):
    (tmp_path / "tasks.csv").write_text("born,roll\n18/03/02,B20AI052\n")
    with pytest.raises(UserError, match=r"tasks.csv is where the table of tasks goes; give another folder with --out"):
        assign("dl-minor-1", "--class-list", tmp_path / "tasks.csv", "--out", tmp_path)
    assert (tmp_path / "tasks.csv").read_text().startswith("born,roll")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("dl-minor-1",), r"^--born is required \(or --class-list for a whole class\)$"),
        (("dl-minor-1", "--born", "18/03/02"), "^--roll is required"),
        (("dl-minor-1", *ADA, "--class-list", "x.csv"), "^give a student with --born and --roll, or a class"),
        (("dl-minor-1", "--class-list", "x.csv"), r"^there is no file x.csv$"),
        (("dl-minor-1", "--born", "31/02/02", "--roll", "052"), "^February of a year 02 has the days 01 to 28"),
        (("dl-minor-1", "--born", "18/03/02", "--roll", "A52"), "^ABC is the last 3 digits of the roll number"),
        (("dl-minor-2", *ADA), "^there is no assignment named 'dl-minor-2', .* did you mean dl-minor-1"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, sentence):
    with pytest.raises(UserError, match=sentence):
        assign(*words)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be made: .*; give another folder with --out"):
        assign("dl-minor-1", *ADA, "--out", tmp_path / "file")


def test_the_help_holds_an_example():
    assert "Example: classlab assign dl-minor-1 --born 18/03/02 --roll B20AI052" in assign("--help").stdout


ODD = """
title: "[bold]Odd rules"
about: "[max] of [/red]"
quantities: {letters: {letters: first}}
decisions:
  width: {about: "=[max] width", branches: [{when: {more_than: [letters, 4]}, value: 16, means: "-[/red] many"},
          {value: 8, means: "@eight [max] units"}]}
experiments:
  net:
    data: {dataset: digits}
    model: {name: perceptron, widths: [{decided: width}]}
    training: {epochs: 1, batch_size: 64, optimizer: {name: sgd, learning_rate: 0.1}}
"""


def test_rules_of_any_text_are_shown_and_written_as_they_are_and_a_class_is_assigned_again(tmp_path):
    rules = tmp_path / "mine.yaml"
    rules.write_text(ODD)
    done = assign(rules, *ADA, "--first", "Ada", "--out", tmp_path / "[bold]out")
    assert "@eight [max] units" in done.stdout and "[bold]out" in done.stdout and "\x1b" not in done.stdout
    (tmp_path / "class.csv").write_text("born,roll,first\n18/03/02,B20AI052,Ada\n19/03/02,B20AI053,Brunhilde\n")
    words = (rules, "--class-list", tmp_path / "class.csv", "--out", tmp_path / "tasks")
    for _ in range(2):  # the table that stands there is understood
        shown = assign(*words).stdout
        assert "=[max] width" in shown and "-[/red] many" in shown and "\x1b" not in shown
    for file in (tmp_path / "tasks").rglob("*"):
        if file.suffix in {".csv", ".md", ".yaml"}:
            assert "\x1b" not in file.read_text()
    with (tmp_path / "tasks" / "tasks.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["roll", "task", "folder", "'=[max] width"]
    assert [row[3] for row in rows[1:]] == ["'@eight [max] units", "'-[/red] many"]


def test_a_first_name_that_is_no_utf_8_is_no_traceback(tmp_path):
    rules = tmp_path / "mine.yaml"
    rules.write_text(ODD)
    assert assign(rules, *ADA, "--first", "Ada\udcff\x1b", "--out", tmp_path).exit_code == 0


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_task_s_file_that_is_none_is_not_written_to(kind, tmp_path):
    folder = tmp_path / "tasks" / "dl-minor-1-ecc926221e"
    folder.mkdir(parents=True)
    place = folder / "task.md"
    {"link": lambda: place.symlink_to(tmp_path / "outside"), "folder": place.mkdir, "pipe": lambda: os.mkfifo(place)}[
        kind
    ]()
    with pytest.raises(UserError, match=r"task.md is .*; give another folder with --out$"):
        assign("dl-minor-1", *ADA, "--out", tmp_path / "tasks")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_table_of_tasks_that_is_no_file_is_told_before_anything_is_written(kind, tmp_path):
    (tmp_path / "class.csv").write_text("born,roll\n18/03/02,B20AI052\n")
    (tmp_path / "tasks").mkdir()
    place = tmp_path / "tasks" / "tasks.csv"
    {"link": lambda: place.symlink_to(tmp_path / "outside"), "folder": place.mkdir, "pipe": lambda: os.mkfifo(place)}[
        kind
    ]()
    with within(5), pytest.raises(UserError, match=r"tasks.csv is (a link|in the way), and .*; give another folder"):
        assign("dl-minor-1", "--class-list", tmp_path / "class.csv", "--out", tmp_path / "tasks")
    assert [path.name for path in (tmp_path / "tasks").iterdir()] == ["tasks.csv"]


def test_on_a_full_disk_the_old_task_stays(tmp_path):
    assign("dl-minor-1", *ADA, "--out", tmp_path)
    folder = tmp_path / "dl-minor-1-ecc926221e"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with (
        full_disk(),
        pytest.raises(UserError, match="cannot be written: File too large; give another folder with --out"),
    ):
        assign("dl-minor-1", *ADA, "--out", tmp_path)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before

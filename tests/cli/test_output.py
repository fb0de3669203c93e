"""What reaches the screen, a pipe, a full disk or another encoding: text, in one piece, that steers nothing."""

import json
import os
import subprocess
import sys

import pytest

import classlab as cl

QUICK = ("--set", "training.epochs=1", "--set", "data.max_per_class=20", "--set", "contract={}")


def shell(*arguments, cwd=None, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-m", "classlab.cli.main", *map(str, arguments)],
        cwd=cwd, stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("output")
    assert shell("run", "digits-quick", "--set", "training.epochs=5", cwd=folder).returncode in (0, 1)
    return folder


@pytest.mark.parametrize("encoding", ["ascii"])  # what it takes, every other takes
def test_every_encoding_takes_what_commands_print(folder, encoding):
    (run,) = (folder / "runs").glob("*/*")
    (folder / "two.yaml").write_text("name: two\nexperiment: digits-quick\nset: {training.epochs: 1}\nseeds: 2\n")
    for words in (
        ("run", "digits-quick", "--set", "training.epochs=5"), ("inspect", "digits-quick"), ("study", "two.yaml"),
        ("check", run, "--contract", "under-20k"), ("runs",), ("lesson", "walk"), ("compare", run), ("data", "list"),
    ):  # fmt: skip
        done = shell(*words, cwd=folder, PYTHONIOENCODING=encoding)
        assert done.returncode in (0, 1) and b"Traceback" not in done.stderr, (words, done.stderr)
        assert done.stdout.decode(encoding)


def test_json_stays_json_in_an_encoding_that_lacks_its_signs(folder):
    done = shell("inspect", "digits-quick", "--json", cwd=folder, PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["experiment"] == "digits-quick"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("words", [("doctor",), ("data", "list"), ("runs", "--json"), ("--help",)])
def test_a_full_disk_behind_standard_output_is_one_sentence(folder, words):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = shell(*words, cwd=folder, stdout=full)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1] == "classlab: standard output takes no more: No space left on device"


def test_text_of_a_folder_steers_no_terminal_and_is_no_markup(folder, tmp_path):
    (run,) = (folder / "runs").glob("*/*")
    summary = json.loads((run / "summary.json").read_text())
    summary["contract"]["open"] = ["\x1b]0;owned\x07 [/bold] [red]"]
    summary["status_sentence"] = "\x1b[2J[blink]"
    copy = tmp_path / "runs" / "exp[red]" / run.name
    copy.mkdir(parents=True)
    for file in run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "summary.json").write_text(json.dumps({**summary, "run": str(copy)}))
    broken = tmp_path / "runs" / "broken" / "s0-[red]x"
    broken.mkdir(parents=True)
    (broken / "experiment.yaml").write_text("name: x\n")
    (broken / "environment.json").write_text('{"seed": "[/red]\\u001b[31m"}')
    done = shell("runs", cwd=tmp_path)
    assert done.returncode == 0 and b"\x1b" not in done.stdout
    said = done.stdout.decode()
    assert "exp[red]" in "".join(said.split()) and "broken: " in said


def test_one_bad_folder_does_not_stop_the_list(folder, tmp_path):
    (run,) = (folder / "runs").glob("*/*")
    for name, content in (("s0-a", b"\xff"), ("s0-b", b"[]"), ("s0-c", b'{"status": 5}'), ("s0-d", b"{" * 9999)):
        bad = tmp_path / "runs" / "bad" / name
        bad.mkdir(parents=True)
        (bad / "experiment.yaml").write_bytes((run / "experiment.yaml").read_bytes())
        (bad / "summary.json").write_bytes(content)
    document = json.loads(shell("runs", "--json", cwd=tmp_path).stdout)
    assert len(document) == 4 and all(row["status"].startswith("broken: ") for row in document)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "x" * 5000), ("run", "digits-quick", "--set", "y" * 5000),
        ("run", "digits-quick", "--set", "a=" + "[" * 5000),
        ("check", ".", "--contract", "z" * 300), ("run", "digits-quick", "--set", "data.augmentations.²=1"),
        ("run", "digits-quick", "--set", "model=:x"), ("run", "digits-quick", "--set", "model=..:x"),
        ("run", "digits-quick", "--set", "model=&a [*a]"), ("report", "a\nb"), ("study", "nowhere.yaml\x1b[31m"),
        ("run", "digits-quick", "--set", f"training.epochs={'9' * 400}"), ("runs", "c" * 5000),
        ("run", "digits-quick", "--seed", "9" * 30), ("compare", "\x1b[31m"), ("reproduce", "e" * 5000),
    ],
)  # fmt: skip
def test_a_mistake_is_one_short_sentence(folder, words):
    done = shell(*words, cwd=folder)
    said = done.stderr.decode()
    assert done.returncode == 2 and said.startswith("classlab: ") and said.count("\n") == 1, said[:2000]
    assert len(said) < 1700 and "\x1b" not in said and "Errno" not in said and "<class" not in said


def test_the_longest_sentence_is_cut_in_its_middle():
    text = str(cl.UserError("begin " + "x" * 5000 + " end"))
    assert text.startswith("begin ") and text.endswith(" end") and len(text) < 1600

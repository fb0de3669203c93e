"""`classlab run` and `classlab runs` as a shell sees them: what is printed where, and the exit codes."""

import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from classlab.cli.main import app

QUICK = ("run", "digits-quick", "--set", "training.epochs=2", "--set", "contract={}")


def shell(*words, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "classlab.cli.main", *map(str, words)],
        capture_output=True, text=True, timeout=240, cwd=cwd, env={**os.environ, "NO_COLOR": "1", **environment},
    )  # fmt: skip


def test_run_prints_one_json_document_and_keeps_progress_on_standard_error(tmp_path):
    done = shell(*QUICK, "--seed", 3, "--out", tmp_path, "--json")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert {
        "run", "experiment", "seed", "parameters", "epochs", "val_accuracy", "test_accuracy", "test_interval",
        "seconds", "contract", "status",
    } <= set(summary)  # fmt: skip
    assert summary["seed"] == 3 and summary["epochs"] == 2 and 0 <= summary["test_accuracy"] <= 1
    assert "1/2" in done.stderr and "2/2" in done.stderr

    listed = shell("runs", tmp_path, "--json")
    (row,) = json.loads(listed.stdout)
    assert row["run"] == summary["run"] and row["test_accuracy"] == summary["test_accuracy"]
    table = shell("runs", tmp_path)
    assert "digits-quick" in table.stdout and f"{100 * summary['test_accuracy']:.2f} %" in table.stdout


def test_words_end_with_the_verdict_and_a_contract_not_kept_exits_1(tmp_path):
    limits = "contract={max_parameters: 20000, min_test_accuracy_percent: 100}"
    done = shell("run", "digits-quick", "--set", "training.epochs=1", "--set", limits, "--out", tmp_path)
    assert done.returncode == 1
    assert "CONTRACT NOT KEPT: digits-quick, seed 0: 14,426 parameters, 1 epoch, test accuracy" in done.stdout
    again = shell("run", "digits-quick", "--set", "training.epochs=1", "--set", limits, "--out", tmp_path)
    assert again.returncode == 1 and "is finished; --again (in Python again=True) trains a new run" in again.stderr


def test_a_report_and_its_pdf_are_written_at_the_end(tmp_path):
    done = shell(*QUICK, "--out", tmp_path, "--report", "--pdf")
    assert done.returncode == 0, done.stderr
    (pdf,) = tmp_path.rglob("report.pdf")
    assert pdf.read_bytes().startswith(b"%PDF") and (pdf.parent / "report.html").is_file()
    assert str(pdf) in done.stdout


def test_a_contract_that_cannot_be_met_exits_1_before_training(tmp_path):
    done = shell(*QUICK, "--set", "contract={max_parameters: 10}", "--out", tmp_path, "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["status"] == "refused" and document["contract"]["passed"] is False
    assert done.stderr.strip() == (
        "classlab: digits-quick is refused before training because its contract cannot be met: "
        "14,426 parameters, at most 10 allowed: not kept"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "digits-quick", "--set", "training.epoch=3"), "did you mean training.epochs?"),
        (("run", "nosuch.yaml"), "there is no experiment file nosuch.yaml"),
        (("run", "digits-quick", "--device", "cuda:7"), "device cuda:7 is not on this machine"),
        (("run", "digits-quick", "--device", "gpu"), "there is no device 'gpu'"),
        (("run", "digits-quick", "--seed", "-1"), "seed must be a whole number from 0, got -1"),
        (("run", "digits-quick", "--out", "/proc/nowhere"), "runs cannot be written to /proc/nowhere"),
        (("run", "digits-quick", "--sed", "1"), "No such option: --sed"),
        (
            ("run", "digits-quick", "--epochs", "3"),
            "--epochs is not an option; it is a setting: --set training.epochs=3",
        ),
        (("rnu",), "No such command 'rnu'"),
        (("runs", "/nowhere"), "there is no folder /nowhere"),
    ],
)
def test_a_mistake_gets_one_sentence_on_standard_error_and_exit_2(words, sentence):
    done = shell(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("classlab: ") and sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_error_in_the_reader_s_own_module_shows_its_traceback(tmp_path):
    (tmp_path / "mine.py").write_text("def build():\n    raise RuntimeError('my own mistake')\n")
    done = shell("run", "digits-quick", "--set", "model=mine.py:build", cwd=tmp_path)
    assert done.returncode not in (0, 2) and "Traceback" in done.stderr and "my own mistake" in done.stderr


def test_the_reader_s_own_module_runs_and_a_digit_run_needs_no_network(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\n\ndef build(classes, width: int = 8):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))\n"
    )
    blocked = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    cache = str(tmp_path / "empty")
    done = shell(*QUICK, "--set", "model={name: mine.py:build, width: 4}", cwd=tmp_path, CLASSLAB_DATA=cache, **blocked)
    assert done.returncode == 0, done.stderr
    assert "304 parameters" not in done.stderr and "310 parameters" in done.stdout
    wrong = shell(*QUICK, "--set", "model={name: mine.py:build, widht: 4}", cwd=tmp_path)
    assert wrong.returncode == 2 and "widht is not a setting; did you mean width?" in wrong.stderr


def test_every_command_has_help_with_an_example():
    commands = ["run", "runs", "inspect", "report", "data list", "data fetch", "data verify", "data show", "data stats"]
    for command in commands:
        done = shell(*command.split(), "--help")
        assert done.returncode == 0 and f"Example: classlab {command}" in done.stdout, command
    assert shell().returncode == 0


@pytest.mark.parametrize("words", ["import classlab", "import classlab.cli.main"])
def test_importing_loads_nothing_heavy(words):
    heavy = ["torch", "pandas", "altair", "scipy", "sklearn", "PIL", "jinja2", "openpyxl", "xlsxwriter"]
    code = f"{words}; import sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_shortened_run_does_not_end_in_red(tmp_path):
    words = [
        "run",
        "digits-quick",
        "--set",
        "training.epochs=2",
        "--set",
        "data.max_test_per_class=30",
        "--out",
        tmp_path,
    ]
    done = CliRunner().invoke(app, [*map(str, words), "--report"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "the contract, which is the limits that the experiment states:" in done.stdout
    why = "since training.epochs is 2 instead of 20 and data.max_test_per_class is 30 instead of null"
    assert f"at least 97 % test accuracy wanted: not judged, {why}" in done.stdout
    assert "CONTRACT KEPT SO FAR: digits-quick" in done.stdout and "✗" not in done.stdout
    assert re.search(r"s of training, ([0-9]+ min )?[0-9.]+ s in all$", done.stdout, re.MULTILINE)
    assert f"not judged, {why}" in next(tmp_path.glob("*/*/report.html")).read_text()
    assert "kept so far" in CliRunner().invoke(app, ["runs", str(tmp_path)]).stdout

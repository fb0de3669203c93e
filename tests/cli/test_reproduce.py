"""`classlab reproduce` as a shell sees it, on a report of the reader's own that is trained in a moment."""

import json
import os
import subprocess
import sys

import pytest

REPORT = """\
name: own
title: A small report
question: Does it hold?
runs:
  one:
    experiment: tiny.yaml
    quick: {data.max_per_class: 25}
parts:
  - title: Network
    runs: [one]
    values:
      - {what: parameters, of: one, metric: parameters, claim: exact, published: 610, source: report}
      - {what: inputs, of: one, metric: parameters, claim: exact, published: 64, source: report}
"""
TINY = """\
name: tiny
data: {dataset: digits, max_per_class: 30, val_size: 100}
model: {name: perceptron, widths: [8]}
training: {epochs: 1, batch_size: 64, optimizer: {name: sgd, learning_rate: 0.1}}
"""


def shell(*words, cwd):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    command = [sys.executable, "-m", "classlab.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The report made once, shortened, in the default folder; and the folder it was made in."""
    cwd = tmp_path_factory.mktemp("reproduced")
    (cwd / "mine").mkdir()
    (cwd / "mine" / "own.yaml").write_text(REPORT)
    (cwd / "mine" / "tiny.yaml").write_text(TINY)
    return shell("reproduce", "mine/own.yaml", "--quick", "--author", "Ada Lovelace", cwd=cwd), cwd


def test_it_says_what_holds_what_does_not_and_where_the_files_are(done):
    told, cwd = done
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "own: A small report"
    assert lines[1].startswith("1 of 2 judged figures hold. 1 does not hold.")
    assert "inputs: published 64 (the report), measured 610: does not hold, 610 instead of 64" in " ".join(lines)
    assert "Shortened runs" in lines[-1]
    assert "[1/1] own one, seed 0: " in told.stderr
    for ending in ("html", "pdf", "json"):
        assert (cwd / "reproduced-quick" / f"own.{ending}").is_file()
    page = (cwd / "reproduced-quick" / "own.html").read_text()
    assert "Ada Lovelace" in page and "classlab reproduce mine/own.yaml --quick" in page
    assert "classlab run mine/tiny.yaml --set data.max_per_class=25 --seed 0" in page


def test_asked_again_it_trains_nothing_and_prints_one_json_document(done):
    _, cwd = done
    again = shell("reproduce", "mine/own.yaml", "--quick", "--json", cwd=cwd)
    document = json.loads(again.stdout)
    assert again.returncode == 0 and "seed 0" not in again.stderr
    (report,) = document["reports"]
    assert report["verdicts"] == {"holds": 1, "does not hold": 1} and report["quick"] is True
    assert [one["verdict"] for one in report["figures"]] == ["holds", "does not hold"]
    assert (cwd / document["tables"]).read_text().startswith("## own: A small report")


def test_a_dry_run_trains_nothing_and_says_what_is_to_do(done):
    _, cwd = done
    dry = shell("reproduce", "mine/own.yaml", "--dry-run", "--json", "--jobs", 2, "--out", "other", cwd=cwd)
    document = json.loads(dry.stdout)
    assert (document["waiting"], document["jobs"]) == (1, 2) and document["seconds"] > 0
    assert document["runs"][0]["run"] == "one" and not (cwd / "other").exists()
    words = shell("reproduce", "mine/own.yaml", "--dry-run", "--quick", cwd=cwd).stdout
    assert "0 runs to train" in words and "finished runs" in words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["era-s7"], "there is no report named 'era-s7', and no such file; did you mean era-s6? shipped: "),
        (["owm.yaml"], "there is no report file owm.yaml"),
        (["mine/own.yaml", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["mine/own.yaml", "--device", "tpu"], "there is no device 'tpu'"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(words, told, done):
    refused = shell("reproduce", *words, cwd=done[1])
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr.startswith("classlab: ") and told in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_help_says_what_may_be_named_and_lists_no_reports():
    from classlab.reproduction import published

    said = shell("reproduce", "--help", cwd=None).stdout
    assert "the YAML file of your own" in " ".join(said.split())
    assert len([name for name in published.names() if name in said]) <= 1  # in an example

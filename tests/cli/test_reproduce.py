"""`classlab reproduce` as a shell sees it, on a report cut to a moment."""

import json
import os
import subprocess
import sys

import pytest

# A file of Python that the shell's Python reads at its start, so that a report of ours stands among the published ones.
OWN = """
from classlab.report import published
from classlab.report.published import Part, Published, Trained, Value

SMALL = {"training.epochs": 1, "data.max_per_class": 30, "data.val_size": 100, "data.augmentations": []}
MODEL = {"model": {"name": "perceptron", "widths": [8]}}
parts = [
    Part(title="Network", runs=("one",), values=(
        Value(what="parameters", of="one", metric="parameters", claim="exact", published=610, source="report"),
        Value(what="inputs", of="one", metric="parameters", claim="exact", published=64, source="report"),
    )),
]
own = Published(
    name="own", title="A small report", question="Does it hold?", parts=parts,
    runs={"one": Trained(experiment="digits-quick", set={**SMALL, **MODEL}, quick={"data.max_per_class": 25})},
)
load = published.load
published.names = lambda: ["own"]
published.load = lambda name: own

from classlab.cli.main import main
main()
"""


def shell(*words, cwd):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    command = [sys.executable, "-c", OWN, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The report made once, shortened, in the default folder; and the folder it was made in."""
    cwd = tmp_path_factory.mktemp("reproduced")
    return shell("reproduce", "own", "--quick", "--author", "Ada Lovelace", cwd=cwd), cwd


def test_it_says_what_holds_what_does_not_and_where_the_files_are(done):
    told, cwd = done
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "own: A small report"
    assert lines[1].startswith("1 of 2 judged figures hold. 1 is not borne out.")
    assert "inputs: published 64 (the report), measured 610: does not hold, 610 instead of 64" in " ".join(lines)
    assert "Shortened runs" in lines[-1]
    assert "[1/1] own one, seed 0: " in told.stderr
    for ending in ("html", "pdf", "json"):
        assert (cwd / "reproduced-quick" / f"own.{ending}").is_file()
    assert "Ada Lovelace" in (cwd / "reproduced-quick" / "own.html").read_text()


def test_asked_again_it_trains_nothing_and_prints_one_json_document(done):
    _, cwd = done
    again = shell("reproduce", "own", "--quick", "--json", cwd=cwd)
    document = json.loads(again.stdout)
    assert again.returncode == 0 and "seed 0" not in again.stderr
    (report,) = document["reports"]
    assert report["verdicts"] == {"holds": 1, "does not hold": 1} and report["quick"] is True
    assert [one["verdict"] for one in report["figures"]] == ["holds", "does not hold"]
    assert (cwd / document["tables"]).read_text().startswith("## own: A small report")


def test_a_dry_run_trains_nothing_and_says_what_is_to_do(done):
    _, cwd = done
    dry = shell("reproduce", "all", "--dry-run", "--json", "--jobs", 2, "--out", "other", cwd=cwd)
    document = json.loads(dry.stdout)
    assert (document["waiting"], document["jobs"]) == (1, 2) and document["seconds"] > 0
    assert document["runs"][0]["run"] == "one" and not (cwd / "other").exists()
    words = shell("reproduce", "own", "--dry-run", "--quick", cwd=cwd).stdout
    assert "0 runs to train" in words and "finished runs" in words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["owm"], "there is no report 'owm'; did you mean own? there are own, all"),
        (["own", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["own", "--device", "tpu"], "there is no device 'tpu'"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(words, told, tmp_path):
    refused = shell("reproduce", *words, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr.startswith("classlab: ") and told in refused.stderr
    assert len(refused.stderr.splitlines()) == 1

"""A study that is killed ends with the same bytes as one that is not, and trains nothing twice."""

import os
import signal
import subprocess
import time

import pytest

import classlab as cl
from classlab.study import plan


def ended(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("summary.json")}


def epochs(folder):
    return sum(file.read_bytes().count(b"\n") - 1 for file in folder.rglob("metrics.csv"))


def wait_for(process, condition):
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the study ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.timeout(300)
def test_a_study_killed_twice_ends_with_the_bytes_of_one_that_was_not_and_trains_nothing_twice(rates, shell, tmp_path):
    # The wide network's steps are worth two threads where there are two, so that it is trained one by one; the others
    # are trained in processes.
    rates["sweep"] = {
        "variants": [
            {"name": "narrow"},
            {"name": "small batch", "set": {"training.batch_size": 8}},
            {"name": "wide", "set": {"model.widths": [2000], "training.batch_size": 1000}},
        ]
    }
    rates["experiment"] = {**rates["experiment"], "training": {**rates["experiment"]["training"], "epochs": 12}}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    undisturbed = shell("study", rates, "--out", whole)
    assert undisturbed.returncode == 0, undisturbed.stderr

    words, folder = shell.command("study", rates, "--out", cut), cut / "rates"
    before = {}
    for cut_short in (lambda: epochs(folder) >= 4, lambda: len(ended(folder)) >= 3):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ})
        wait_for(process, cut_short)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.5)  # workers end when their standard input does
        assert all(ended(folder)[file] == written for file, written in before.items())
        before = ended(folder)
        assert len(before) < 6
        words = [*words[:8], "--resume"]
    with pytest.raises(cl.UserError, match="of 6 runs are done\\); continue with --resume"):
        cl.study(rates, out=cut)

    resumed = shell("study", rates, "--out", cut, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert all(ended(folder)[file] == written for file, written in before.items())
    for name in ("results.csv", "plan.json", "study.yaml"):
        assert (folder / name).read_bytes() == (whole / "rates" / name).read_bytes(), name
    for one in plan.read(folder).runs:
        for name in ("last.safetensors", "best.safetensors", "predictions.npz"):
            assert (folder / one.run / name).read_bytes() == (whole / "rates" / one.run / name).read_bytes()
    assert resumed.stdout.replace(str(cut), str(whole)) == undisturbed.stdout

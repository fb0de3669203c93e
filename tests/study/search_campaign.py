"""Searches killed at random moments: each ends with the proposals, results and answer of one that was not.

    python -m tests.study.search_campaign --kills 20

A search trains in a process that is forked for it and killed by SIGKILL; the next one goes on. What is compared are the
bytes of study.yaml, plan.json and results.csv, every checkpoint, and the sentences.
"""

import argparse
import os
import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import classlab as cl

TINY = {
    "name": "tiny", "data": {"dataset": "digits", "val_size": 100, "max_per_class": 40, "max_test_per_class": 10},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 1, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9}},
}  # fmt: skip
STUDY = {
    "name": "searched", "experiment": TINY, "place": "one by one",
    "sweep": {
        "search": {
            "training.optimizer.learning_rate": {"from": 0.01, "to": 1, "log": True},
            "model.widths": {"choices": [[8], [16], [24]]}, "budget": {"runs": 22}, "round": 3, "confirm": 2,
        },
    },
}  # fmt: skip
COMPARED = ("study.yaml", "plan.json", "results.csv")


def trained(out: Path, resume: bool, seconds: float | None = None) -> bool:
    """Train the search in a process of its own; return whether it was killed, after so many seconds, before its end."""
    child = os.fork()
    if child == 0:
        try:
            cl.study(STUDY, out=out, resume=resume, verbose=False)
        finally:
            os._exit(0)
    if seconds is not None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if os.waitpid(child, os.WNOHANG)[0]:
                return False
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return seconds is not None


def differences(first: Path, second: Path) -> list[str]:
    """Return what differs between two study folders."""
    checkpoints = [file.relative_to(first) for file in first.rglob("*.safetensors")]
    names = [*map(Path, COMPARED), *sorted(checkpoints)]
    found = [str(name) for name in names if (first / name).read_bytes() != (second / name).read_bytes()]
    same = cl.load_study(first).sentences() == cl.load_study(second).sentences()
    return found if same else [*found, "sentences"]


def main() -> None:
    """Kill a search as often as the command line asks, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    import torch  # noqa: F401  (once, for all the processes that are forked)

    with TemporaryDirectory() as home:
        whole, cut = Path(home) / "whole", Path(home) / "cut"
        began = time.monotonic()
        trained(whole, resume=False)
        seconds = time.monotonic() - began
        kills = starts = twice = 0
        ended: dict[Path, int] = {}
        while True:
            wanted = kills < asked.kills
            limit = random.uniform(0, 2.5 * seconds / asked.kills) if wanted else None
            starts += 1
            killed = trained(cut, resume=starts > 1, seconds=limit)
            kills += killed
            now = {file: file.stat().st_mtime_ns for file in cut.rglob("summary.json")}
            twice += sum(now.get(file) != written for file, written in ended.items())
            ended = now
            print(f"start {starts}: {'killed' if killed else 'ended'}, {len(ended)} runs have ended", flush=True)
            if not killed:
                break
        runs = len(list((whole / "searched").rglob("summary.json")))
        found = differences(whole / "searched", cut / "searched")
        print(f"{kills} kills of a search of {runs} runs: {twice} runs trained twice; differing: {found or 'nothing'}")
        print("\n".join(cl.load_study(cut / "searched").sentences()))


if __name__ == "__main__":
    main()

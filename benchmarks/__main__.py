"""Benchmarks: classlab against other ways of the same training, all by turns in one run. See docs/benchmarks.md.

make bench                                              # everything; writes docs/benchmarks/YYYY-MM-DD.md
python -m benchmarks era-s6 lenet-4 --pairs 5 --seconds 5
python -m benchmarks mnist-20k --sides classlab,plain
"""

import argparse
import datetime
import importlib.metadata
import os
import sys
import time
from pathlib import Path
from typing import Any

import classlab  # first: it says how OpenMP's threads wait, which is read when torch is loaded
from classlab.errors import UserError, listing

VERSIONS = ("torch", "torchvision", "pytorch-lightning", "skorch", "numpy")
COMMANDS = "start"  # the name of what is no workload: the time of commands


def main() -> None:
    """Measure what the command line asks for, print the tables, and write the note."""
    try:
        run(_arguments())
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)


def run(given: argparse.Namespace) -> None:
    """Measure, print and write."""
    began = time.perf_counter()
    from rich.console import Console

    from benchmarks import measure, note, workloads
    from classlab.training.fast import machine
    from classlab.training.settings import check_device, environment

    def say(text: str) -> None:
        progress.print(text, soft_wrap=True)

    chosen = [workloads.find(name) for name in given.workloads if name != COMMANDS]
    sides = given.sides.split(",")
    if unknown := [side for side in sides if side not in measure.SIDES]:
        raise UserError(f"there is no side {unknown[0]!r}; known: {listing(measure.SIDES)}")
    device = check_device(given.device)
    progress, whole = Console(stderr=True, highlight=False), not given.workloads
    load = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    document: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "pairs": given.pairs,
        "seconds": given.seconds,
        "load": load,
        "environment": environment(),
        "versions": {"classlab": classlab.__version__} | {name: _version(name) for name in VERSIONS},
        "machine": vars(machine.measure(device)),
    }
    document["commands"] = measure.commands(given.pairs) if whole or COMMANDS in given.workloads else {}
    document["workloads"] = [
        measure.measure(workload, device, sides, given.pairs, given.seconds, say)
        for workload in (workloads.WORKLOADS if whole else chosen)
    ]
    document["minutes"] = (time.perf_counter() - began) / 60
    note.show(document, Console(highlight=False, width=None if sys.stdout.isatty() else 100))
    if whole or given.out:
        print(f"note: {note.write(document, Path(given.out) if given.out else note.FOLDER)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help=f"names, and {COMMANDS} for the time of commands; none: all")
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which every side has its turn")
    parser.add_argument("--seconds", type=float, default=1.5, help="of every turn")
    parser.add_argument("--sides", default="classlab,reports,plain,lightning,skorch", help="some of these")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", help="folder for the note; a selection of workloads writes none without it")
    return parser.parse_args()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"{name} is not installed; `make bench` makes the benchmarks' own environment") from None


if __name__ == "__main__":
    main()

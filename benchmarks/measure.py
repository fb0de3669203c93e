"""Measure a workload: every side has its turn in every round, and the ratios are of turns of the same round."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.session import Session
from benchmarks.workloads import Task, Workload, make
from classlab.training.fast import machine

OURS = "classlab"
SIDES = (OURS, "reports", "plain", "lightning", "skorch")
OF_STUDIES = (OURS, "reports", "plain")  # runs one after the other, as these libraries train several
PROCESSES = 2  # of a study: SPEED.md's machine and the targets have two cores
WORKERS = (0, 2)
ALONE = ("loader", "step", "torch_step", "reports_loader")  # parts of a training, in turns of half the length
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import classlab": ["-c", "import classlab"],
    "classlab --help": ["-m", "classlab.cli.main", "--help"],
    "import torch": ["-c", "import torch"],
}

Say = Callable[[str], None]


def measure(
    workload: Workload, device: str, wanted: Sequence[str], pairs: int, seconds: float, say: Say
) -> dict[str, Any]:
    """Return what was measured of a workload, as plain data. wanted: the sides; seconds: of every turn."""
    began = time.perf_counter()
    task = make(workload, device)
    say(f"{workload.name}: {task.settings}, {task.place}")
    sessions: dict[str, Session] = {}
    workers = None
    try:
        for name in wanted:
            if workload.variants > 1 and name not in OF_STUDIES:
                continue
            if name == "reports":
                sessions[name], workers = _better_reports(task, seconds)
            else:
                several = name == OURS and task.place == "processes"
                sessions[name] = Session(workload, name, device, PROCESSES if several else 1)
            say(f"  {name}: first step after {sessions[name].start_up:.2f} s")
        start_up = {name: session.start_up for name, session in sessions.items()}
        sessions |= _alone(task, workers) if workload.variants == 1 and OURS in wanted else {}
        rates: dict[str, list[float]] = {name: [] for name in sessions}
        for number in range(pairs):
            for name in list(sessions)[:: 1 if number % 2 else -1]:
                rates[name].append(sessions[name].turn(seconds / 2 if name in ALONE else seconds))
            if number == pairs // 2:
                peak = machine.measure(device)
            say("  " + ", ".join(f"{name} {values[-1]:,.0f}" for name, values in rates.items()) + " images/s")
    finally:
        for session in sessions.values():
            session.close()
    return {
        "name": workload.name,
        "experiment": workload.experiment,
        "changes": list(workload.changes),
        "variants": workload.variants,
        "place": task.place,
        "batch_size": task.batch_size,
        "settings": task.settings.to_json(),
        "parameters": task.prepared.parameters,
        "multiply_adds": task.prepared.multiply_adds,
        "augmented": bool(task.experiment.data.augmentations),
        "target": {"against": workload.against, "solid": workload.solid, "aim": workload.aim},
        "native_target": workload.native,
        "reports_workers": workers,
        "start_up_seconds": start_up,
        "images_per_second": {name: values for name, values in rates.items() if name not in ALONE},
        "ceilings": {name: values for name, values in rates.items() if name in ALONE},
        "machine": vars(peak),
        "seconds": time.perf_counter() - began,
    }


def _better_reports(task: Task, seconds: float) -> tuple[Session, int]:
    """Return the reports' way with as many workers as make it faster, and their number."""
    best: tuple[float, Session, int] | None = None
    for workers in WORKERS:
        session = Session(task.workload, "reports", task.device, workers=workers)
        rate = session.turn(seconds)
        if best is None or rate > best[0]:
            best, worse = (rate, session, workers), best and best[1]
        else:
            worse = session
        if worse:
            worse.close()
    assert best is not None
    return best[1], best[2]


def _alone(task: Task, workers: int | None) -> dict[str, Session]:
    """Return sessions of what a step is made of: loading alone, and computing alone."""
    sessions = {name: Session(task.workload, name, task.device) for name in ("loader", "step")}
    if task.settings.native:
        sessions["torch_step"] = Session(task.workload, "torch_step", task.device)
    if workers is not None:
        sessions["reports_loader"] = Session(task.workload, "reports_loader", task.device, workers=workers)
    return sessions


def commands(pairs: int) -> dict[str, list[float]]:
    """Return the seconds of starting Python for nothing, for classlab and for its help, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(-1, pairs):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=Path.cwd())
            if number >= 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratios(entry: dict[str, Any], against: str) -> list[float]:
    """Return classlab's speed over another side's, one ratio a round, in order of size; empty where one was not met."""
    rates = entry["images_per_second"]
    if OURS not in rates or against not in rates:
        return []
    return sorted(ours / theirs for ours, theirs in zip(rates[OURS], rates[against], strict=True))


def step_ratios(entry: dict[str, Any]) -> list[float]:
    """Return the native step's speed over torch's, one ratio a round, in order of size; empty where none is native."""
    alone = entry["ceilings"]
    return sorted(
        ours / theirs for ours, theirs in zip(alone.get("step", ()), alone.get("torch_step", ()), strict=False)
    )


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def peak_share(entry: dict[str, Any], rate: float | None = None) -> tuple[float, float]:
    """Return classlab's GFLOP/s and its share of the machine's matrix product in the same precision and minute.

    rate: images a second, None for the whole training's.

    A step is counted as three passes of two operations a multiply-add: forward, and backward to weights and inputs.
    """
    rate = median(entry["images_per_second"][OURS]) if rate is None else rate
    work = 6 * entry["multiply_adds"] * rate / 1e9
    peak = entry["machine"]["bf16_gflops" if entry["settings"]["precision"] == "bf16" else "fp32_gflops"]
    return work, work / peak

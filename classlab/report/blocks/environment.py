"""Environment: the machine, the versions and the settings that the runs were made with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from classlab.drawing.blocks import Block, Fact, Facts, Words
from classlab.report import words
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun

LABELS = {
    "python": "Python",
    "torch": "PyTorch",
    "platform": "System",
    "processor": "Processor",
    "cores": "Cores",
    "gpu": "GPU",
}
COMPARED = ("python", "torch", "platform", "processor", "gpu")


def blocks(material: Material) -> list[Block]:
    """Return what a reader needs to judge the times and to get the same numbers; nothing where no run was begun."""
    runs = material.every
    if not runs:
        return []
    if len(runs) == 1:
        return [Facts((*_of_run(runs[0]), *_of_all(runs), *_time(runs[0])))]
    first = _machine(runs[0])
    differ = sum(_machine(run) != first for run in runs)
    sentence = f"{differ} of the {len(runs)} runs were made with another machine or other versions."
    return [Facts(tuple(_of_all(runs))), *([Words(sentence)] if differ else [])]


def _of_run(run: FinishedRun) -> list[Fact]:
    return [Fact("Run folder", run.path.name), Fact("Seed", str(run.seed))]


def _time(run: FinishedRun) -> list[Fact]:
    if "seconds" not in run.summary:
        return []
    return [Fact("Training time", words.duration(run.summary["seconds"]) + ", evaluation of each epoch included")]


def _of_all(runs: Sequence[FinishedRun]) -> list[Fact]:
    """Return the first run's machine and versions, and every device and arithmetic that the runs were made with."""
    devices = Counter(str(run.environment["settings"]["device"]) for run in runs)
    ways = Counter(_arithmetic(run) for run in runs)
    first: Mapping[str, Any] = runs[0].environment
    machine = [Fact(label, str(first[key])) for key, label in LABELS.items() if first.get(key)]
    return [Fact("Device", _each(devices)), Fact("Arithmetic", _each(ways)), *machine]


def _machine(run: FinishedRun) -> list[object]:
    return [run.environment.get(key) for key in COMPARED]


def _arithmetic(run: FinishedRun) -> str:
    settings = run.environment["settings"]
    layout = "channels last" if settings.get("channels_last") else "channels first"
    step = ", native step" if settings.get("native") else ", compiled step" if settings.get("compiled") else ""
    return f"{settings['precision']}, {layout}, {words.count(settings['threads'], 'thread')}{step}"


def _each(counted: Counter[str]) -> str:
    """Return what there is, the most frequent first, with how many runs where it is not the same of all."""
    if len(counted) == 1:
        return next(iter(counted))
    return "; ".join(f"{what} ({words.count(count, 'run')})" for what, count in counted.most_common())

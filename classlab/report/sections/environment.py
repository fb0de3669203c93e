"""Environment: the machine, the versions and the settings that the run was made with."""

from collections import Counter
from collections.abc import Sequence

from classlab.drawing.blocks import Fact, Facts, Section
from classlab.report import words
from classlab.runs.finished import FinishedRun as Run

LABELS = {
    "python": "Python",
    "torch": "PyTorch",
    "platform": "System",
    "processor": "Processor",
    "cores": "Cores",
    "gpu": "GPU",
}


def section(run: Run) -> Section:
    """Return what a reader needs to judge the times and to get the same numbers."""
    return Section("Environment", (facts(run),))


def facts(run: Run) -> Facts:
    """Return the machine, the versions and the arithmetic, folder, seed and time."""
    told = [Fact("Run folder", run.path.name), Fact("Seed", str(run.seed)), *of_all([run]).facts]
    if "seconds" in run.summary:
        told.append(
            Fact("Training time", words.duration(run.summary["seconds"]) + ", evaluation of each epoch included")
        )
    return Facts(tuple(told))


def of_all(runs: Sequence[Run]) -> Facts:
    """Return the first run's machine and versions, and every device and arithmetic that the runs were made with."""
    devices = Counter(str(run.environment["settings"]["device"]) for run in runs)
    ways = Counter(_arithmetic(run) for run in runs)
    told = [Fact("Device", _each(devices)), Fact("Arithmetic", _each(ways))]
    first = runs[0].environment
    told += [Fact(label, str(first[key])) for key, label in LABELS.items() if first.get(key)]
    return Facts(tuple(told))


def _arithmetic(run: Run) -> str:
    settings = run.environment["settings"]
    layout = "channels last" if settings.get("channels_last") else "channels first"
    compiled = ", compiled step" if settings.get("compiled") else ""
    return f"{settings['precision']}, {layout}, {words.count(settings['threads'], 'thread')}{compiled}"


def _each(counted: Counter[str]) -> str:
    """Return what there is, the most frequent first, with how many runs where it is not the same of all."""
    if len(counted) == 1:
        return next(iter(counted))
    return "; ".join(f"{what} ({words.count(count, 'run')})" for what, count in counted.most_common())

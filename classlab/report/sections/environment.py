"""Environment: the machine, the versions and the settings that the run was made with."""

from classlab.drawing.blocks import Fact, Facts, Section
from classlab.report import words
from classlab.runs.run import Run

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


def facts(run: Run, of_one_run: bool = True) -> Facts:
    """Return the machine, the versions and the arithmetic; of_one_run: also folder, seed and time."""
    told = [Fact("Run folder", run.path.name), Fact("Seed", str(run.seed))] if of_one_run else []
    told += _settings(run)
    told += [Fact(label, str(run.environment[key])) for key, label in LABELS.items() if run.environment.get(key)]
    if of_one_run and "seconds" in run.summary:
        told.append(
            Fact("Training time", words.duration(run.summary["seconds"]) + ", evaluation of each epoch included")
        )
    return Facts(tuple(told))


def _settings(run: Run) -> list[Fact]:
    settings = run.environment["settings"]
    layout = "channels last" if settings.get("channels_last") else "channels first"
    arithmetic = f"{settings['precision']}, {layout}, {words.count(settings['threads'], 'thread')}"
    return [Fact("Device", settings["device"]), Fact("Arithmetic", arithmetic)]

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
    facts = [Fact("Run folder", run.path.name), Fact("Seed", str(run.seed)), *_settings(run)]
    facts += [Fact(label, str(run.environment[key])) for key, label in LABELS.items() if run.environment.get(key)]
    if "seconds" in run.summary:
        facts.append(
            Fact("Training time", words.duration(run.summary["seconds"]) + ", evaluation of each epoch included")
        )
    return Section("Environment", (Facts(tuple(facts)),))


def _settings(run: Run) -> list[Fact]:
    settings = run.environment["settings"]
    layout = "channels last" if settings.get("channels_last") else "channels first"
    arithmetic = f"{settings['precision']}, {layout}, {words.count(settings['threads'], 'thread')}"
    return [Fact("Device", settings["device"]), Fact("Arithmetic", arithmetic)]

"""Make it again: the command and the resolved experiment, every default spelled out."""

from classlab import experiment as experiments
from classlab import lookup
from classlab.drawing.blocks import Block, Code, Section, Words
from classlab.report import words
from classlab.runs.finished import FinishedRun as Run


def section(run: Run) -> Section:
    """Return the command that makes the run again and the experiment file."""
    given, name = run.environment.get("given_in_python", []), run.experiment.name
    blocks: list[Block] = []
    if given:
        blocks.append(
            Words(f"This run cannot be made again from its file: its {words.listed(given)} came from Python.")
        )
    else:
        same = "On the same machine, with the device and the arithmetic above, it gives the same numbers, bit for bit."
        saved = (
            ""
            if _shipped(run)
            else f"Save the experiment below as {name}.yaml; it is experiment.yaml in the run's folder. "
        )
        blocks.append(Code(command(run), saved + same))
    blocks.append(Code(run.experiment.to_yaml(), "The experiment, every default spelled out"))
    return Section("Make it again", tuple(blocks))


def command(run: Run) -> str:
    """Return the command: by the shipped name where the run is that experiment unchanged, else by its file."""
    name, device = run.experiment.name, run.environment["settings"]["device"]
    on = f" --device {device}" if run.environment.get("gpu") and device == "cpu" else ""
    return f"classlab run {name if _shipped(run) else name + '.yaml'} --seed {run.seed}{on}"


def _shipped(run: Run) -> bool:
    name = run.experiment.name
    return name in lookup.names("experiment") and experiments.load(name) == run.experiment

"""Rerun: the command that gives the same numbers again, and the experiment or the study, every default spelled out."""

from collections.abc import Sequence

from classlab import experiment as experiments
from classlab import lookup
from classlab.drawing.blocks import Block, Code, Words
from classlab.report import words
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun
from classlab.study import declaration as studies
from classlab.study.result import StudyResult


def blocks(material: Material) -> list[Block]:
    """Return the command and the file of the study, or else of the first run of each name."""
    return _of_study(material.study) if material.study else material.first_of_each(_of_run)


def _of_run(run: FinishedRun) -> list[Block]:
    given, name = run.environment.get("given_in_python", []), run.experiment.name
    experiment = Code(run.experiment.to_yaml(), "The experiment, every default spelled out")
    if run.imported:
        return [Words(f"Nothing here can be trained again: the weights come from {run.imported}."), experiment]
    if given:
        sentence = f"This run cannot be reproduced from its file: its {words.listed(given)} came from Python."
        return [Words(sentence), experiment]
    same = f"On the same machine, with the device and the arithmetic above, it gives {how_alike([run])}."
    if run.experiment.training.start_from is not None:
        same += f" It needs the run {run.experiment.training.start_from.run}, whose weights it starts from."
    saved = f"Save the experiment below as {name}.yaml; it is experiment.yaml in the run's folder. "
    return [Code(command(run), same if _is_shipped(run) else saved + same), experiment]


def how_alike(runs: Sequence[FinishedRun]) -> str:
    """Say how alike the numbers of runs are when they are trained again: it depends on the device that did the sums."""
    devices = sorted({run.environment["settings"]["device"].partition(":")[0] for run in runs} - {"cpu"})
    if not devices:
        return "the same numbers, bit for bit"
    return f"the same numbers up to rounding, for {words.listed(devices)} may add in another order each time"


def command(run: FinishedRun) -> str:
    """Return the command: by the shipped name where the run is that experiment unchanged, else by its file."""
    name, device = run.experiment.name, run.environment["settings"]["device"]
    on = f" --device {device}" if run.environment.get("gpu") and device == "cpu" else ""
    return f"classlab run {name if _is_shipped(run) else name + '.yaml'} --seed {run.seed}{on}"


def _is_shipped(run: FinishedRun) -> bool:
    name = run.experiment.name
    return name in lookup.names("experiment") and experiments.load(name) == run.experiment


def _of_study(result: StudyResult) -> list[Block]:
    study, shipped = result.study, _is_shipped_study(result)
    saved = f"Save the study below as {study.name}.yaml; it is study.yaml in the study's folder. "
    runs = [run for seeds in result.runs.values() for run in seeds.values()]
    same = f"On the same machine each run gives {how_alike(runs)}."
    line = f"classlab study {study.name if shipped else study.name + '.yaml'}"
    if shipped and studies.load(study.name).seeds != study.seeds and isinstance(study.seeds, int):
        line += f" --seeds {study.seeds}"
    whole = Code(study.to_yaml(), "The study, every default spelled out")
    return [Code(line, same if shipped else saved + same), whole]


def _is_shipped_study(result: StudyResult) -> bool:
    name = result.study.name
    if name not in lookup.names("study"):
        return False
    return studies.load(name).model_copy(update={"seeds": result.study.seeds}) == result.study

"""Make it again: the command and the study, every experiment spelled out."""

from classlab import lookup
from classlab.drawing.blocks import Code, Section
from classlab.study import declaration as studies
from classlab.study.result import StudyResult


def section(result: StudyResult) -> Section:
    """Return the command that makes the study again and its file."""
    name, shipped = result.study.name, _shipped(result)
    saved = "" if shipped else f"Save the study below as {name}.yaml; it is study.yaml in the study's folder. "
    same = "On the same machine each run gives the same numbers, bit for bit."
    command = f"classlab study {name if shipped else name + '.yaml'}"
    seeds = result.study.seeds
    if shipped and studies.load(name).seeds != seeds and isinstance(seeds, int):
        command += f" --seeds {seeds}"
    return Section(
        "Make it again",
        (Code(command, saved + same), Code(result.study.to_yaml(), "The study, every default spelled out")),
    )


def _shipped(result: StudyResult) -> bool:
    name = result.study.name
    if name not in lookup.names("study"):
        return False
    return studies.load(name).model_copy(update={"seeds": result.study.seeds}) == result.study

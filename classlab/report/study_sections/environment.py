"""Environment: the machine and the versions that the runs were made with, and whether they were all the same."""

from classlab.drawing.blocks import Block, Section, Words
from classlab.report.sections import environment
from classlab.runs.finished import FinishedRun as Run
from classlab.study.result import StudyResult

COMPARED = ("python", "torch", "platform", "processor", "gpu")


def section(result: StudyResult) -> Section | None:
    """Return the machine, every arithmetic, and whether runs differ in the machine; None where no run was begun."""
    runs = begun(result)
    if not runs:
        return None
    blocks: list[Block] = [environment.of_all(runs)]
    first = {key: runs[0].environment.get(key) for key in COMPARED}
    differ = sum({key: run.environment.get(key) for key in COMPARED} != first for run in runs)
    if differ:
        blocks.append(Words(f"{differ} of the {len(runs)} runs were made with another machine or other versions."))
    return Section("Environment", tuple(blocks))


def begun(result: StudyResult) -> list[Run]:
    """Return the runs that have a folder, in the order of the study."""
    return [run for of in result.runs.values() for run in of.values()]

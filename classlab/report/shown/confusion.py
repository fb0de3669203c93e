"""Confusion: which classes are taken for which, and the accuracy of each class."""

from classlab.drawing.blocks import Block, Words
from classlab.report.of_parts import Runs, each_first, which
from classlab.report.published import Part
from classlab.report.sections import confusion
from classlab.runs.finished import FinishedRun as Run


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the confusion matrix of the first run of each name, with its table of classes."""
    return each_first(runs, lambda run: _of_one(run, runs))


def _of_one(run: Run, runs: Runs) -> list[Block]:
    found = confusion.section(run)
    if found is None:
        return [Words(f"There is no confusion matrix: the run {run.sentence()}.")]
    told = which(run, runs)
    return [*([Words(told)] if told else []), *found.blocks]

"""Floors: the loss that no training gets under, beside the loss that was reached."""

from classlab.drawing.blocks import Block, Words
from classlab.report import reconstructed
from classlab.report.of_parts import Runs, each_first
from classlab.report.published import Part
from classlab.report.sections import reconstruction
from classlab.runs.finished import FinishedRun as Run


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return what the network's last layer cannot give, what that costs, and the losses beside it."""
    return each_first(runs, _of_one)


def _of_one(run: Run) -> list[Block]:
    found = reconstructed.floors(run)
    if found is None:
        return [Words(f"{run.experiment.name} has no floor: its loss is {run.experiment.training.loss.name}.")]
    if run.status == "diverged":
        return [Words(f"The run {run.sentence()}, so there is no loss to set beside a floor.")]
    return reconstruction.floor_blocks(run, found, run.model())

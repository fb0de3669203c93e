"""Closer: the later half of a run's curves by itself, where small differences can be seen."""

from classlab.drawing.blocks import Block, Figures
from classlab.report import curve_figures
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun

FEWEST = 4  # epochs that are worth a chart


def blocks(material: Material) -> list[Block]:
    """Return the later half of the accuracy, or of a network that reconstructs of the loss, of each name."""
    return material.first_of_each(_later_half)


def _later_half(run: FinishedRun) -> list[Block]:
    if run.history.empty:
        return []
    later = run.history[run.history["epoch"] > len(run.history) // 2]
    if len(later) < FEWEST:
        return []
    metric = "loss" if run.reconstructs else "accuracy"
    caption = f"The same {metric} from epoch {len(run.history) - len(later) + 1}, closer."
    return [Figures((curve_figures.of_run(run, later, metric, f"{metric}-close", caption),))]

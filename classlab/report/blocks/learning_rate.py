"""Learning rate: how it went over the epochs, where it changed."""

from functools import partial

from classlab.drawing import charts
from classlab.drawing.blocks import Block, Figure, Figures
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun


def blocks(material: Material) -> list[Block]:
    """Return the learning rate of the first run of each name."""
    return material.first_of_each(_rates)


def _rates(run: FinishedRun) -> list[Block]:
    if run.history.empty or run.history["learning_rate"].nunique() < 2:
        return []
    caption = f"The learning rate at the end of each epoch; its schedule is {run.experiment.training.schedule.name}."
    return [Figures((Figure("learning-rate", caption, caption, partial(charts.learning_rate, run.history)),))]

"""Accuracy: the accuracy of every run of the part over the epochs, on every split that was measured."""

from classlab.drawing.blocks import Block, Figures, Words
from classlab.report import curves_of_parts
from classlab.report.of_parts import Runs, missing, without
from classlab.report.published import Part


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return one chart for all names."""
    found = curves_of_parts.figure(part, runs, "accuracy", list(runs))
    shown: list[Block] = [Figures((found,))] if found else []
    if found is None and len(without(runs)) < len(runs):
        shown.append(Words("No network here names a class, so there is no accuracy to show."))
    return [*shown, *missing(without(runs))]

"""Accuracy: the accuracy of every run of the part over the epochs, on every split that was measured."""

from classlab.drawing.blocks import Block, Figures
from classlab.report import curve_figures
from classlab.report.material import Material


def blocks(material: Material) -> list[Block]:
    """Return one chart for all names."""
    chart = curve_figures.figure(material, "accuracy")
    if chart:
        return [Figures((chart,)), *material.missing()]
    none = "No network here names a class, so there is no accuracy to show."
    return [*(material.lacking(none) if material.every else []), *material.missing()]

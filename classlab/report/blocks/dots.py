"""Dots: every run of a study as a dot, by the metric that the study compares."""

from functools import partial

from classlab.drawing import dot_plot
from classlab.drawing.blocks import Block, Figure, Figures
from classlab.report import words
from classlab.report.blocks.bands import test_note
from classlab.report.material import Material


def blocks(material: Material) -> list[Block]:
    """Return the chart, or nothing where no run has a figure yet."""
    result = material.study
    if result is None:
        return material.lacking("These runs are not a study, which says by what they are compared.")
    if all(row["value"] is None for row in result.dot_rows()):
        return []
    metric = result.answer.metric
    caption = f"{words.capital(metric.replace('_', ' '))} of every run: each dot is a run"
    if len(result.study.seed_list) > 1:
        caption += "; a tick marks the mean, and a line its 95 % confidence interval, as far as the chart reaches"
    if any(row["status"] in ("diverged", "did_not_learn") for row in result.rows):
        caption += "; a cross marks a run that diverged or did not learn"
    caption += "." + test_note(result, metric)
    draw = partial(dot_plot.dots, result.dot_rows(), result.interval_rows(), metric)
    described = " ".join(f"{variant.sentence}." for variant in result.answer.variants)
    return [Figures((Figure("dots", caption, described, draw),))]

"""Multiples: a small chart for each variant of a study, every seed a line, all on the same axes."""

from functools import partial

from classlab.drawing import small_multiples
from classlab.drawing.blocks import Block, Figure, Figures, Heading
from classlab.report import words
from classlab.report.blocks.bands import named, test_note
from classlab.report.material import Material

MOST = 24  # small charts; of more variants there are none


def blocks(material: Material) -> list[Block]:
    """Return the small charts, or nothing where there is one variant, very many, or no epoch done."""
    result = material.study
    if result is None:
        return material.lacking("These runs are not a study, whose variants would each have a chart.")
    metric = result.curve_metric
    if not 1 < len(result.variants) <= MOST or not result.histories(metric):
        return []
    caption = (
        f"{words.capital(named(metric))} of each variant, every seed a thin line, all on the same axes."
        f"{test_note(result, metric)}"
    )
    draw = partial(small_multiples.multiples, result.histories(metric), metric, result.diverged)
    # The heading also keeps this wide chart from standing beside another one.
    return [Heading("Each variant by itself"), Figures((Figure("multiples", caption, caption, draw),))]

"""Loss of each rate: the total error over the epochs, all learning rates in one chart and each by itself."""

from functools import partial

from classlab.drawing import seeds, small_multiples
from classlab.drawing.blocks import Block, Column, Figure, Figures, Table
from classlab.report.lessons import lesson_of
from classlab.report.material import Material


def blocks(material: Material) -> list[Block]:
    """Return both charts and the error of some epochs as a table."""
    lesson = lesson_of(material.part)
    totals = {rate: lesson.totals(rate) for rate in lesson.rates}
    histories = {f"η = {rate:g}": {0: errors} for rate, errors in totals.items()}
    ends = "; ".join(f"η = {rate:g} from {errors[0]:.6f} to {errors[-1]:.6g}" for rate, errors in totals.items())
    caption = f"Total error over the {lesson.epochs} epochs, a line a learning rate."
    each = "The same by itself for every learning rate, all on the same axes."
    drawn = Figures((Figure("loss-of-each-rate", caption, f"{caption} {ends}.",
                            partial(seeds.curves, histories, "loss", {})),))  # fmt: skip
    alone = Figures(
        (Figure("loss-by-itself", each, f"{each} {ends}.", partial(small_multiples.multiples, histories, "loss", {})),)
    )
    some = sorted({1, 2, *(round(lesson.epochs * share) for share in (0.1, 0.25, 0.5, 0.75, 1.0))})
    columns = (Column("η", "figure"), *(Column(f"epoch {epoch}", "number", 6) for epoch in some))
    rows = tuple((f"{rate:g}", *(errors[epoch - 1] for epoch in some)) for rate, errors in totals.items())
    return [drawn, Table("loss-of-each-rate", "Total error at some epochs", columns, rows), alone]

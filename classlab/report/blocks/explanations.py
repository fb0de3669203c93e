"""Explanations: which variants of a study explain a published curve, and the curve over what their runs would give."""

from functools import partial

from classlab import metrics
from classlab.drawing.blocks import Block, Column, Figure, Figures, Table, Verdict, Words
from classlab.drawing.palette import look
from classlab.drawing.published_bands import published_bands
from classlab.report import words
from classlab.report.material import Material
from classlab.study.weighing import Weighing

MOST_DRAWN = 6  # variants in a picture, the best ones
MOST_ROWS = 20  # figures in the table of those outside


def blocks(material: Material) -> list[Block]:
    """Return what arithmetic decides, the verdict, each variant's place, and the pictures; nothing without a curve."""
    weighing = material.study.weighing if material.study else None
    if weighing is None:
        return material.lacking("This is not a study of a published curve, so there is nothing to explain.")
    sentences = [Words(f"{text}.") for text in (*weighing.answer()[1:], *weighing.notes)]
    return [
        *(Words(f"{text}.") for text in weighing.decided()),
        Verdict("plain", _word(weighing), f"{weighing.answer()[0]}."),
        *sentences,
        _ranked(weighing),
        *_pictures(weighing),
        *_outside(weighing),
    ]


def _word(weighing: Weighing) -> str:
    if weighing.none_explains:
        return "None explains it"
    if weighing.explained is None:
        return "Cannot be judged"
    return "Not told apart" if weighing.not_told_apart else "One explains it best"


def _ranked(weighing: Weighing) -> Table:
    columns = (Column("variant"), Column("inside", "figure"), Column("misfit", "number"), Column("published curve"))
    rows = tuple(
        (
            row["name"],
            None if row["inside"] is None else f"{row['inside']} of {row['figures']}",
            row["misfit"],
            weighing.verdict(row["name"]),
        )
        for row in weighing.ranked()
    )
    caption = (
        "Inside: published figures in the 95 % interval of one more run of the variant. Misfit: how badly the "
        "variant fits all of them, smaller is better"
    )
    return Table("explanations", caption, columns, rows)


def _pictures(weighing: Weighing) -> list[Block]:
    """Return a picture of each metric that was published over epochs."""
    drawn = [row["name"] for row in weighing.ranked() if row["name"] in weighing.names][:MOST_DRAWN]
    colours = {name: look(place)[0] for place, name in enumerate(weighing.values)}
    figures = []
    for metric in dict.fromkeys(figure.base for figure in weighing.figures):
        published = {
            figure.at: weighing.curve.ends(figure)
            for figure in weighing.figures
            if figure.base == metric and isinstance(figure.at, int)
        }
        bands = weighing.bands(metric)
        if published and bands:
            chosen = {name: bands[name] for name in drawn}
            caption = (
                f"{words.capital(metrics.words(metric))}: the published points over the 95 % interval of one more run "
                "of each variant, the best fit first."
            )
            draw = partial(published_bands, chosen, published, metric, colours)
            figures.append(Figure(f"published-{metric.replace('_', '-')}", caption, caption, draw))
    return [Figures((figure,)) for figure in figures]


def _outside(weighing: Weighing) -> list[Block]:
    """Return the published figures outside what one more run of the best variant would give."""
    if weighing.plain is None or weighing.best is None:
        return []
    place = weighing.names.index(weighing.best)
    low, high = weighing.plain.prediction.interval()
    rows = []
    for column, figure in enumerate(weighing.figures):
        if not weighing.plain.inside[place, column]:
            scale = metrics.scale(figure.base)
            ends = [scale.value(float(part[place, column])).removesuffix(scale.unit) for part in (low, high)]
            middle = sum(weighing.curve.ends(figure)) / 2
            rows.append((words.capital(figure.words), scale.value(middle), f"{ends[0]} to {ends[1]}{scale.unit}"))
    if not rows:
        return []
    more = f"; the first {MOST_ROWS} of {len(rows)}" if len(rows) > MOST_ROWS else ""
    chance = "Chance alone puts 1 in 20 there"
    caption = f"Published figures outside the interval of one more run of {weighing.best} would give{more}. {chance}"
    columns = (Column("figure"), Column("published", "figure"), Column("one more run", "figure"))
    return [Table("outside", caption, columns, tuple(rows[:MOST_ROWS]))]

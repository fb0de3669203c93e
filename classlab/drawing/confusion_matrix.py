"""The confusion matrix as a chart: true classes down, predicted ones across."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import Width, themed

if TYPE_CHECKING:
    import altair as alt

MANY_CLASSES = 20  # a count fits in a cell up to here


def confusion_rows(matrix: np.ndarray, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row a cell: true, predicted, count and share (of the true class's images; 0 where it has none).

    matrix: integer, (classes, classes), true classes down, predicted ones across.
    """
    totals = matrix.sum(axis=1)
    return [
        {
            "true": actual,
            "predicted": predicted,
            "count": int(matrix[i, j]),
            "share": float(matrix[i, j] / totals[i]) if totals[i] else 0.0,
            "right": i == j,
        }
        for i, actual in enumerate(class_names)
        for j, predicted in enumerate(class_names)
    ]


def confusion(
    matrix: np.ndarray, class_names: Sequence[str], palette: Palette = LIGHT, width: Width = 420
) -> "alt.LayerChart":
    """Return the confusion matrix: true classes down, predicted across; stronger is a larger share of the true class.

    matrix: integer, (classes, classes). With more than MANY_CLASSES the counts are left to the tooltip, and empty cells
    are not drawn. Mistakes are tinted on their own scale, up to the most frequent one, or they would be invisible
    beside the right answers.
    """
    import altair as alt

    names, many = list(class_names), len(class_names) > MANY_CLASSES
    rows = [row for row in confusion_rows(matrix, names) if row["count"] or not many]
    worst = max((row["share"] for row in rows if not row["right"]), default=0.0)
    for row in rows:
        row["tint"] = row["share"] if row["right"] else row["share"] / (worst or 1.0)
    down = alt.Axis(ticks=False, domain=False, labelOverlap="greedy")
    across = alt.Axis(labelAngle=_label_angle(names), orient="top", ticks=False, domain=False, labelOverlap="greedy")
    domain = alt.Scale(domain=names)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("predicted:N", sort=names, title="predicted", axis=across, scale=domain),
        y=alt.Y("true:N", sort=names, title="true", axis=down, scale=domain),
        tooltip=[
            alt.Tooltip("true:N"),
            alt.Tooltip("predicted:N"),
            alt.Tooltip("count:Q", format=","),
            alt.Tooltip("share:Q", format=".2%", title="of the true class"),
        ],
    )
    tint = alt.FillOpacity("tint:Q", scale=alt.Scale(domain=[0, 1], range=[0, 0.5]), legend=None)
    colour = alt.condition("datum.right", alt.value(palette.train), alt.value(palette.val))
    layers: list[Any] = [base.mark_rect(stroke=palette.line, strokeWidth=1).encode(fill=colour, fillOpacity=tint)]
    if not many:
        numbers = base.transform_filter("datum.count > 0").mark_text(fontSize=11, color=palette.ink)
        layers.append(numbers.encode(text=alt.Text("count:Q", format="d")))
    return alt.LayerChart(layer=layers, width=width, height=560 if many else 420, **themed(palette))


def _label_angle(names: Sequence[str]) -> int:
    return 0 if max(map(len, names), default=0) <= 3 else -40

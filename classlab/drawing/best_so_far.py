"""Best so far: what each variant of a search gave, in the order of their proposal, and the best up to each."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab import metrics
from classlab.drawing.curve_rows import scaled
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import Width, themed

if TYPE_CHECKING:
    import altair as alt


def best_so_far(
    rows: Sequence[Mapping[str, Any]], metric: str, palette: Palette = LIGHT, width: Width = 520
) -> "alt.LayerChart":
    """Return a dot for each variant and a line for the best one so far.

    rows: variant, place (from 0), value, best (None before there is one) and given_up (a hollow dot).
    """
    import altair as alt

    factor = metrics.scale(metric).factor
    drawn = [{**row, "best": None if row["best"] is None else factor * row["best"]} for row in scaled(rows, factor)]
    axis = alt.Axis(tickMinStep=1, format="d", grid=False)
    x = alt.X(
        "place:Q", title="variants, in the order of their proposal", axis=axis, scale=alt.Scale(nice=False, padding=10)
    )
    y = alt.Y("value:Q", title=metrics.title(metric), scale=alt.Scale(zero=False, padding=10))
    base = alt.Chart(alt.Data(values=drawn)).encode(x=x)
    tooltip = [alt.Tooltip("variant:N"), alt.Tooltip("value:Q", format=".5~g")]
    dots = base.encode(y=y, tooltip=tooltip)
    layers = [
        base.transform_filter("isValid(datum.best)")
        .mark_line(interpolate="step-after", strokeWidth=2, color=palette.good)
        .encode(y=alt.Y("best:Q", title=metrics.title(metric))),
        dots.transform_filter("datum.given_up").mark_point(filled=False, size=42, color=palette.muted),
        dots.transform_filter("!datum.given_up").mark_point(filled=True, size=46, color=palette.train, opacity=0.85),
    ]
    return alt.LayerChart(layer=layers, width=width, height=240, **themed(palette))

"""A few accuracies as bars with their intervals, from 0 on; and the same close by, where bars would hide the rest."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab import formats
from classlab.drawing.palette import COLOURS, LIGHT, Palette
from classlab.drawing.theme import Width, themed

if TYPE_CHECKING:
    import altair as alt


def bars(
    rows: Sequence[Mapping[str, Any]], title: str, palette: Palette = LIGHT, close: bool = False, width: Width = 340
) -> "alt.LayerChart":
    """Return a bar a row, its interval as a line and its value above it.

    rows: name, value, low and high (None: no interval), all fractions, drawn in per cent. close: points instead of
    bars, on an axis that begins near them.
    """
    import altair as alt

    names, drawn, ends = [row["name"] for row in rows], list[dict[str, Any]](), list[float]()
    for row in rows:
        known = {key: 100.0 * row[key] for key in ("value", "low", "high") if row[key] is not None}
        ends += known.values()
        label = formats.percent(row["value"])
        drawn.append(
            {"low": None, "high": None, **known, "name": row["name"], "top": max(known.values()), "label": label}
        )
    room = 0.25 * (max(ends) - min(ends)) or 1.0
    domain = [min(ends) - room, max(ends) + room] if close else [0, 108 if max(ends) > 85 else 100]
    axis = alt.Axis() if close else alt.Axis(values=list(range(0, 101, 20)))
    scale = alt.Scale(domain=domain, nice=False, zero=not close)
    named = alt.Axis(labelAngle=0, ticks=False, labelColor=palette.ink, labelLimit=170)
    base = alt.Chart(alt.Data(values=drawn)).encode(x=alt.X("name:N", sort=names, title=None, axis=named))
    colours = alt.Scale(domain=names, range=[COLOURS[place % len(COLOURS)] for place in range(len(names))])
    colour = alt.Color("name:N", sort=names, scale=colours, legend=None)
    tooltip = [alt.Tooltip("name:N"), *(alt.Tooltip(f"{key}:Q", format=".2f") for key in ("value", "low", "high"))]
    y = alt.Y("value:Q", title=title, scale=scale, axis=axis)
    mark = base.mark_point(filled=True, size=90, opacity=1) if close else base.mark_bar(size=64, opacity=0.85)
    layers = [
        mark.encode(y=y, color=colour, tooltip=tooltip),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, color=palette.ink)
        .encode(y=alt.Y("low:Q", title=title, scale=scale, axis=axis), y2="high:Q"),
        base.mark_text(baseline="bottom", dy=-6, color=palette.ink).encode(
            y=alt.Y("top:Q", title=title, scale=scale, axis=axis), text="label:N"
        ),
    ]
    return alt.LayerChart(layer=layers, width=width, height=260, **themed(palette))

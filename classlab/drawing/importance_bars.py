"""Importance bars: how much of what was measured each setting explains by itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import Width, themed

if TYPE_CHECKING:
    import altair as alt


def importance_bars(shares: Mapping[str, float], palette: Palette = LIGHT, width: Width = 340) -> "alt.LayerChart":
    """Return a bar for each setting, in the order given, with its per cents at its end. shares: 0 … 1."""
    import altair as alt

    rows = [{"setting": name, "share": 100 * share, "text": f"{100 * share:.0f} %"} for name, share in shares.items()]
    labels = alt.Axis(ticks=False, domain=False, labelLimit=170, labelColor=palette.ink)
    y = alt.Y("setting:N", sort=list(shares), title=None, axis=labels)
    x = alt.X("share:Q", title="explained by itself, %", scale=alt.Scale(domain=[0, 108], nice=False),
              axis=alt.Axis(values=[0, 25, 50, 75, 100]))  # fmt: skip
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, tooltip=[alt.Tooltip("setting:N"), alt.Tooltip("text:N")])
    layers = [
        base.mark_bar(size=18, color=palette.train, opacity=0.85),
        base.mark_text(align="left", dx=5, color=palette.ink).encode(text="text:N"),
    ]
    return alt.LayerChart(layer=layers, width=width, height=alt.Step(34), **themed(palette))

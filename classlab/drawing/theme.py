"""The look that every chart shares: its fonts, its sizes, and the colours of a palette."""

from typing import TYPE_CHECKING, Any, Literal

from classlab.drawing.palette import Palette

if TYPE_CHECKING:
    import altair as alt

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", Arial, sans-serif'
CROSS: dict[str, Any] = {"shape": "cross", "angle": 45, "size": 90, "filled": True, "opacity": 1}

Width = int | Literal["container"]


def themed(palette: Palette) -> dict[str, Any]:
    """Return background and configuration, which only the outermost chart may hold."""
    import altair as alt

    text = {"labelColor": palette.muted, "titleColor": palette.ink}
    return {
        "background": "transparent" if palette.paper.startswith("var(") else palette.paper,
        "config": alt.Config(
            font=FONT,
            axis=alt.AxisConfig(
                **text,
                gridColor=palette.line,
                domainColor=palette.muted,
                tickColor=palette.muted,
                labelFontSize=12,
                titleFontSize=12,
                titleFontWeight="normal",
                titlePadding=8,
                labelPadding=5,
            ),
            legend=alt.LegendConfig(
                orient="top",
                symbolType="stroke",
                symbolStrokeWidth=2,
                labelColor=palette.ink,
                labelFontSize=12,
                symbolSize=140,
                labelLimit=280,
                rowPadding=3,
            ),
            text=alt.MarkConfig(font=FONT, fontSize=12),
            view=alt.ViewConfig(stroke=None),
        ),
    }


def inner(chart: "alt.LayerChart") -> "alt.LayerChart":
    """Return a chart as a part of another one."""
    import altair as alt

    chart.config = chart.background = alt.Undefined
    return chart

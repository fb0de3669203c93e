"""Slices: every variant that a search tried, over one of its settings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab import metrics
from classlab.drawing.curve_rows import scaled
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import Width, themed

if TYPE_CHECKING:
    import altair as alt

KINDS = ("tried", "given up", "baseline", "winner")


def slices(
    rows: Sequence[Mapping[str, Any]],
    setting: str,
    metric: str,
    log: bool = False,
    palette: Palette = LIGHT,
    width: Width = 340,
) -> "alt.LayerChart":
    """Return a dot for each variant: across what the setting is, up what the variant gave.

    rows: variant, setting (a number or a text), value and kind, one of KINDS. setting: what the axis is called. log:
    whether the axis is logarithmic.
    """
    import altair as alt

    drawn = scaled(rows, metrics.scale(metric).factor)
    numbers = all(isinstance(row["setting"], int | float) for row in rows)
    scale = alt.Scale(type="log" if log else "linear", zero=False, nice=False, padding=12) if numbers else alt.Undefined
    axis = alt.Axis(labelAngle=0, labelOverlap=True, labelLimit=110, grid=numbers)
    field = f"setting:{'Q' if numbers else 'N'}"
    x = alt.X(field, title=setting, scale=scale, axis=axis, sort=None)
    y = alt.Y("value:Q", title=metrics.title(metric), scale=alt.Scale(zero=False, padding=10))
    tooltip = [alt.Tooltip(name) for name in ("variant:N", field, "value:Q", "kind:N")]
    base = alt.Chart(alt.Data(values=list(drawn))).encode(x=x, y=y, tooltip=tooltip)
    looks: list[tuple[str, dict[str, Any]]] = [
        ("given up", {"filled": False, "size": 42, "color": palette.muted, "opacity": 0.9}),
        ("tried", {"filled": True, "size": 46, "color": palette.train, "opacity": 0.8}),
        ("baseline", {"filled": True, "size": 80, "shape": "square", "color": palette.ink, "opacity": 1}),
        ("winner", {"filled": True, "size": 110, "shape": "diamond", "color": palette.good, "opacity": 1}),
    ]
    layers = [base.transform_filter(f"datum.kind == '{kind}'").mark_point(**look) for kind, look in looks]
    return alt.LayerChart(layer=layers, width=width, height=220, **themed(palette))

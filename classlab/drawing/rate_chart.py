"""The chart of a learning-rate range: the loss while the rate rises, and what short runs gave, over the same rates."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from classlab import metrics
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import inner, themed

if TYPE_CHECKING:
    import altair as alt
    import numpy as np


def rate_chart(
    curve: "tuple[np.ndarray, np.ndarray]",
    tried: Mapping[float, Sequence[float]],
    metric: str,
    interval: tuple[float, float],
    diverges: float | None,
    palette: Palette = LIGHT,
) -> "alt.VConcatChart":
    """Return two panels over the rate, with the interval as a band through both.

    curve: rates, and the smoothed losses, a row a seed. tried: of each rate the figures of its seeds, by `metric`.
    diverges: from where on every seed that diverged had, a dashed line; None for none.
    """
    import altair as alt

    rates, losses = curve
    start = max(float(row[0]) for row in losses)
    rows = [{"rate": float(rate), "loss": float(value), "seed": seed} for seed, row in enumerate(losses)
            for rate, value in zip(rates, row, strict=True)
            if math.isfinite(value) and value < 2 * start][:: max(1, len(rates) // 400)]  # fmt: skip
    factor = metrics.scale(metric).factor
    dots = [{"rate": rate, "value": factor * value, "seed": seed} for rate, values in tried.items()
            for seed, value in enumerate(values) if math.isfinite(value)]  # fmt: skip
    decades = range(math.ceil(math.log10(float(rates[0])) - 1e-9), math.floor(math.log10(float(rates[-1])) + 1e-9) + 1)
    axis = alt.Axis(format="~g", grid=False, values=[10.0**power for power in decades])
    scale = alt.Scale(type="log", domain=[float(rates[0]), float(rates[-1])], nice=False)

    def x(title: str | None) -> alt.X:
        return alt.X("rate:Q", title=title, scale=scale, axis=axis)

    band = alt.Chart(alt.Data(values=[{"low": interval[0], "high": interval[1]}])).mark_rect(
        color=palette.good, opacity=0.16).encode(x=alt.X("low:Q", scale=scale), x2="high:Q")  # fmt: skip
    rule = alt.Chart(alt.Data(values=[{"rate": diverges}] if diverges else [])).mark_rule(
        color=palette.bad, strokeDash=[4, 3]).encode(x=alt.X("rate:Q", scale=scale))  # fmt: skip
    above = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=1.6, opacity=0.75, color=palette.train).encode(
        x=x(None), y=alt.Y("loss:Q", title="loss while the rate rises", scale=alt.Scale(zero=False)), detail="seed:N"
    )  # fmt: skip
    points = alt.Chart(alt.Data(values=dots)).mark_point(filled=True, size=46, color=palette.val, opacity=0.8).encode(
        x=x("learning rate"),
        y=alt.Y("value:Q", title=f"{metrics.title(metric)}, short runs", scale=alt.Scale(zero=False)),
        tooltip=[alt.Tooltip("rate:Q", format=".3~g"), alt.Tooltip("value:Q", format=".5~g"), alt.Tooltip("seed:N")],
    )  # fmt: skip
    upper = alt.LayerChart(layer=[band, rule, above], width=520, height=170)
    lower = alt.LayerChart(layer=[band, rule, points], width=520, height=170)
    return alt.vconcat(inner(upper), inner(lower), spacing=12, **themed(palette))

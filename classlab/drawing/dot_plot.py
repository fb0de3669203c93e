"""A dot plot: every run a dot, with the mean and the interval of its variant."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab import metrics
from classlab.drawing.curve_rows import scaled
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import CROSS, Width, themed

if TYPE_CHECKING:
    import altair as alt

LABEL_LETTERS = 28  # in one line beside a chart


def dots(
    values: Sequence[Mapping[str, Any]],
    intervals: Sequence[Mapping[str, Any]],
    metric: str,
    palette: Palette = LIGHT,
    width: Width = 480,
) -> "alt.LayerChart":
    """Return every run as a dot, each variant's mean as a tick and its 95 % interval as a line.

    values: rows of variant, seed, value (None: nothing to draw) and status; a run that diverged or did not learn is a
    cross. intervals: rows of variant, mean, low and high (None with one seed). The axis covers the runs: an interval of
    very few seeds may reach beyond it, and is cut there.
    """
    import altair as alt

    factor, names = metrics.scale(metric).factor, list(dict.fromkeys(row["variant"] for row in values))
    drawn = scaled([row for row in values if row["value"] is not None and math.isfinite(row["value"])], factor)
    low, high = _around([row["value"] for row in drawn], percent=factor == 100)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    lines = json.dumps({name: _wrapped(name) for name in names if len(name) > LABEL_LETTERS})
    labels = alt.Axis(
        labelLimit=200,
        labelExpr=f"{lines}[datum.value] || datum.value",  # a long name in two lines, one above the middle
        labelBaseline={"condition": {"test": f"{lines}[datum.value]", "value": "alphabetic"}, "value": "middle"},
        ticks=False,
        domain=False,
        grid=False,
        labelColor=palette.ink,
    )
    y = alt.Y("variant:N", sort=names, title=None, axis=labels, scale=alt.Scale(domain=names))

    def x(field: str) -> "alt.X":
        return alt.X(f"{field}:Q", title=metrics.title(metric), scale=scale)

    of_run = [alt.Tooltip(field) for field in ("variant:N", "seed:N", "value:Q", "status:N")]
    of_variant = [alt.Tooltip(f"{name}:Q", format=".5~g") for name in ("mean", "low", "high")]
    span = alt.Chart(alt.Data(values=_cut(scaled(intervals, factor), low, high))).encode(y=y)
    line = span.mark_rule(strokeWidth=2, color=palette.muted).encode(x=x("shown_low"), x2="shown_high:Q")
    mean = span.mark_tick(thickness=3, size=18, color=palette.ink).encode(x=x("mean"))
    wrong = [{**row, "wrong": row["status"] != "finished"} for row in drawn]
    runs = alt.Chart(alt.Data(values=wrong)).encode(y=y, x=x("value"), tooltip=of_run)
    layers = [
        line.encode(tooltip=of_variant),
        mean.encode(tooltip=of_variant),
        runs.transform_filter("!datum.wrong").mark_point(filled=True, size=46, opacity=0.75, color=palette.train),
        runs.transform_filter("datum.wrong").mark_point(**CROSS, color=palette.bad),
    ]
    return alt.LayerChart(layer=layers, width=width, height=alt.Step(30), **themed(palette))


def _wrapped(name: str) -> list[str]:
    return textwrap.wrap(name, LABEL_LETTERS, max_lines=2, placeholder=" …")


def _cut(spans: Sequence[dict[str, Any]], low: float, high: float) -> list[dict[str, Any]]:
    """Add the ends of each interval as far as the axis reaches."""
    return [
        {
            **row,
            "shown_low": None if row["low"] is None else max(low, row["low"]),
            "shown_high": None if row["low"] is None else min(high, row["high"]),
        }
        for row in spans
    ]


def _around(values: Sequence[float], percent: bool) -> tuple[float, float]:
    """Return an axis that holds the values with some room on either side."""
    if not values:
        return 0.0, 100.0 if percent else 1.0
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.02 * abs(high) or 1.0
    return low - room, min(high + room, 100.5) if percent else high + room

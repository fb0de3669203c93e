"""The one way to draw curves: a line for each name over the epochs, and what belongs to it.

A line is the mean of a name's seeds, with a band from the lowest seed to the highest where there are several. Beside
them stand, where they are given, the selected epoch, a limit, floors, published figures and crosses for what diverged.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from classlab import metrics
from classlab.drawing import axes
from classlab.drawing.curve_rows import band_rows, broken_rows, longest, scaled, seed_rows
from classlab.drawing.palette import Palette
from classlab.drawing.svg import short
from classlab.drawing.theme import CROSS, Width, themed

if TYPE_CHECKING:
    import altair as alt

POINTS_UP_TO, POINTS_IN_ALL = 40, 120  # epochs, points of all curves; with more of them a dot at each is clutter
NARROW, WIDE = 32, 60  # letters of a legend in one row: in a chart as narrow as a telephone, and in a wider one
TWO_BESIDE = 15  # letters; of longer names no two stand beside each other on a telephone
NOTE_HEIGHT = 26  # above the plot, for a few words between it and the legend
NOTE_LETTERS = 60
VALUES = ("mean", "low", "high", "value")  # the fields of rows that stand on the axis of values


@dataclass(frozen=True)
class Curve:
    """A line and what belongs to it.

    name: what the legend calls it. seeds: seed -> value, epoch by epoch from the first; what is not finite is a gap.
    dashes: lengths of strokes and gaps, in pixels. diverged: seeds that are not in the mean; each is a thin line of its
    own up to its last finite value, and a cross there. published: rows of epoch, low and high, drawn as a diamond at
    their middle and a bar over what they span. floor: what the curve cannot get under, a thin line where it is above 0.
    """

    name: str
    seeds: Mapping[int, Sequence[float]]
    colour: str
    dashes: Sequence[int]
    diverged: Collection[int] = ()
    published: Sequence[Mapping[str, float]] = ()
    floor: float = 0.0


def line_chart(
    curves: Sequence[Curve],
    metric: str,
    palette: Palette,
    width: Width,
    height: int = 250,
    selected: tuple[str, int] | None = None,
    limit_percent: float | None = None,
    not_finite: Sequence[int] = (),
    first_epoch: int = 1,
) -> "alt.LayerChart":
    """Return the chart of the curves. Accuracies are fractions and are drawn in per cent.

    metric: what the axis is called by, see classlab.metrics; the axis of a loss that explodes is logarithmic. selected:
    a curve's name and the epoch at which a ring marks it. not_finite: epochs that a cross at the top marks.
    first_epoch: the epoch of every curve's first value, where only a later part of a training is drawn.
    """
    import altair as alt

    keys = {f"c{place}": curve for place, curve in enumerate(curves)}
    factor, last = metrics.scale(metric).factor, longest({key: curve.seeds for key, curve in keys.items()})
    last += first_epoch - 1
    bands = _from(first_epoch, scaled(_bands(keys), factor))
    lost = {key: {seed: curve.seeds.get(seed, ()) for seed in curve.diverged} for key, curve in keys.items()}
    lines = _from(first_epoch, scaled(seed_rows(lost), factor))
    ends = _from(first_epoch, scaled(broken_rows(lost, lost), factor))
    published, floors = scaled(_published_rows(keys), factor), scaled(_floor_rows(keys), factor)
    drawn = [row.get(field) for row in [*bands, *lines, *published, *floors] for field in VALUES]
    x, y = axes.epochs(last, first_epoch), axes.values(drawn, metrics.title(metric), may_be_log=factor == 1)
    colour, dashes = _legend(keys, width)
    layers = [
        *_curves(
            keys, metric, bands, x, y, colour, dashes, last <= POINTS_UP_TO and last * len(curves) <= POINTS_IN_ALL
        ),
        *_ring(selected, keys, bands, x, y, colour),
        *_lost(lines, ends, x, y, colour),
        *_published(published, x, y, colour),
        *_floors(floors, keys, y, colour),
        *_limit(limit_percent, y, palette),
        *_not_finite(not_finite, x, palette),
        *_notes(curves, limit_percent, bool(not_finite), palette),
        _pointer(keys, metric, x, palette),
    ]
    # The rows stand once, in the outer chart: layers without rows of their own draw these.
    rows = alt.Data(values=bands)
    return alt.LayerChart(data=rows, layer=layers, width=width, height=height, **themed(palette))


def _from(first_epoch: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with their epochs counted from the first one that is drawn."""
    return [{**row, "epoch": row["epoch"] + first_epoch - 1} for row in rows]


def _bands(keys: Mapping[str, Curve]) -> list[dict[str, Any]]:
    """Return one row a curve and epoch: curve (its key), epoch, mean; low and high where there are several seeds."""
    rows = band_rows(
        {key: curve.seeds for key, curve in keys.items()}, {key: curve.diverged for key, curve in keys.items()}
    )
    fields = ("curve", "epoch", "mean", "low", "high")
    return [{field: row[field] for field in fields[: None if row["seeds"] > 1 else 3]} for row in rows]


def _published_rows(keys: Mapping[str, Curve]) -> list[dict[str, Any]]:
    return [
        {"curve": key, "name": curve.name, **row, "value": (row["low"] + row["high"]) / 2}
        for key, curve in keys.items()
        for row in curve.published
    ]


def _floor_rows(keys: Mapping[str, Curve]) -> list[dict[str, Any]]:
    return [{"curve": key, "value": curve.floor} for key, curve in keys.items() if curve.floor > 0]


def _curves(
    keys: Mapping[str, Curve],
    metric: str,
    bands: Sequence[Mapping[str, Any]],
    x: Any,
    y: Any,
    colour: Any,
    dashes: Any,
    with_points: bool,
) -> list[Any]:
    import altair as alt

    # What a screen reader says of a mark; by itself it would say the key.
    value = f"'{metrics.words(metric)} ' + format(datum.mean, '.4~g') + '{metrics.scale(metric).unit}'"
    words = f"'epoch ' + datum.epoch + ', ' + {value} + ', ' + {_named(keys)}"
    base = (
        alt.Chart().transform_calculate(words=words).encode(x=x, color=colour, description=alt.Description("words:N"))
    )
    band = base.transform_filter("isValid(datum.low)").mark_area(opacity=0.16)
    layers = [band.encode(y=y("low"), y2="high:Q")] if any("low" in row for row in bands) else []
    # Vega breaks a line where a value is missing.
    layers.append(base.mark_line(strokeWidth=2).encode(y=y("mean"), strokeDash=dashes))
    if with_points:
        layers.append(base.mark_point(size=22, filled=True, opacity=1).encode(y=y("mean")))
    return layers


def _legend(keys: Mapping[str, Curve], width: Width) -> tuple[Any, Any]:
    """Return colour and dashes of the curves. The names stand in the legend alone, the rows hold short keys."""
    import altair as alt

    names = _names(keys)
    in_a_row = WIDE if isinstance(width, int) and width > 400 else NARROW
    columns = len(names)
    if sum(map(len, names)) + 4 * len(names) > in_a_row:
        columns = 1 if max(map(len, names)) > TWO_BESIDE else 2
    label = _named(keys, "datum.label")
    legend = alt.Legend(
        title=None,
        columns=columns,
        aria=False,  # it would name the keys; every mark names its curve
        offset=NOTE_HEIGHT,
        labelExpr=label,
        labelLimit=280,
        symbolOpacity=1,
        symbolSize=500,
    )
    legend = legend if len(names) > 1 else None
    colours = alt.Scale(domain=[*keys], range=[curve.colour for curve in keys.values()])
    strokes = alt.Scale(domain=[*keys], range=[list(curve.dashes) for curve in keys.values()])
    colour = alt.Color("curve:N", sort=[*keys], scale=colours, legend=legend)
    if legend is None:
        return colour, alt.value([1, 0])
    return colour, alt.StrokeDash("curve:N", sort=[*keys], scale=strokes, legend=legend)


def _names(keys: Mapping[str, Curve]) -> list[str]:
    return [short(curve.name) for curve in keys.values()]


def _named(keys: Mapping[str, Curve], key: str = "datum.curve") -> str:
    """Return the expression, in the language of the chart, for the name of a curve's key."""
    return f"({json.dumps(dict(zip(keys, _names(keys), strict=True)))})[{key}]"


def _ring(
    selected: tuple[str, int] | None,
    keys: Mapping[str, Curve],
    bands: Sequence[Mapping[str, Any]],
    x: Any,
    y: Any,
    colour: Any,
) -> list[Any]:
    """A ring at the selected epoch, where the chart has it: a mark without a point would spoil the axis."""
    import altair as alt

    if selected is None:
        return []
    key = next(key for key, curve in keys.items() if curve.name == selected[0])
    if not any(row["curve"] == key and row["epoch"] == selected[1] for row in bands):
        return []
    ring = alt.Chart().transform_filter(f"datum.epoch == {selected[1]} && datum.curve == '{key}'")
    ring = ring.encode(description=alt.value(f"epoch {selected[1]} of {selected[0]} is the one selected"))
    return [ring.mark_point(size=130, filled=False, strokeWidth=2).encode(x=x, y=y("mean"), color=colour)]


def _lost(lines: Sequence[Any], ends: Sequence[dict[str, Any]], x: Any, y: Any, colour: Any) -> list[Any]:
    """The runs that diverged: each its own line up to its last finite value, and a cross there, or at the top."""
    import altair as alt

    thin = alt.Chart(alt.Data(values=lines)).mark_line(strokeWidth=1.2, strokeDash=[3, 3], opacity=0.85)
    layers: list[Any] = [thin.encode(x=x, y=y("value"), color=colour, detail="seed:N")] if lines else []
    tooltip = [alt.Tooltip("seed:N"), alt.Tooltip("epoch:Q", title="diverged after epoch")]
    met, never = ([row for row in ends if (row["value"] is None) == gone] for gone in (False, True))
    for rows, place in ((met, y("value")), (never, alt.value(8))):
        if rows:
            marks = alt.Chart(alt.Data(values=rows)).mark_point(**CROSS)
            layers.append(marks.encode(x=x, y=place, color=colour, tooltip=tooltip))
    return layers


def _published(rows: Sequence[dict[str, Any]], x: Any, y: Any, colour: Any) -> list[Any]:
    """What somebody else measured: a diamond at the middle, and a bar over what the figure spans."""
    import altair as alt

    if not rows:
        return []
    base = alt.Chart(alt.Data(values=rows))
    tooltip = [alt.Tooltip("name:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", title="published", format=".5~g")]
    diamonds = base.mark_point(shape="diamond", size=64, filled=False, strokeWidth=1.6, opacity=1)
    return [
        base.mark_rule(strokeWidth=4, opacity=0.35).encode(x=x, y=y("low"), y2="high:Q", color=colour),
        diamonds.encode(x=x, y=y("value"), color=colour, tooltip=tooltip),
    ]


def _floors(floors: Sequence[Any], keys: Mapping[str, Curve], y: Any, colour: Any) -> list[Any]:
    import altair as alt

    words = f"'floor ' + format(datum.value, '.4~g') + ', ' + {_named(keys)}"
    rules = alt.Chart(alt.Data(values=floors)).transform_calculate(words=words).mark_rule(strokeWidth=1)
    rules = rules.encode(description=alt.Description("words:N"))
    return [rules.encode(y=y("value"), color=colour)] if floors else []


def _limit(limit_percent: float | None, y: Any, palette: Palette) -> list[Any]:
    import altair as alt

    if limit_percent is None:
        return []
    line = alt.Chart(alt.Data(values=[{"limit": limit_percent}]))
    return [line.mark_rule(color=palette.good, strokeWidth=1.5).encode(y=y("limit"))]


def _not_finite(epochs: Sequence[int], x: Any, palette: Palette) -> list[Any]:
    import altair as alt

    marks = alt.Chart(alt.Data(values=[{"epoch": epoch} for epoch in epochs])).mark_point(**CROSS, color=palette.bad)
    return [marks.encode(x=x, y=alt.value(8))] if epochs else []


def _notes(curves: Sequence[Curve], limit_percent: float | None, not_finite: bool, palette: Palette) -> list[Any]:
    """Say above the plot, where no curve runs, what the marks mean: to the right what failed, to the left the rest."""
    import altair as alt

    floors = [curve for curve in curves if curve.floor > 0]
    published = any(curve.published for curve in curves)
    said = [("published", palette.muted)] if published else []
    said += [(f"— contract: {limit_percent:g} %", palette.good)] if limit_percent is not None else []
    said += [(f"— floor: {floors[0].floor:.4f}", floors[0].colour)] if len(floors) == 1 else []
    said += [("thin lines: the floors", palette.muted)] if len(floors) > 1 else []
    layers = []
    if published:  # a diamond as a mark: few fonts have one, and the words beside it would be in another font
        symbol = alt.Chart(alt.Data(values=[{}])).mark_point(shape="diamond", size=50, color=palette.muted)
        layers.append(symbol.encode(x=alt.value(5), y=alt.value(-10)))
    if said:
        colour = said[0][1] if len(said) == 1 else palette.muted
        text = "   ".join(words for words, _ in said)
        layers.append(_note(text, colour, alt.value(14 if published else 0), "left"))
    diverged = "; ".join(curve.name for curve in curves if curve.diverged)
    if diverged or not_finite:
        failed = f"× diverged: {diverged}" if diverged else "× loss not finite"
        failed = failed if len(failed) <= NOTE_LETTERS and not (diverged and said) else "× diverged"
        layers.append(_note(failed, palette.bad, alt.value("width"), "right"))
    return layers


def _note(text: str, colour: str, x: Any, align: Literal["left", "right"]) -> Any:
    import altair as alt

    note = alt.Chart(alt.Data(values=[{}])).mark_text(text=text, color=colour, align=align, baseline="bottom")
    return note.encode(x=x, y=alt.value(-4))


def _pointer(keys: Mapping[str, Curve], metric: str, x: Any, palette: Palette) -> Any:
    """A rule at the epoch nearest to the pointer, whose tooltip tells every curve's value there."""
    import altair as alt

    near = {"nearest": True, "on": "pointermove", "clear": "pointerout", "fields": ["epoch"], "empty": False}
    hover = alt.selection_point(name=f"nearest_in_{metric}", **near)
    tooltip = [alt.Tooltip("epoch:Q", format="d")]
    tooltip += [alt.Tooltip(f"{key}:Q", title=curve.name, format=".5~g") for key, curve in keys.items()]
    opacity = alt.when(hover).then(alt.value(0.7)).otherwise(alt.value(0))
    beside = alt.Chart().transform_pivot("curve", value="mean", groupby=["epoch"])
    return beside.mark_rule(color=palette.muted).encode(x=x, opacity=opacity, tooltip=tooltip).add_params(hover)

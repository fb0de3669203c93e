"""Charts of many runs: mean curves with the band of their seeds, a small chart for each variant, a dot for each run.

The rows that a chart draws are made apart from its drawing, as in charts.py.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab.drawing.charts import LEGEND_CHARACTERS, LOG_ABOVE, NOTE_HEIGHT, Width, themed
from classlab.drawing.palette import LIGHT, Palette

if TYPE_CHECKING:
    import altair as alt

# Each is told from white paper and from a dark page at 3 : 1 or better, so that one list serves both schemes.
COLOURS = ("#3a78c9", "#c8641b", "#2b8f57", "#9160c4", "#cf4a45", "#16909b", "#a0742c", "#c4508f")
DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2], [12, 4], [1, 3], [6, 2, 1, 2, 1, 2])
CROSS: dict[str, Any] = {"shape": "cross", "angle": 45, "size": 90, "filled": True, "opacity": 1}
POINTS_UP_TO = 12  # epochs; a curve of so few shows where it was measured
EPOCHS_NAMED = 8
TWO_BESIDE = 15  # letters; of longer names no two stand beside each other in a chart as narrow as a telephone
NOTE_LETTERS = 60

Histories = Mapping[str, Mapping[int, Sequence[float]]]
Broken = Mapping[str, Collection[int]]
Looks = Mapping[str, tuple[str, Sequence[int]]]


def band_rows(histories: Histories, broken: Broken | None = None) -> list[dict[str, Any]]:
    """Return one row a variant and epoch: variant, epoch, the mean, the lowest and the highest of its seeds, how many.

    histories: variant -> seed -> value, epoch by epoch from the first. broken: variant -> the seeds that diverged;
    their curves stop being numbers, so they are not in the mean and are told by `broken_rows`.
    """
    rows = []
    for variant, by_seed in histories.items():
        kept = [curve for seed, curve in by_seed.items() if seed not in (broken or {}).get(variant, ())]
        for place in range(max(map(len, kept), default=0)):
            values = [curve[place] for curve in kept if place < len(curve) and math.isfinite(curve[place])]
            if values:
                mean = math.fsum(values) / len(values)
                ends = {"low": min(values), "high": max(values), "seeds": len(values)}
                rows.append({"variant": variant, "epoch": place + 1, "mean": mean, **ends})
    return rows


def seed_rows(histories: Histories) -> list[dict[str, Any]]:
    """Return one row a variant, seed and epoch, with its value, those that are finite."""
    return [
        {"variant": variant, "seed": seed, "epoch": place + 1, "value": value}
        for variant, by_seed in histories.items()
        for seed, curve in by_seed.items()
        for place, value in enumerate(curve)
        if math.isfinite(value)
    ]


def broken_rows(histories: Histories, broken: Broken) -> list[dict[str, Any]]:
    """Return where each diverged run's curve ends: variant, seed, epoch, its last finite value (None without one)."""
    rows = []
    for variant, seeds in broken.items():
        for seed in sorted(seeds):
            curve = histories.get(variant, {}).get(seed, ())
            finite = [(place + 1, value) for place, value in enumerate(curve) if math.isfinite(value)]
            epoch, value = finite[-1] if finite else (1, None)
            rows.append({"variant": variant, "seed": seed, "epoch": epoch, "value": value})
    return rows


def curves(
    histories: Histories,
    metric: str,
    broken: Broken | None = None,
    palette: Palette = LIGHT,
    width: Width = 520,
    height: int = 300,
    looks: Looks | None = None,
    published: Sequence[Mapping[str, Any]] = (),
    floors: Mapping[str, float] | None = None,
) -> "alt.LayerChart":
    """Return the mean curve of each variant, the band from its lowest to its highest seed behind it.

    histories, broken: as for `band_rows`. metric: a column of metrics.csv; accuracies are drawn in per cent. A diverged
    run is a thin dashed line of its variant's colour that ends in a cross. The axis of a loss that explodes is
    logarithmic. looks: colour and dash of each variant, where they are not to be told apart by both. published: rows of
    variant, epoch, low and high, drawn as diamonds, or as bars where low and high differ much. floors: what a variant
    cannot get under, as thin lines.
    """
    import altair as alt

    broken, factor = broken or {}, _factor(metric)
    names = list(dict.fromkeys([*histories, *broken]))
    bands = _scaled(band_rows(histories, broken), factor)
    lost = {variant: {seed: histories.get(variant, {}).get(seed, ()) for seed in of} for variant, of in broken.items()}
    ended, lines = _scaled(broken_rows(histories, broken), factor), _scaled(seed_rows(lost), factor)
    others = _scaled(published, factor)
    under = [{"variant": name, "value": floor} for name, floor in (floors or {}).items() if floor > 0]
    x, y = _epochs(histories), _axis([*bands, *lines, *others, *under], metric)
    colour, dash = _told_apart(names, looks=looks)
    base = alt.Chart(alt.Data(values=bands)).encode(x=x, color=colour)
    layers: list[Any] = [
        base.mark_area(opacity=0.16).encode(y=y("low"), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y("mean"), strokeDash=dash),
    ]
    if _longest(histories) <= POINTS_UP_TO:
        layers.append(base.mark_point(filled=True, size=22, opacity=1).encode(y=y("mean")))
    layers += _lost(lines, ended, x, y, colour, palette, bool(others)) + _published(others, x, y, colour)
    layers += (
        [alt.Chart(alt.Data(values=under)).mark_rule(strokeWidth=1).encode(y=y("value"), color=colour)] if under else []
    )
    if others or under:
        told = [text for text, of in (("◇ published", others), ("thin line: the floor", under)) if of]
        note = alt.Chart(alt.Data(values=[{}])).mark_text(text=" · ".join(told), color=palette.muted, align="left")
        layers.append(note.encode(x=alt.value(0), y=alt.value(-12)))
    layers.append(_pointer(bands, names, x, palette))
    return alt.LayerChart(layer=layers, width=width, height=height, **themed(palette))


def multiples(
    histories: Histories,
    metric: str,
    broken: Broken | None = None,
    palette: Palette = LIGHT,
    columns: int = 3,
    width: int = 190,
    height: int = 130,
) -> "alt.FacetChart":
    """Return a small chart for each variant, every seed a thin line and their mean a thick one, on the same axes."""
    import altair as alt

    broken, factor = broken or {}, _factor(metric)
    names = list(dict.fromkeys([*histories, *broken]))
    bands, seeds = _scaled(band_rows(histories, broken), factor), _scaled(seed_rows(histories), factor)
    ended = _scaled(broken_rows(histories, broken), factor)
    rows = [{**row, "kind": "mean", "value": row["mean"]} for row in bands]
    rows += [{**row, "kind": "seed"} for row in seeds] + [{**row, "kind": "end"} for row in ended]
    x, y = _epochs(histories), _axis(seeds, metric)
    colour, _ = _told_apart(names, legend=False)
    base = alt.Chart().encode(x=x, color=colour)
    layers: list[Any] = [
        base.transform_filter("datum.kind == 'seed'")
        .mark_line(strokeWidth=1, opacity=0.55)
        .encode(y=y("value"), detail="seed:N", tooltip=["variant:N", "seed:N", "epoch:Q", "value:Q"]),
        base.transform_filter("datum.kind == 'mean'").mark_line(strokeWidth=2.4).encode(y=y("value")),
    ]
    if ended:
        ends = base.transform_filter("datum.kind == 'end' && isValid(datum.value)")
        layers.append(ends.mark_point(**CROSS).encode(y=y("value"), color=alt.value(palette.bad)))
        never = base.transform_filter("datum.kind == 'end' && !isValid(datum.value)")
        layers.append(never.mark_point(**CROSS).encode(y=alt.value(8), color=alt.value(palette.bad)))
    header = alt.Header(title=None, labelColor=palette.ink, labelFontSize=12, labelLimit=width, labelAnchor="start")
    layered = alt.LayerChart(data=alt.Data(values=rows), layer=layers, width=width, height=height)
    facets = layered.facet(facet=alt.Facet("variant:N", sort=names, header=header), columns=columns)
    look = themed(palette)
    return facets.properties(background=look["background"], config=look["config"])


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

    factor, names = _factor(metric), list(dict.fromkeys(row["variant"] for row in values))
    drawn = _scaled([row for row in values if row["value"] is not None and math.isfinite(row["value"])], factor)
    low, high = _around([row["value"] for row in drawn], percent=factor == 100)
    spans = [
        {
            **row,
            "shown_low": None if row["low"] is None else max(low, row["low"]),
            "shown_high": None if row["low"] is None else min(high, row["high"]),
        }
        for row in _scaled(intervals, factor)
    ]
    wrong = [{**row, "wrong": row["status"] not in ("finished",)} for row in drawn]
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    labels = alt.Axis(labelLimit=260, ticks=False, domain=False, grid=False, labelColor=palette.ink)
    y = alt.Y("variant:N", sort=names, title=None, axis=labels, scale=alt.Scale(domain=names))

    def x(field: str) -> "alt.X":
        return alt.X(f"{field}:Q", title=_title(metric), scale=scale)

    told = [
        alt.Tooltip(f"{name}:{kind}")
        for name, kind in (("variant", "N"), ("seed", "N"), ("value", "Q"), ("status", "N"))
    ]
    span = alt.Chart(alt.Data(values=spans)).encode(y=y)
    told_span = [alt.Tooltip(f"{name}:Q", format=".5~g") for name in ("mean", "low", "high")]
    runs = alt.Chart(alt.Data(values=wrong)).encode(y=y, x=x("value"), tooltip=told)
    layers = [
        span.mark_rule(strokeWidth=2, color=palette.muted).encode(
            x=x("shown_low"), x2="shown_high:Q", tooltip=told_span
        ),
        span.mark_tick(thickness=3, size=18, color=palette.ink).encode(x=x("mean"), tooltip=told_span),
        runs.transform_filter("!datum.wrong").mark_point(filled=True, size=46, opacity=0.75, color=palette.train),
        runs.transform_filter("datum.wrong").mark_point(**CROSS, color=palette.bad),
    ]
    return alt.LayerChart(layer=layers, width=width, height=alt.Step(30), **themed(palette))


def _lost(
    lines: list[dict[str, Any]], ended: list[dict[str, Any]], x: Any, y: Any, colour: Any, palette: Palette, short: bool
) -> list[Any]:
    """The runs that diverged: each its own line up to its last finite value, and a cross there. short: name none."""
    import altair as alt

    if not ended:
        return []
    thin = alt.Chart(alt.Data(values=lines)).mark_line(strokeWidth=1.2, strokeDash=[3, 3], opacity=0.85)
    met = [row for row in ended if row["value"] is not None]
    never = [row for row in ended if row["value"] is None]
    told = [alt.Tooltip("variant:N"), alt.Tooltip("seed:N"), alt.Tooltip("epoch:Q", title="diverged after epoch")]
    layers: list[Any] = [thin.encode(x=x, y=y("value"), color=colour, detail="seed:N")] if lines else []
    if met:
        marks = alt.Chart(alt.Data(values=met)).mark_point(**CROSS)
        layers.append(marks.encode(x=x, y=y("value"), color=colour, tooltip=told))
    if never:
        marks = alt.Chart(alt.Data(values=never)).mark_point(**CROSS)
        layers.append(marks.encode(x=x, y=alt.value(8), color=colour, tooltip=told))
    said = f"× diverged: {'; '.join(dict.fromkeys(row['variant'] for row in ended))}"
    said = said if len(said) <= NOTE_LETTERS and not short else "× diverged"
    note = alt.Chart(alt.Data(values=[{}])).mark_text(text=said, color=palette.bad, align="right", baseline="bottom")
    layers.append(note.encode(x=alt.value("width"), y=alt.value(-6)))
    return layers


def _published(rows: list[dict[str, Any]], x: Any, y: Any, colour: Any) -> list[Any]:
    """What somebody else measured: a diamond at the middle, and a bar over what the figure spans."""
    import altair as alt

    if not rows:
        return []
    base = alt.Chart(alt.Data(values=[{**row, "value": (row["low"] + row["high"]) / 2} for row in rows]))
    told = [alt.Tooltip("variant:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", title="published", format=".5~g")]
    return [
        base.mark_rule(strokeWidth=4, opacity=0.35).encode(x=x, y=y("low"), y2="high:Q", color=colour),
        base.mark_point(shape="diamond", size=64, filled=False, strokeWidth=1.6, opacity=1).encode(
            x=x, y=y("value"), color=colour, tooltip=told
        ),
    ]


def _pointer(bands: Sequence[Mapping[str, Any]], names: Sequence[str], x: Any, palette: Palette) -> Any:
    """A rule at the epoch nearest to the pointer, whose tooltip tells every variant's mean there."""
    import altair as alt

    wide: dict[int, dict[str, Any]] = {}
    for row in bands:
        wide.setdefault(row["epoch"], {"epoch": row["epoch"]})[f"v{names.index(row['variant'])}"] = row["mean"]
    near = {"nearest": True, "on": "pointermove", "clear": "pointerout", "fields": ["epoch"], "empty": False}
    hover = alt.selection_point(name="nearest_epoch", **near)
    told = [alt.Tooltip("epoch:Q", format="d")]
    told += [alt.Tooltip(f"v{place}:Q", title=name, format=".5~g") for place, name in enumerate(names)]
    shown = alt.when(hover).then(alt.value(0.7)).otherwise(alt.value(0))
    rule = alt.Chart(alt.Data(values=list(wide.values()))).mark_rule(color=palette.muted)
    return rule.encode(x=x, opacity=shown, tooltip=told).add_params(hover)


def _told_apart(names: Sequence[str], legend: bool = True, looks: Looks | None = None) -> tuple[Any, Any]:
    """Return colour and dash of the variants; with more than there are colours, dashes tell equal ones apart."""
    import altair as alt

    count = len(COLOURS)
    colours = [COLOURS[place % count] for place in range(len(names))]
    dashes = [DASHES[(place + place // count) % count] for place in range(len(names))]
    if looks:
        colours, dashes = [looks[name][0] for name in names], [list(looks[name][1]) for name in names]
    long = sum(map(len, names)) + 4 * len(names) > (LEGEND_CHARACTERS if looks else 60)
    widest = max(map(len, names), default=0)
    columns = (1 if widest > TWO_BESIDE else 2) if long else len(names)
    key = alt.Legend(title=None, columns=columns, labelLimit=330, offset=NOTE_HEIGHT, symbolOpacity=1, symbolSize=500)
    key = key if legend and len(names) > 1 else None
    return (
        alt.Color("variant:N", sort=names, scale=alt.Scale(domain=names, range=colours), legend=key),
        alt.StrokeDash("variant:N", sort=names, scale=alt.Scale(domain=names, range=dashes), legend=key),
    )


def _factor(metric: str) -> float:
    return 1.0 if metric.endswith("loss") else 100.0


def _title(metric: str) -> str:
    words = metric.replace("_", " ").replace("val ", "validation ")
    return words if metric.endswith("loss") else f"{words}, {'points' if metric.startswith('spread') else '%'}"


def _scaled(rows: Sequence[Mapping[str, Any]], factor: float) -> list[dict[str, Any]]:
    keys = ("mean", "low", "high", "value")
    return [
        {key: value * factor if key in keys and value is not None else value for key, value in row.items()}
        for row in rows
    ]


def _longest(histories: Histories) -> int:
    return max((len(curve) for by_seed in histories.values() for curve in by_seed.values()), default=1)


def _epochs(histories: Histories) -> "alt.X":
    import altair as alt

    last = _longest(histories)
    ticks = alt.Axis(format="d", grid=False, tickMinStep=1)
    if last <= EPOCHS_NAMED:
        ticks = alt.Axis(format="d", grid=False, values=list(range(1, last + 1)))
    domain = [1, last] if last > 1 else [0, 2]
    return alt.X("epoch:Q", title="epoch", axis=ticks, scale=alt.Scale(domain=domain, nice=False))


def _axis(rows: Sequence[Mapping[str, Any]], metric: str) -> Any:
    """Return a function of a field that gives its place on the one axis of values."""
    import altair as alt

    values = [row[key] for row in rows for key in ("mean", "low", "high", "value") if row.get(key) is not None]
    explodes = metric.endswith("loss") and bool(values) and min(values) > 0 and max(values) / min(values) > LOG_ABOVE
    title = _title(metric) + (" (logarithmic)" if explodes else "")
    if explodes:
        axis = alt.Axis(values=[10.0**power for power in range(-12, 39)], format=".0~e")
        return lambda field: alt.Y(f"{field}:Q", title=title, axis=axis, scale=alt.Scale(type="log"))
    scale = alt.Scale(zero=False, nice=True) if values else alt.Scale(domain=[0, 1])
    return lambda field: alt.Y(f"{field}:Q", title=title, scale=scale)


def _around(values: Sequence[float], percent: bool) -> tuple[float, float]:
    """Return an axis that holds the values with some room on either side."""
    if not values:
        return 0.0, 100.0 if percent else 1.0
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.02 * abs(high) or 1.0
    return low - room, min(high + room, 100.5) if percent else high + room

"""Published points over bands: a small chart for each variant, with where one more run of it would fall."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab import metrics
from classlab.drawing import axes
from classlab.drawing.curve_rows import scaled
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import themed

if TYPE_CHECKING:
    import altair as alt

Ends = Sequence[tuple[float, float]]  # low and high, epoch by epoch from the first; what is not finite is a gap


def published_bands(
    bands: Mapping[str, Ends],
    published: Mapping[int, tuple[float, float]],
    metric: str,
    colours: Mapping[str, str],
    palette: Palette = LIGHT,
    columns: int = 2,
    width: int = 140,
    height: int = 120,
) -> "alt.FacetChart":
    """Return a small chart for each variant, its band and the same published points over it, on the same axes.

    bands: variant -> where one more run falls at each epoch. published: epoch -> low and high of the figure. metric: a
    column of metrics.csv; accuracies are drawn in per cent. colours: of each variant.
    """
    import altair as alt

    factor, names = metrics.scale(metric).factor, list(bands)
    rows = [
        {"curve": name, "kind": "band", "epoch": epoch, "low": low, "high": high}
        for name, ends in bands.items()
        for epoch, (low, high) in enumerate(ends, 1)
    ]
    rows += [
        {"curve": name, "kind": "published", "epoch": epoch, "low": low, "high": high, "value": (low + high) / 2}
        for name in names
        for epoch, (low, high) in published.items()
    ]
    rows = scaled(rows, factor)
    values = [row[end] for row in rows for end in ("low", "high")]
    y = axes.values(values, metrics.title(metric), may_be_log=factor == 1)
    last = max([*published, *(len(ends) for ends in bands.values())])
    scale = alt.Scale(domain=names, range=[colours[name] for name in names])
    colour = alt.Color("curve:N", sort=names, scale=scale, legend=None)
    base = alt.Chart().encode(x=axes.epochs(last))
    band = base.transform_filter("datum.kind == 'band' && isValid(datum.low)")
    if last == 1:  # of one epoch there is no area to see
        area: Any = band.mark_rule(strokeWidth=9, opacity=0.35).encode(y=y("low"), y2="high:Q", color=colour)
    else:
        area = band.mark_area(opacity=0.3).encode(y=y("low"), y2="high:Q", color=colour)
    tooltip = [alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", title="published", format=".5~g")]
    points = base.transform_filter("datum.kind == 'published'").mark_point(
        shape="diamond", size=26, filled=True, opacity=1, color=palette.ink
    )
    layers: list[Any] = [area, points.encode(y=y("value"), tooltip=tooltip)]
    header = alt.Header(title=None, labelColor=palette.ink, labelFontSize=12, labelLimit=width, labelAnchor="start")
    layered = alt.LayerChart(data=alt.Data(values=rows), layer=layers, width=width, height=height)
    facets = layered.facet(facet=alt.Facet("curve:N", sort=names, header=header), columns=columns)
    return facets.properties(**themed(palette))

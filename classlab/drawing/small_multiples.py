"""Small multiples: a small chart of curves for each variant, all on the same axes."""

from typing import TYPE_CHECKING, Any

from classlab import metrics
from classlab.drawing import axes
from classlab.drawing.curve_rows import Broken, Histories, band_rows, broken_rows, longest, scaled, seed_rows
from classlab.drawing.palette import LIGHT, Palette, look
from classlab.drawing.theme import CROSS, themed

if TYPE_CHECKING:
    import altair as alt


def multiples(
    histories: Histories,
    metric: str,
    broken: Broken | None = None,
    palette: Palette = LIGHT,
    columns: int = 3,
    width: int = 190,
    height: int = 130,
) -> "alt.FacetChart":
    """Return a small chart for each variant, every seed a thin line and their mean a thick one, on the same axes.

    metric: a column of metrics.csv; accuracies are drawn in per cent. A cross marks where a run diverged.
    """
    import altair as alt

    broken, factor = broken or {}, metrics.scale(metric).factor
    names = list(dict.fromkeys([*histories, *broken]))
    seeds = scaled(seed_rows(histories), factor)
    rows = [{**row, "kind": "mean", "value": row["mean"]} for row in scaled(band_rows(histories, broken), factor)]
    rows += [{**row, "kind": "seed"} for row in seeds]
    rows += [{**row, "kind": "end"} for row in scaled(broken_rows(histories, broken), factor)]
    colours = alt.Scale(domain=names, range=[look(place)[0] for place in range(len(names))])
    colour = alt.Color("curve:N", sort=names, scale=colours, legend=None)
    y = axes.values([row["value"] for row in seeds], metrics.title(metric), may_be_log=factor == 1)
    last = longest(histories)
    base = alt.Chart().encode(x=axes.epochs(last), color=colour)
    dots = alt.OverlayMarkDef(size=30) if last == 1 else False  # of one epoch there is no line to see
    layers: list[Any] = [
        base.transform_filter("datum.kind == 'seed'")
        .mark_line(strokeWidth=1, opacity=0.55)
        .encode(
            y=y("value"),
            detail="seed:N",
            tooltip=[alt.Tooltip("curve:N", title="variant"), "seed:N", "epoch:Q", "value:Q"],
        ),
        base.transform_filter("datum.kind == 'mean'").mark_line(strokeWidth=2.4, point=dots).encode(y=y("value")),
    ]
    if any(broken.values()):
        ends = base.mark_point(**CROSS).encode(color=alt.value(palette.bad))
        layers.append(ends.transform_filter("datum.kind == 'end' && isValid(datum.value)").encode(y=y("value")))
        layers.append(ends.transform_filter("datum.kind == 'end' && !isValid(datum.value)").encode(y=alt.value(8)))
    header = alt.Header(title=None, labelColor=palette.ink, labelFontSize=12, labelLimit=width, labelAnchor="start")
    layered = alt.LayerChart(data=alt.Data(values=rows), layer=layers, width=width, height=height)
    facets = layered.facet(facet=alt.Facet("curve:N", sort=names, header=header), columns=columns)
    return facets.properties(**themed(palette))

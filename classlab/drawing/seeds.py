"""The curves of many runs: for each variant the mean of its seeds over the epochs, with their band."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab.drawing.curve_rows import Broken, Histories
from classlab.drawing.line_chart import Curve, line_chart
from classlab.drawing.palette import LIGHT, Palette, look
from classlab.drawing.theme import Width

if TYPE_CHECKING:
    import altair as alt

Looks = Mapping[str, tuple[str, Sequence[int]]]


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

    metric: a column of metrics.csv; accuracies are drawn in per cent. broken: a diverged run is a thin dashed line of
    its variant's colour that ends in a cross. looks: colour and dashes of each variant, where they are not to be told
    apart by both. published: rows of variant, epoch, low and high. floors: what a variant cannot get under.
    """
    broken, names = broken or {}, list(dict.fromkeys([*histories, *(broken or {})]))
    drawn = [
        Curve(
            name,
            histories.get(name, {}),
            *(looks[name] if looks else look(place)),
            diverged=broken.get(name, ()),
            published=[
                {key: row[key] for key in ("epoch", "low", "high")} for row in published if row["variant"] == name
            ],
            floor=(floors or {}).get(name, 0.0),
        )
        for place, name in enumerate(names)
    ]
    return line_chart(drawn, metric, palette, width, height)

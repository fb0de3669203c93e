"""The codes of an autoencoder as points in the plane, each class in its own colour."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import Width, themed

if TYPE_CHECKING:
    import altair as alt

# Told apart by those who see fewer colours too, on white and on black (Okabe and Ito, 2008, and three greys between).
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1"),
    *("#a6761d", "#7f7f7f", "#b2b200"),
)


def code_rows(places: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each code: x, y and the name of its class. places: (count, 2); labels: (count,)."""
    return [
        {"x": float(x), "y": float(y), "class": class_names[int(label)]}
        for (x, y), label in zip(places, labels, strict=True)
    ]


def codes(
    places: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    palette: Palette = LIGHT,
    width: Width = 340,
) -> "alt.LayerChart":
    """Return the points. Axes have no numbers: neither PCA's nor t-SNE's mean anything by themselves."""
    import altair as alt

    rows = code_rows(places, labels, class_names)
    present = [class_names[label] for label in sorted({int(label) for label in labels})]
    colour = alt.Color(
        "class:N",
        scale=alt.Scale(domain=present, range=[COLOURS[number % len(COLOURS)] for number in range(len(present))]),
        legend=alt.Legend(title=None, symbolType="circle", symbolSize=70, symbolOpacity=1, columns=3),
    )
    bare = alt.Axis(labels=False, ticks=False, title=None, grid=False, domain=False)
    x, y = alt.X("x:Q", axis=bare, scale=alt.Scale(zero=False)), alt.Y("y:Q", axis=bare, scale=alt.Scale(zero=False))
    points = alt.Chart(alt.Data(values=rows)).mark_circle(size=18, opacity=0.75).encode(x, y, colour, tooltip="class:N")
    return alt.LayerChart(layer=[points], width=width, height=320, **themed(palette))

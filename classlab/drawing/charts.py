"""The curves of one run: its history in, a chart out. Each shows itself in a notebook; render.py writes it to files.

The rows that a chart draws are made apart from its drawing (`curve_rows`), so that a page, a picture and a table of the
same thing agree.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.drawing.line_chart import Curve, line_chart
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.theme import Width, inner, themed

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

LABELS = {"train": "train", "val": "validation", "test": "test, not used for selection"}
DASHES = {"train": (6, 3), "val": (1, 0), "test": (2, 3)}
SPLITS = tuple(DASHES)


def curve_rows(history: "pd.DataFrame", metric: str) -> list[dict[str, Any]]:
    """Return one row an epoch: epoch, and the metric ("loss", "accuracy") of each split that the history holds.

    A value that is not finite, or was not measured, is None; `broken_rows` has the epochs whose loss was not finite.
    """
    present = _splits(history, metric)
    return [
        {"epoch": int(row["epoch"]), **{split: _finite(row[f"{split}_{metric}"]) for split in present}}
        for row in history.to_dict("records")
    ]


def broken_rows(history: "pd.DataFrame") -> list[dict[str, int]]:
    """Return the epochs in which the train loss was not finite: that is where a run diverged."""
    if "train_loss" not in history:
        return []
    return [{"epoch": int(epoch)} for epoch in history["epoch"][~np.isfinite(history["train_loss"].astype(float))]]


def loss(
    history: "pd.DataFrame",
    palette: Palette = LIGHT,
    labels: Mapping[str, str] = LABELS,
    selected_epoch: int | None = None,
    floors: Mapping[str, float] | None = None,
    width: Width = 340,
) -> "alt.LayerChart":
    """Return the loss of each split over the epochs; a cross at the top marks an epoch whose loss is not finite.

    history: columns epoch, train_loss, val_loss, test_loss as far as they exist. labels: what the legend calls them.
    selected_epoch: where a ring marks the curve that chose it. floors: what the loss of a split cannot get under, drawn
    as thin lines where it is above 0.
    """
    return _chart(history, "loss", palette, labels, selected_epoch, width, floors=floors or {})


def accuracy(
    history: "pd.DataFrame",
    palette: Palette = LIGHT,
    labels: Mapping[str, str] = LABELS,
    selected_epoch: int | None = None,
    limit_percent: float | None = None,
    width: Width = 340,
) -> "alt.LayerChart":
    """Return the accuracy of each split over the epochs, in per cent, with a line at the contract's limit if given."""
    return _chart(history, "accuracy", palette, labels, selected_epoch, width, limit_percent=limit_percent)


def learning_rate(history: "pd.DataFrame", palette: Palette = LIGHT, width: Width = 340) -> "alt.LayerChart":
    """Return the learning rate that each epoch ended with."""
    rates = [float(rate) for rate in history["learning_rate"]]
    return line_chart([Curve("learning rate", {0: rates}, palette.train, (1, 0))], "learning_rate", palette, width)


def curves(
    history: "pd.DataFrame",
    palette: Palette = LIGHT,
    labels: Mapping[str, str] = LABELS,
    selected_epoch: int | None = None,
    limit_percent: float | None = None,
) -> "alt.HConcatChart":
    """Return loss and accuracy side by side, as for a notebook."""
    import altair as alt

    left = loss(history, palette, labels, selected_epoch)
    right = accuracy(history, palette, labels, selected_epoch, limit_percent)
    return alt.hconcat(inner(left), inner(right), spacing=36, **themed(palette))


def _chart(
    history: "pd.DataFrame",
    metric: str,
    palette: Palette,
    labels: Mapping[str, str],
    selected_epoch: int | None,
    width: Width,
    floors: Mapping[str, float] | None = None,
    limit_percent: float | None = None,
) -> "alt.LayerChart":
    """Draw a line a split."""
    rows = curve_rows(history, metric)
    drawn = {
        split: Curve(
            labels.get(split, split),
            {0: [math.nan if row[split] is None else row[split] for row in rows]},
            getattr(palette, split),
            DASHES[split],
            floor=(floors or {}).get(split, 0.0),
        )
        for split in _splits(history, metric)
    }
    selected = None
    if selected_epoch is not None and drawn:
        selected = drawn["val" if "val" in drawn else [*drawn][-1]].name, selected_epoch
    not_finite = [row["epoch"] for row in broken_rows(history)]
    return line_chart(
        [*drawn.values()], metric, palette, width,
        selected=selected, limit_percent=limit_percent, not_finite=not_finite,
        first_epoch=rows[0]["epoch"] if rows else 1,
    )  # fmt: skip


def _splits(history: "pd.DataFrame", metric: str) -> list[str]:
    """Return the splits with at least one measured value (a column that is empty throughout was never measured)."""
    columns = {split: f"{split}_{metric}" for split in SPLITS}
    return [s for s, column in columns.items() if column in history and (s == "train" or history[column].notna().any())]


def _finite(value: Any) -> float | None:
    number = float("nan") if value is None else float(value)
    return number if math.isfinite(number) else None

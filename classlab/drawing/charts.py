"""Chart definitions: numbers in, Altair charts out. Each shows itself in a notebook; render.py puts it anywhere else.

The rows that a chart draws are made apart from its drawing (`curve_rows`, `confusion_rows`), so that a page, a picture
and a table of the same thing agree.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.svg import short

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", Arial, sans-serif'
SPLITS = ("train", "val", "test")
LABELS = {"train": "train", "val": "validation", "test": "test, not used for selection"}
DASHES = {"train": [6, 3], "val": [1, 0], "test": [2, 3]}
# Above this ratio between the largest and the smallest loss a linear axis shows only the largest.
LOG_ABOVE = 1000.0
POINTS_UP_TO = 40  # epochs; with more of them a dot at each is clutter
EPOCHS_NAMED = 8
MANY_CLASSES = 20  # a count fits in a cell up to here
LEGEND_CHARACTERS = 32  # that stand side by side in a chart as narrow as a telephone
NOTE_HEIGHT = 26  # above the plot, for a few words between it and the legend

Width = int | Literal["container"]


def curve_rows(history: "pd.DataFrame", metric: str) -> list[dict[str, Any]]:
    """Return one row an epoch: epoch, and the metric ("loss", "accuracy") of each split that the history holds.

    A value that is not finite, or was not measured, is None; which splits went wrong is told by `broken_rows`.
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
    floors: what the loss of a split cannot get under, drawn as thin lines where it is above 0.
    """
    rows = curve_rows(history, "loss")
    values = [value for row in rows for key, value in row.items() if key != "epoch" and value is not None]
    log = bool(values) and min(values) > 0 and max(values) / min(values) > LOG_ABOVE
    drawn = _splits(history, "loss")
    floors = {split: floor for split, floor in (floors or {}).items() if floor > 0 and split in drawn}
    return _curves(rows, broken_rows(history), palette, labels, selected_epoch, width, "loss", floors=floors, log=log)


def accuracy(
    history: "pd.DataFrame",
    palette: Palette = LIGHT,
    labels: Mapping[str, str] = LABELS,
    selected_epoch: int | None = None,
    limit_percent: float | None = None,
    width: Width = 340,
) -> "alt.LayerChart":
    """Return the accuracy of each split over the epochs, in per cent, with a line at the contract's limit if given."""
    rows = [
        {key: value if key == "epoch" or value is None else 100 * value for key, value in row.items()}
        for row in curve_rows(history, "accuracy")
    ]
    return _curves(
        rows, broken_rows(history), palette, labels, selected_epoch, width, "accuracy, %", limit=limit_percent
    )


def learning_rate(history: "pd.DataFrame", palette: Palette = LIGHT, width: Width = 340) -> "alt.LayerChart":
    """Return the learning rate that each epoch ended with."""
    rows = [
        {"epoch": int(e), "train": _finite(r)} for e, r in zip(history["epoch"], history["learning_rate"], strict=True)
    ]
    return _curves(rows, [], palette, {"train": "learning rate"}, None, width, "learning rate")


def curves(
    history: "pd.DataFrame",
    palette: Palette = LIGHT,
    labels: Mapping[str, str] = LABELS,
    selected_epoch: int | None = None,
    limit_percent: float | None = None,
) -> "alt.HConcatChart":
    """Return loss and accuracy side by side, as for a notebook."""
    import altair as alt

    drawn = (
        loss(history, palette, labels, selected_epoch),
        accuracy(history, palette, labels, selected_epoch, limit_percent),
    )
    for chart in drawn:
        chart.config = chart.background = alt.Undefined  # only the outermost chart may hold these
    return alt.hconcat(*drawn, spacing=36, **themed(palette))


def confusion_rows(matrix: np.ndarray, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row a cell: true, predicted, count and share (of the true class's images; 0 where it has none).

    matrix: integer, (classes, classes), true classes down, predicted ones across.
    """
    totals = matrix.sum(axis=1)
    return [
        {
            "true": actual,
            "predicted": predicted,
            "count": int(matrix[i, j]),
            "share": float(matrix[i, j] / totals[i]) if totals[i] else 0.0,
            "right": i == j,
        }
        for i, actual in enumerate(class_names)
        for j, predicted in enumerate(class_names)
    ]


def confusion(
    matrix: np.ndarray, class_names: Sequence[str], palette: Palette = LIGHT, width: Width = 420
) -> "alt.LayerChart":
    """Return the confusion matrix: true classes down, predicted across; stronger is a larger share of the true class.

    matrix: integer, (classes, classes). With more than MANY_CLASSES the counts are left to the tooltip, and empty cells
    are not drawn. Mistakes are tinted on their own scale, up to the most frequent one, or they would be invisible
    beside the right answers.
    """
    import altair as alt

    names, many = list(class_names), len(class_names) > MANY_CLASSES
    rows = [row for row in confusion_rows(matrix, names) if row["count"] or not many]
    worst = max((row["share"] for row in rows if not row["right"]), default=0.0)
    for row in rows:
        row["tint"] = row["share"] if row["right"] else row["share"] / (worst or 1.0)
    down = alt.Axis(ticks=False, domain=False, labelOverlap="greedy")
    across = alt.Axis(labelAngle=_label_angle(names), orient="top", ticks=False, domain=False, labelOverlap="greedy")
    domain = alt.Scale(domain=names)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("predicted:N", sort=names, title="predicted", axis=across, scale=domain),
        y=alt.Y("true:N", sort=names, title="true", axis=down, scale=domain),
        tooltip=[
            alt.Tooltip("true:N"),
            alt.Tooltip("predicted:N"),
            alt.Tooltip("count:Q", format=","),
            alt.Tooltip("share:Q", format=".2%", title="of the true class"),
        ],
    )
    tint = alt.FillOpacity("tint:Q", scale=alt.Scale(domain=[0, 1], range=[0, 0.5]), legend=None)
    colour = alt.condition("datum.right", alt.value(palette.train), alt.value(palette.val))
    layers: list[Any] = [base.mark_rect(stroke=palette.line, strokeWidth=1).encode(fill=colour, fillOpacity=tint)]
    if not many:
        numbers = base.transform_filter("datum.count > 0").mark_text(fontSize=11, color=palette.ink)
        layers.append(numbers.encode(text=alt.Text("count:Q", format="d")))
    return alt.LayerChart(layer=layers, width=width, height=560 if many else 420, **themed(palette))


def _curves(
    rows: list[dict[str, Any]],
    broken: list[dict[str, int]],
    palette: Palette,
    labels: Mapping[str, str],
    selected_epoch: int | None,
    width: Width,
    title: str,
    limit: float | None = None,
    floors: Mapping[str, float] | None = None,
    log: bool = False,
) -> "alt.LayerChart":
    """Draw a line a split. Vega breaks a line where a value is missing, so what is not finite is marked by hand."""
    import altair as alt

    splits: list[Any] = [split for split in SPLITS if any(split in row for row in rows)]
    wide = alt.Chart(alt.Data(values=rows)).encode(x=_epochs(rows))
    long = sum(len(labels.get(split, split)) for split in splits) > LEGEND_CHARACTERS
    names = _label_expression(splits, labels)
    key = alt.Legend(title=None, columns=1 if long else len(splits), offset=NOTE_HEIGHT, labelExpr=names)
    key = key if len(splits) > 1 else None
    solid = alt.value([1, 0])
    dashes = alt.Scale(domain=splits, range=[DASHES[split] for split in splits])
    colours = alt.Scale(domain=splits, range=[getattr(palette, split) for split in splits])
    folded = wide.transform_fold(splits, as_=["split", "value"]).encode(
        y=_values(rows, title, log),
        color=alt.Color("split:N", scale=colours, legend=key),
        strokeDash=alt.StrokeDash("split:N", scale=dashes, legend=key) if key else solid,
    )
    layers: list[Any] = [folded.mark_line(strokeWidth=2)]
    if len(rows) <= POINTS_UP_TO:
        layers.append(folded.mark_point(size=22, filled=True, opacity=1).encode(strokeDash=solid))
    if selected_epoch is not None and splits:
        followed = "val" if "val" in splits else splits[-1]
        ring = folded.transform_filter(f"datum.epoch == {selected_epoch} && datum.split == '{followed}'")
        layers.append(ring.mark_point(size=130, filled=False, strokeWidth=2).encode(strokeDash=solid))
    layers += _limit(limit, palette) + _floors(floors or {}, palette) + _broken(broken, palette)
    layers.append(_pointer(wide, splits, labels, palette, f"nearest_in_{title.split(',')[0].replace(' ', '_')}"))
    return alt.LayerChart(layer=layers, width=width, height=250, **themed(palette))


def _pointer(wide: Any, splits: Sequence[str], labels: Mapping[str, str], palette: Palette, name: str) -> Any:
    """A rule at the epoch nearest to the pointer, whose tooltip tells every curve's value there."""
    import altair as alt

    hover = alt.selection_point(
        name=name, nearest=True, on="pointermove", clear="pointerout", fields=["epoch"], empty=False
    )
    told = [
        alt.Tooltip("epoch:Q", format="d"),
        *(alt.Tooltip(f"{s}:Q", title=labels.get(s, s), format=".5~g") for s in splits),
    ]
    shown = alt.when(hover).then(alt.value(0.7)).otherwise(alt.value(0))
    return wide.mark_rule(color=palette.muted).encode(opacity=shown, tooltip=told).add_params(hover)


def _limit(limit: float | None, palette: Palette) -> list[Any]:
    import altair as alt

    if limit is None:
        return []
    line = alt.Chart(alt.Data(values=[{"limit": limit}])).encode(y=alt.Y("limit:Q"))
    return [
        line.mark_rule(color=palette.good, strokeWidth=1.5),
        _note(f"— contract: {limit:g} %", palette.good, alt.value(0), "left"),
    ]


def _floors(floors: Mapping[str, float], palette: Palette) -> list[Any]:
    """A thin line for each split in its colour: what its loss cannot get under."""
    import altair as alt

    if not floors:
        return []
    lines = [
        alt.Chart(alt.Data(values=[{"floor": floor}]))
        .mark_rule(color=getattr(palette, split), strokeWidth=1)
        .encode(y=alt.Y("floor:Q"))
        for split, floor in floors.items()
    ]
    if len(floors) > 1:
        return [*lines, _note("thin lines: the floors", palette.muted, alt.value(0), "left")]
    ((split, floor),) = floors.items()
    return [*lines, _note(f"— floor: {floor:.4f}", getattr(palette, split), alt.value(0), "left")]


def _broken(broken: list[dict[str, int]], palette: Palette) -> list[Any]:
    import altair as alt

    if not broken:
        return []
    marks = alt.Chart(alt.Data(values=broken)).encode(x=alt.X("epoch:Q"), y=alt.value(8))
    return [
        marks.mark_point(shape="cross", angle=45, size=110, filled=True, color=palette.bad, opacity=1),
        _note("× loss not finite", palette.bad, alt.value("width"), "right"),
    ]


def _note(text: str, colour: str, x: Any, align: Literal["left", "right"]) -> Any:
    """A few words above the plot, where no curve runs."""
    import altair as alt

    note = alt.Chart(alt.Data(values=[{}])).mark_text(text=text, color=colour, align=align, baseline="bottom")
    return note.encode(x=x, y=alt.value(-4))


def _splits(history: "pd.DataFrame", metric: str) -> list[str]:
    """Return the splits with at least one measured value (a column that is empty throughout was never measured)."""
    columns = {split: f"{split}_{metric}" for split in SPLITS}
    return [s for s, column in columns.items() if column in history and (s == "train" or history[column].notna().any())]


def _finite(value: Any) -> float | None:
    number = float("nan") if value is None else float(value)
    return number if math.isfinite(number) else None


def _epochs(rows: list[dict[str, Any]]) -> "alt.X":
    """The axis of epochs, each of them named while they are few."""
    import altair as alt

    epochs = [row["epoch"] for row in rows] or [1]
    first, last = min(epochs), max(epochs)
    domain = [first, last] if first < last else [first - 1, first + 1]
    ticks = alt.Axis(format="d", grid=False, tickMinStep=1)
    if len(epochs) <= EPOCHS_NAMED:
        ticks = alt.Axis(format="d", grid=False, values=epochs)
    return alt.X("epoch:Q", title="epoch", axis=ticks, scale=alt.Scale(domain=domain, nice=False))


def _values(rows: list[dict[str, Any]], title: str, log: bool) -> "alt.Y":
    """The axis of values: powers of ten where it is logarithmic, short numbers where they would be very long."""
    import altair as alt

    values = [value for row in rows for key, value in row.items() if key != "epoch" and value is not None]
    if log:
        axis = alt.Axis(values=[10.0**power for power in range(-12, 39)], format=".0~e")
        return alt.Y("value:Q", title=f"{title} (logarithmic)", axis=axis, scale=alt.Scale(type="log"))
    scale = alt.Scale(zero=False, nice=True) if values else alt.Scale(domain=[0, 1])
    size = max(map(abs, values), default=0.0)
    axis = alt.Axis() if 1e-2 < size < 1e5 else alt.Axis(format=".3~g")
    return alt.Y("value:Q", title=title, axis=axis, scale=scale)


def _label_expression(splits: Sequence[str], labels: Mapping[str, str]) -> str:
    import json

    return f"({json.dumps({split: short(labels.get(split, split)) for split in splits})})[datum.label]"


def _label_angle(names: Sequence[str]) -> int:
    return 0 if max(map(len, names), default=0) <= 3 else -40


def themed(palette: Palette) -> dict[str, Any]:
    """The look that every chart shares. It is handed to the outermost chart only."""
    import altair as alt

    text = {"labelColor": palette.muted, "titleColor": palette.ink}
    return {
        "background": "transparent" if palette.paper.startswith("var(") else palette.paper,
        "config": alt.Config(
            font=FONT,
            axis=alt.AxisConfig(
                **text,
                gridColor=palette.line,
                domainColor=palette.muted,
                tickColor=palette.muted,
                labelFontSize=12,
                titleFontSize=12,
                titleFontWeight="normal",
                titlePadding=8,
                labelPadding=5,
            ),
            legend=alt.LegendConfig(
                orient="top",
                symbolType="stroke",
                symbolStrokeWidth=2,
                labelColor=palette.ink,
                labelFontSize=12,
                symbolSize=140,
                labelLimit=330,
                rowPadding=3,
            ),
            text=alt.MarkConfig(font=FONT, fontSize=12),
            view=alt.ViewConfig(stroke=None),
        ),
    }

"""Bars: the test accuracies of the part's runs side by side, with their intervals."""

from functools import partial
from typing import Any

from classlab import statistics
from classlab.drawing import accuracy_bars
from classlab.drawing.blocks import Block, Figure, Figures, Words
from classlab.report import words
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun


def blocks(material: Material) -> list[Block]:
    """Return the bars from 0 on, and the same close by."""
    measured = {name: [run for run in runs if _accuracy(run) is not None] for name, runs in material.runs.items()}
    rows = [_row(name, runs) for name, runs in measured.items() if runs]
    if not rows:
        return [*material.missing(), *material.lacking("No run has a test accuracy, so there are no bars.")]
    described = "; ".join(_described(row, len(measured[row["name"]])) for row in rows)
    whole = Figure("bars", f"Test accuracy and its 95 % interval: {described}.", f"Bars from 0 to 100 %: {described}.",
                   partial(_draw, rows, False))  # fmt: skip
    caption = "The same close by, on an axis that does not begin at 0."
    near = Figure("bars-close", caption, f"{caption} {described}.", partial(_draw, rows, True))
    return [Figures((whole, near)), Words(_apart(rows)), *material.missing()]


def _draw(rows: list[dict[str, Any]], close: bool, palette: Any) -> Any:
    return accuracy_bars.bars(rows, "test accuracy, %", palette, close)


def _accuracy(run: FinishedRun) -> float | None:
    """Return the test accuracy; that of a diverged run means nothing."""
    return None if run.status == "diverged" else run.summary.get("test_accuracy")


def _row(name: str, runs: list[FinishedRun]) -> dict[str, Any]:
    values = [value for run in runs if (value := _accuracy(run)) is not None]
    if len(values) == 1:
        low, high = runs[0].summary.get("test_interval") or (None, None)
        return {"name": name, "value": values[0], "low": low, "high": high}
    estimate = statistics.over_seeds(values, images=runs[0].summary["test_total"])
    return {"name": name, "value": estimate.mean, "low": estimate.low, "high": estimate.high}


def _described(row: dict[str, Any], n: int) -> str:
    if row["low"] is None:
        return f"{row['name']} {words.percent(row['value'])}"
    kind = "one run, Wilson's over the images" if n == 1 else f"{n} seeds, t interval of the mean"
    return f"{row['name']} {words.percent(row['value'])}, {100 * row['low']:.2f} to {100 * row['high']:.2f} % ({kind})"


def _apart(rows: list[dict[str, Any]]) -> str:
    """Say which is highest, and whether its interval overlaps that of the next."""
    if len(rows) < 2:
        return "One accuracy alone compares with nothing."
    first, second = sorted(rows, key=lambda row: -row["value"])[:2]
    text = f"The highest is {first['name']}, {words.points(first['value'] - second['value'])} above {second['name']}"
    if first["low"] is None or second["high"] is None:
        return f"{text}."
    if first["low"] > second["high"]:
        return f"{text}, and their intervals do not overlap."
    return f"{text}; their intervals overlap, which by itself decides nothing: the comparison does."

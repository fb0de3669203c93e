"""Epochs: the figures of every epoch as a table, of several seeds their mean with its standard deviation."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from classlab.drawing.blocks import Block, Column, Table
from classlab.report.of_parts import Runs, missing, without
from classlab.report.published import Part
from classlab.report.sections.curves import COLUMNS, labels
from classlab.runs.finished import FinishedRun as Run


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return a table for each name."""
    tables = [_table(name, of, len(runs) > 1) for name, of in runs.items() if of]
    return [*tables, *missing(without(runs))]


def _table(name: str, of: Sequence[Run], several: bool) -> Table:
    histories = [run.history for run in of]
    measured = [key for key in COLUMNS if key != "epoch" and any(_measured(history, key) for history in histories)]
    longest = max(len(history) for history in histories)
    columns = [COLUMNS["epoch"], *(COLUMNS[key] for key in measured)]
    if len(of) > 1:
        columns = [COLUMNS["epoch"], *(Column(_heading(key), "figure") for key in measured)]
    rows = tuple(_row(histories, measured, place) for place in range(longest))
    caption = f"Every epoch{f' of {name}' if several else ''}"
    if len(of) > 1:
        caption += f": the mean of {len(of)} seeds ± their standard deviation"
    test = labels(of[0])["test"]
    note = f"; {test}" if any(key.startswith("test") for key in measured) else ""
    trained = of[0].experiment.protocol.train_metrics
    return Table("epochs", f"{caption}. Train figures are the {trained} ones{note}", tuple(columns), rows)


def _measured(history: Any, key: str) -> bool:
    return key in history and bool(history[key].notna().any())


def _heading(key: str) -> str:
    return COLUMNS[key].label + (", %" if COLUMNS[key].form == "percent" else "")


def _row(histories: list[Any], measured: list[str], place: int) -> tuple[Any, ...]:
    reached = [history for history in histories if place < len(history)]
    values = {key: [float(history[key].iloc[place]) for history in reached if key in history] for key in measured}
    if len(histories) == 1:
        return place + 1, *(None if not found or math.isnan(found[0]) else found[0] for found in values.values())
    return place + 1, *(_figure(found, COLUMNS[key]) for key, found in values.items())


def _figure(values: list[float], column: Column) -> str | None:
    """Return mean ± sd; "not finite" where one of the runs is not."""
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        return "not finite"
    factor = 100 if column.form == "percent" else 1
    mean = f"{factor * fmean(values):.{column.digits}f}"
    spread = f" ±\u00a0{factor * stdev(values):.{column.digits}f}" if len(values) > 1 else ""
    return mean + spread

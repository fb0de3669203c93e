"""Tables: the values are numbers until here; their form is the column's."""

import math
from typing import Any

from classlab import formats
from classlab.drawing.blocks import Column

NUMERIC = ("count", "number", "percent")


def cell_text(value: Any, column: Column) -> str:
    """Return the value as its column writes it; None is a dash and a number that is not finite says so."""
    if value is None:
        return "–"
    if column.form == "check":
        return "kept" if value else "not kept"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return formats.NOT_FINITE
    if column.form == "percent":
        return formats.percent(value, column.digits)
    if column.form in ("count", "number"):
        return formats.decimals(value, 0 if column.form == "count" else column.digits)
    return str(value)


def css_class(value: Any, column: Column) -> str:
    """Return the CSS classes of a cell.

    num: digits are to stand below each other; whole: never broken over two lines; good, bad: a check's tone.
    """
    if column.form == "check":
        return "plain" if value is None else "good" if value else "bad"
    if column.form in NUMERIC:
        return "num whole"
    return "num" if column.form == "figure" else column.form

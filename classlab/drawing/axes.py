"""The two axes of every chart of curves: epochs across, values up."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import altair as alt

# Above this ratio between the largest and the smallest loss a linear axis shows only the largest.
LOG_ABOVE = 1000.0
EPOCHS_NAMED = 8


def epochs(last: int, first: int = 1) -> "alt.X":
    """Return the axis of epochs from the first to the last, each of them named while they are few."""
    import altair as alt

    ticks = alt.Axis(format="d", grid=False, tickMinStep=1)
    if last - first < EPOCHS_NAMED:
        ticks = alt.Axis(format="d", grid=False, values=list(range(first, last + 1)))
    domain = [first, last] if last > first else [first - 1, first + 1]
    return alt.X("epoch:Q", title="epoch", axis=ticks, scale=alt.Scale(domain=domain, nice=False))


def values(drawn: Iterable[float | None], title: str, may_be_log: bool) -> Callable[[str], "alt.Y"]:
    """Return a function of a field that gives its place on the one axis of values.

    drawn: every value that the chart shows, None for what is not finite. may_be_log: whether the axis is logarithmic
    where the values span more than LOG_ABOVE, as those of a loss that explodes; its ticks are then powers of ten.
    Numbers that would be very long are written as 1e-4.
    """
    import altair as alt

    known = [value for value in drawn if value is not None]
    if may_be_log and known and min(known) > 0 and max(known) / min(known) > LOG_ABOVE:
        axis = alt.Axis(values=[10.0**power for power in range(-12, 39)], format=".0~e")
        return lambda field: alt.Y(f"{field}:Q", title=f"{title} (logarithmic)", axis=axis, scale=alt.Scale(type="log"))
    size = max(map(abs, known), default=0.0)
    axis = alt.Axis() if not known or 1e-2 < size < 1e5 else alt.Axis(format=".3~g")
    scale = alt.Scale(zero=False, nice=True) if known else alt.Scale(domain=[0, 1])
    return lambda field: alt.Y(f"{field}:Q", title=title, axis=axis, scale=scale)

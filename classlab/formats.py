"""Figures as sentences and tables write them. Fractions in, per cents out; a true minus sign.

One function for each kind of figure, so that a duration reads alike in a report, in a table and on the screen.
"""

import math
from collections.abc import Sequence

NOT_FINITE = "not finite"


def decimals(value: float, digits: int = 2) -> str:
    """Return a figure with this many decimals, thousands apart, a true minus sign, and no sign before a zero."""
    figure = f"{value:,.{digits}f}"
    return figure.lstrip("-") if float(figure.replace(",", "")) == 0 else figure.replace("-", "−")


def percent(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction as per cent, "99.43 %"; what was not measured or is not finite says so."""
    if fraction is None:
        return "not measured"
    return f"{decimals(100 * fraction, digits)} %" if math.isfinite(fraction) else NOT_FINITE


def points(difference: float, digits: int = 2) -> str:
    """Return the size of a difference of two fractions in percentage points, "0.43 points", without its sign."""
    figure = f"{100 * abs(difference):.{digits}f}"
    return f"{figure} point" if float(figure) == 1 else f"{figure} points"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return an interval of fractions in per cent, the unit left to the sentence: "99.27 to 99.57"."""
    return f"{decimals(100 * low, digits)} to {decimals(100 * high, digits)}"


def loss(value: float | None) -> str:
    """Return a loss with four decimals, "0.0123"; one that is not a finite number says so."""
    return NOT_FINITE if value is None or not math.isfinite(value) else decimals(value, 4)


def count(number: int, thing: str, things: str | None = None) -> str:
    """Return "1 image", "9,943 images"."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def number(value: float) -> str:
    """Return a limit or a measured figure: whole ones with separators, others with what digits they need."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" if abs(value) >= 100 else f"{value:.6g}"


def duration(seconds: float) -> str:
    """Return seconds as people say them: "0.25 s", "33.5 s", "1 min 12 s", "2 h 5 min"."""
    if 0 < seconds < 0.001:
        return "under 0.001 s"
    if 0 < seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = max(60, int(seconds))  # 59.97 is not "60.0 s"; from there on seconds are cut as a clock cuts them
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def megabytes(size: float) -> str:
    """Return a number of bytes as "11.2 MB", a million bytes each."""
    return f"{decimals(size / 1e6, 1)} MB"


def listed(parts: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def quoted(name: str) -> str:
    """Return a class name in quotation marks, so that a sentence about "4" and "9" can be read."""
    return f"“{name}”"


def capital(text: str) -> str:
    """Return a sentence with its first letter large."""
    return text[:1].upper() + text[1:]

"""Figures as a sentence writes them. Fractions in, per cents out; a true minus sign."""

import math
from collections.abc import Sequence

from classlab.experiment import Choice


def percent(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction as per cent, "99.43 %"; what was not measured or is not finite says so."""
    if fraction is None:
        return "not measured"
    return f"{100 * fraction:.{digits}f} %" if math.isfinite(fraction) else "not finite"


def points(difference: float, digits: int = 2) -> str:
    """Return the size of a difference of two fractions in percentage points, "0.43 points", without its sign."""
    figure = f"{100 * abs(difference):.{digits}f}"
    return f"{figure} point" if float(figure) == 1 else f"{figure} points"


def count(number: int, thing: str, things: str | None = None) -> str:
    """Return "1 image", "9,943 images"."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def number(value: float) -> str:
    """Return a limit or a measured figure: whole ones with separators, others with what digits they need."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" if abs(value) >= 100 else f"{value:.6g}"


def duration(seconds: float) -> str:
    """Return seconds as people say them: "0.25 s", "33.5 s", "1 min 12 s", "2 h 5 min"."""
    if 0 < seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"


def spelled(choice: Choice) -> str:
    """Return a choice with those of its options that are not off: "sgd (learning rate 0.1, nesterov)"."""
    options = (_option(key.replace("_", " "), value) for key, value in choice.options.items())
    told = ", ".join(option for option in options if option)
    return f"{choice.name} ({told})" if told else choice.name


def _option(name: str, value: object) -> str:
    if value is None or value is False or value == 0 or value == []:
        return ""
    if value is True:
        return name
    if isinstance(value, list | tuple):
        return f"{name} {listed([str(part) for part in value])}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


def listed(parts: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def quoted(name: str) -> str:
    """Return a class name in quotation marks, so that a sentence about "4" and "9" can be read."""
    return f"“{name}”"


def capital(text: str) -> str:
    """Return a sentence with its first letter large."""
    return text[:1].upper() + text[1:]

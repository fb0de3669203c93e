"""The formats of classlab.formats, and a choice of an experiment in words."""

from classlab.experiment import Choice
from classlab.formats import capital, count, duration, listed, number, percent, points, quoted

__all__ = ["capital", "count", "duration", "listed", "number", "percent", "points", "quoted", "spelled"]


def spelled(choice: Choice) -> str:
    """Return a choice with those of its options that are not off: "sgd (learning rate 0.1, nesterov)"."""
    options = (_option(key.replace("_", " "), value) for key, value in choice.options.items())
    text = ", ".join(option for option in options if option)
    return f"{choice.name} ({text})" if text else choice.name


def _option(name: str, value: object) -> str:
    if value is None or value is False or value == 0 or value == []:
        return ""
    if value is True:
        return name
    if isinstance(value, list | tuple):
        return f"{name} {listed([str(part) for part in value])}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"

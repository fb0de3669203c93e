"""How a judged figure is told, as cells of text: what was published, what was measured, interval and verdict."""

from collections.abc import Sequence

from classlab.report import words
from classlab.report.published import SOURCES, Part, Value
from classlab.report.verdicts import Judged, scale

HEADINGS = ("figure", "published", "measured", "interval", "verdict")
EPOCHS = {"first": "epoch 1", "best": "best epoch", "last": "last epoch", "selected": "selected epoch"}


def cells(one: Judged, part: Part) -> tuple[str, str, str, str, str]:
    """Return the row of a figure: what, published (source), measured (mean ± sd, n), interval, verdict."""
    source = SOURCES[one.value.source]
    return what(one.value, part), f"{published(one.value)} ({source})", measured(one), interval(one), verdict(one)


def what(value: Value, part: Part) -> str:
    """Return the name of a figure, with its run where the part tells of several, its epoch, its reading, its note."""
    of = value.of if isinstance(value.of, str) else ""
    told = f"{of}: {value.what}" if of and _is_shared(part.values) else value.what
    if isinstance(value.epoch, int):
        told += f", epoch {value.epoch}"
    elif value.epoch is not None and value.claim not in ("difference", "similar"):
        told += f", {EPOCHS[value.epoch]}"
    told += ", read soundly" if value.reading == "sound" and "sound" not in value.what else ""
    return f"{told} ({value.note})" if value.note else told


def _is_shared(values: Sequence[Value]) -> bool:
    """Whether two runs have a figure of the same name, so that the run must be told."""
    seen: dict[str, object] = {}
    return any(seen.setdefault(value.what, value.of) != value.of for value in values)


def published(value: Value) -> str:
    """Return a published figure as the report prints it."""
    if value.claim in ("holds", "similar"):
        return {"holds": "so", "similar": "similar"}[value.claim]
    given = value.published_percent if value.is_percent else value.published
    assert given is not None
    ends = given if isinstance(given, tuple) else (given,)
    counted = value.claim in ("at_least", "at_most") and not value.is_percent
    figure = " to ".join(words.number(end) if counted else f"{end:,.{value.decimals}f}" for end in ends)
    unit = "" if not value.is_percent else " points" if value.in_points else " %"
    limit = {"at_least": "at least ", "at_most": "at most "}.get(value.claim, "")
    return f"{limit}{figure}{unit}"


def measured(one: Judged) -> str:
    """Return the mean, the standard deviation where there are several runs, and how many there are."""
    if one.mean is None:
        return one.because
    if one.value.claim == "holds":
        return "so" if one.mean == 1 else "not so"
    n = f"n = {one.n}; {one.left_out}" if one.left_out else f"n = {one.n}"
    told = _figure(one.value, one.mean)
    if one.value.claim == "exact":
        return told  # the same in every run
    if one.sd is None:
        return f"{told}, {n}"
    number, space, unit = told.partition(" ")
    return f"{number} ± {_figure(one.value, one.sd).partition(' ')[0]}{space}{unit}, {n}"


def interval(one: Judged) -> str:
    """Return the interval that the verdict rests on, nothing where there is none."""
    if one.interval is None:
        return ""
    low, high = (_figure(one.value, end) for end in one.interval)
    return f"{low.partition(' ')[0]} to {high}"


def verdict(one: Judged) -> str:
    """Return the word, and by how much, or why nothing is judged."""
    if one.word == "told, not judged" and one.mean is not None:
        return f"{one.word}: {one.because}"
    far = gap(one)
    return f"{one.word}, {far}" if far and one.word != "holds" else one.word


def gap(one: Judged) -> str:
    """Return how far the measured figure lies from the published one, "by 0.06 points"; nothing where it holds."""
    if not one.gap:
        return ""
    if one.value.claim == "exact":
        return f"{_figure(one.value, one.mean or 0)} instead of {published(one.value)}"
    told = _figure(one.value, abs(one.gap))
    return f"by {told.removesuffix(' %')} points" if told.endswith(" %") else f"by {told}"


def _figure(value: Value, figure: float) -> str:
    """Return a measured figure in the unit of the published one, "99.41 %", "0.1286", "16,976"."""
    if value.claim == "exact":
        return f"{figure:,.{value.decimals}f}"
    if not value.is_percent and value.metric in ("seconds", "epochs"):
        return words.number(float(f"{figure:.3g}"))
    return scale(value).value(figure)

"""How a judged figure is written, as cells of text: what was published, what was measured, interval and verdict."""

from collections.abc import Sequence

from classlab.report import words
from classlab.report.spec import Part, Value
from classlab.reproduction.verdicts import Judged, scale

EPOCHS_OF_A_CURVE = 3  # figures of one kind from which they stand in a table of their own
HEADINGS = ("figure", "published", "measured", "interval", "verdict")
SOURCES = {
    "report": "the report",
    "repo": "its repository",
    "inferred": "inferred from a figure",
    "ours": "our choice",
}
EPOCHS = {"first": "epoch 1", "best": "best epoch", "last": "last epoch", "selected": "selected epoch"}


def curves(judged: Sequence[Judged]) -> tuple[list[Judged], list[list[Judged]]]:
    """Return the single figures of a part, and those of one kind at several epochs, each kind together."""
    kinds: dict[tuple[object, ...], list[Judged]] = {}
    for figure in judged:
        value = figure.value
        kinds.setdefault((value.what, str(value.of), value.metric, value.source), []).append(figure)
    together = [
        figures for figures in kinds.values()
        if len(figures) >= EPOCHS_OF_A_CURVE and all(isinstance(figure.value.epoch, int) for figure in figures)
    ]  # fmt: skip
    in_curves = {id(figure) for figures in together for figure in figures}
    return [figure for figure in judged if id(figure) not in in_curves], together


def epoch_cells(judged: Judged) -> tuple[int, str, str, str, str]:
    """Return the row of a figure at an epoch: epoch, published, mean ± sd, interval, inside or where it lies."""
    assert isinstance(judged.value.epoch, int)
    n = f", n = {judged.n}"
    words_of = {"holds": "inside", "above": "above", "below": "below"}
    return (
        judged.value.epoch,
        published(judged.value),
        measured(judged).removesuffix(n),
        interval(judged),
        words_of.get(judged.word, "not judged"),
    )


def cells(judged: Judged, part: Part) -> tuple[str, str, str, str, str]:
    """Return the row of a figure: what, published (source), measured (mean ± sd, n), interval, verdict."""
    source = SOURCES[judged.value.source]
    return (
        what(judged.value, part),
        f"{published(judged.value)} ({source})",
        measured(judged),
        interval(judged),
        verdict(judged),
    )


def what(value: Value, part: Part) -> str:
    """Return the name of a figure, with its run where the part has several, its epoch, its reading, its note."""
    run = value.of if isinstance(value.of, str) else ""
    text = f"{run}: {value.what}" if run and _is_shared(part.values) else value.what
    if isinstance(value.epoch, int):
        text += f", epoch {value.epoch}"
    elif value.epoch is not None and value.claim not in ("difference", "similar"):
        text += f", {EPOCHS[value.epoch]}"
    text += ", by a sound protocol" if value.reading == "sound" and "sound" not in value.what else ""
    return f"{text} ({value.note})" if value.note else text


def _is_shared(values: Sequence[Value]) -> bool:
    """Whether two runs have a figure of the same name, so that the run must be named."""
    seen: dict[str, object] = {}
    return any(seen.setdefault(value.what, value.of) != value.of for value in values)


def published(value: Value) -> str:
    """Return a published figure as the report prints it."""
    if value.claim in ("holds", "similar"):
        return {"holds": "so", "similar": "similar"}[value.claim]
    assert value.printed is not None
    ends = value.printed if isinstance(value.printed, tuple) else (value.printed,)
    counted = value.claim in ("at_least", "at_most") and not value.is_percent
    figure = " to ".join(words.number(end) if counted else f"{end:,.{value.decimals}f}" for end in ends)
    unit = "" if not value.is_percent else " points" if value.in_points else " %"
    limit = {"at_least": "at least ", "at_most": "at most "}.get(value.claim, "")
    return f"{limit}{figure}{unit}"


def measured(judged: Judged) -> str:
    """Return the mean, the standard deviation where there are several runs, and how many there are."""
    if judged.mean is None:
        return judged.because
    if judged.value.claim == "holds":
        return "so" if judged.mean == 1 else "not so"
    n = f"n = {judged.n}; {judged.left_out}" if judged.left_out else f"n = {judged.n}"
    mean = _figure(judged.value, judged.mean)
    if judged.value.claim == "exact":
        return mean  # the same in every run
    if judged.sd is None:
        return f"{mean}, {n}"
    number, space, unit = mean.partition(" ")
    return f"{number} ± {_figure(judged.value, judged.sd).partition(' ')[0]}{space}{unit}, {n}"


def interval(judged: Judged) -> str:
    """Return the interval that the verdict rests on, nothing where there is none."""
    if judged.interval is None:
        return ""
    low, high = (_figure(judged.value, end) for end in judged.interval)
    return f"{low.partition(' ')[0]} to {high}"


def verdict(judged: Judged) -> str:
    """Return the word, and by how much, or why nothing is judged."""
    if judged.word == "not judged" and judged.mean is not None:
        return f"{judged.word}: {judged.because}"
    far = gap(judged)
    return f"{judged.word}, {far}" if far and judged.word != "holds" else judged.word


def gap(judged: Judged) -> str:
    """Return how far the measured figure lies from the published one, "by 0.06 points"; nothing where it holds."""
    if not judged.gap:
        return ""
    if judged.value.claim == "exact":
        return f"{_figure(judged.value, judged.mean or 0)} instead of {published(judged.value)}"
    far = _figure(judged.value, abs(judged.gap))
    return f"by {far.removesuffix(' %')} points" if far.endswith(" %") else f"by {far}"


def _figure(value: Value, figure: float) -> str:
    """Return a measured figure in the unit of the published one, "99.41 %", "0.1286", "16,976"."""
    if value.claim == "exact":
        return f"{figure:,.{value.decimals}f}"
    if not value.is_percent and value.metric in ("seconds", "epochs"):
        return words.number(float(f"{figure:.3g}"))
    return scale(value).value(figure)

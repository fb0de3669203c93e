"""What the judged figures of a report come to, in sentences."""

from collections import Counter
from collections.abc import Sequence

from classlab.report import words
from classlab.report.spec import Part
from classlab.reproduction import figures
from classlab.reproduction.verdicts import NOT_JUDGED, Judged

Figures = Sequence[tuple[Part, Judged]]
VERDICTS = (
    ("above", "lies above what was published", "lie above what was published"),
    ("below", "lies below what was published", "lie below what was published"),
    ("within chance", "misses a limit within chance", "miss a limit within chance"),
    ("does not hold", "does not hold", "do not hold"),
    (NOT_JUDGED, "is not judged", "are not judged"),
)


def counted(judged: Figures) -> Counter[str]:
    """Return how many figures got which verdict."""
    return Counter(figure.word for _, figure in judged)


def held(judged: Figures) -> str:
    """Return how many of the judged figures hold, "38 of 42 judged figures hold"."""
    counts = counted(judged)
    asked = counts.total() - counts[NOT_JUDGED]
    if not asked:
        return "No figure is judged"
    return f"{counts['holds']} of {words.count(asked, 'judged figure')} {'holds' if asked == 1 else 'hold'}"


def tally(judged: Figures) -> str:
    """Return which verdicts the other figures got, in a sentence; nothing where all hold."""
    counts = counted(judged)
    clauses = [
        f"{counts[word]} {verb if counts[word] == 1 else verbs}" for word, verb, verbs in VERDICTS if counts[word]
    ]
    return f"{words.listed(clauses)}." if clauses else ""


def missed(judged: Figures) -> Figures:
    """Return the figures that are judged and do not hold."""
    return [(part, figure) for part, figure in judged if figure.word not in ("holds", NOT_JUDGED)]


def misses(judged: Figures) -> list[str]:
    """Return a line for each figure that does not hold: what, published, measured, by how much."""
    lines = []
    for part, figure in missed(judged):
        what, published, measured, _, verdict = figures.cells(figure, part)
        lines.append(f"{what}: published {published}, measured {measured}: {verdict}")
    return lines


def causes(judged: Figures) -> list[str]:
    """Return why figures do not hold, a sentence for each cause that is known, with the figures it is of."""
    known: dict[str, list[str]] = {}
    for part, figure in missed(judged):
        if figure.value.cause:
            known.setdefault(figure.value.cause, []).append(figures.what(figure.value, part))
    return [f"{words.capital(words.listed(what))}: {cause}" for cause, what in known.items()]


def readings(judged: Figures) -> list[str]:
    """Return a sentence for each figure that the test images chose, with the figure by a sound protocol beside it."""
    sound = {
        (part.title, figure.value.of, figure.value.metric): figure
        for part, figure in judged
        if figure.value.reading == "sound" and figure.value.claim == "value" and figure.mean is not None
    }
    sentences = []
    for part, figure in judged:
        last = sound.get((part.title, figure.value.of, figure.value.metric))
        if figure.value.epoch == "best" and last and last.mean is not None and figure.mean is not None:
            at = "at the last epoch of the same runs"
            if last.value.epoch == "selected":
                at = "at the epoch that the same runs' protocol selects"
            sentences.append(
                f"{words.capital(figures.what(figure.value, part))}, is {figures.measured(figure)}: an epoch chosen by "
                f"looking at the test images. By a sound protocol, {at}, it is "
                f"{figures.measured(last)}, {words.points(figure.mean - last.mean)} less."
            )
    return sentences


def limits(judged: Figures) -> list[str]:
    """Return a sentence for each limit on an accuracy: what was measured, whether it is kept, and by how much."""
    asked = [(figures.what(figure.value, part), part, figure) for part, figure in judged if _is_limit(figure)]
    named = Counter(what for what, _, _ in asked)
    sentences = []
    for what, part, figure in asked:
        if figure.word != NOT_JUDGED and figure.gap is not None:
            kept = "It is kept" if figure.gap >= 0 else "It is not kept"
            chance = ", though one more run may keep it" if figure.word == "within chance" else ""
            report = f"; {figure.because}" if figure.value.missed else ""
            where = f" (part “{part.title}”)" if named[what] > 1 else ""
            sentences.append(
                f"{words.capital(what)}{where}: {figures.measured(figure)}. "
                f"{kept}, by {words.points(figure.gap)}{chance}{report}."
            )
    return sentences


def _is_limit(figure: Judged) -> bool:
    return figure.value.claim == "at_least"

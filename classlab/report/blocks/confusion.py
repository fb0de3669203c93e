"""Confusion: which classes are taken for which, and how well each is known."""

from functools import partial

from classlab import statistics
from classlab.drawing import confusion_matrix
from classlab.drawing.blocks import Block, Column, Figure, Figures, Table, Words
from classlab.report import outcome, protocol_notes, words
from classlab.report.material import Material
from classlab.report.outcome import Outcome
from classlab.runs.finished import FinishedRun


def blocks(material: Material) -> list[Block]:
    """Return the confusion matrix of the first run of each name, with the accuracy of each class on the test set."""

    def of_run(run: FinishedRun) -> list[Block]:
        result = outcome.of_run(run)
        if result is None:
            return material.lacking(f"There is no confusion matrix: the run {run.sentence()}.")
        which = material.which(run)
        return [*([Words(which)] if which else []), *_matrix(run, result)]

    return material.first_of_each(of_run)


def _matrix(run: FinishedRun, result: Outcome) -> list[Block]:
    known = _known(result)
    draw = partial(
        confusion_matrix.confusion, result.matrix[known][:, known], [result.class_names[label] for label in known]
    )
    note = protocol_notes.note(run.experiment)
    figure = Figure("confusion", _caption(result) + protocol_notes.sentence(note), _described(result), draw)
    return [Figures((figure,)), _table(result, note)]


def _known(result: Outcome) -> list[int]:
    """Return the classes that are among the test images or the answers; a part of a dataset lacks some."""
    counts = result.matrix.sum(axis=0) + result.matrix.sum(axis=1)
    return [label for label, count in enumerate(counts) if count]


def _caption(result: Outcome) -> str:
    images = words.count(len(result.labels), "test image")
    return (
        f"The {images}: true class down, predicted class across. Right answers are blue; mistakes are orange, on a "
        "scale of their own on which the most frequent one is strongest."
    )


def _described(result: Outcome) -> str:
    pairs = result.pairs()
    if not pairs:
        return "Confusion matrix without a mistake: every test image lies on the diagonal."
    worst, names = pairs[0], result.class_names
    return (
        f"Confusion matrix of {len(_known(result))} classes. {int(result.right.sum()):,} of {len(result.labels):,} "
        f"images lie on the diagonal; {names[worst.first]} and {names[worst.second]} are confused most, "
        f"{worst.both} times."
    )


def _table(result: Outcome, note: str) -> Table:
    columns = (
        Column("class"),
        Column("test images", "count"),
        Column("right", "count"),
        Column("accuracy", "percent"),
        Column("95 % interval", "figure"),
        Column("most often taken for", "text"),
    )
    rows = tuple(_row(result, label) for label in _known(result))
    total = _figures(int(result.right.sum()), len(result.labels))
    caption = f"Accuracy of each class, with its Wilson interval{protocol_notes.clause(note)}"
    return Table("per-class", caption, columns, rows, ("together", *total, ""))


def _row(result: Outcome, label: int) -> tuple[object, ...]:
    cells = result.matrix[label].copy()
    right, total = int(cells[label]), int(cells.sum())
    cells[label] = 0
    worst = int(cells.argmax())
    mistaken = f"{result.class_names[worst]} ({int(cells[worst])})" if cells[worst] else None
    return result.class_names[label], *_figures(right, total), mistaken


def _figures(right: int, total: int) -> tuple[object, ...]:
    if not total:
        return 0, 0, None, None
    low, high = statistics.wilson(right, total)
    return total, right, right / total, f"{100 * low:.1f} to {100 * high:.1f} %"

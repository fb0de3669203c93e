"""Conclusion: whether the loss falls faster with a larger rate, epoch by epoch, and where that ends."""

import itertools

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.report.lessons import Lesson, lesson_of
from classlab.report.material import Material

PARTS = (0.5, 0.1, 0.01)  # of the first error
LONGEST = 2_000  # epochs looked ahead for them
BEYOND = 12  # doublings of the largest rate that are tried


def blocks(material: Material) -> list[Block]:
    """Return how long each rate takes to a part of the first error, and the sentences that this supports."""
    lesson = lesson_of(material.part)
    rates = sorted(lesson.rates, reverse=True)
    totals = {rate: lesson.totals(rate) for rate in rates}
    longer = {rate: lesson.totals(rate, LONGEST) for rate in rates}
    columns = [Column("η", "figure"), Column(f"after {lesson.epochs} epochs", "number", 8)]
    columns += [Column(f"row at {words.percent(share, 0)}", "count") for share in PARTS]
    rows = tuple((f"{rate:g}", totals[rate][-1], *(reached(longer[rate], share) for share in PARTS)) for rate in rates)
    caption = (
        f"How far each rate comes, and in which of {LONGEST:,} rows the error is first at most that part of the first"
    )
    return [
        Words(_ordered(totals)),
        Table("conclusion", caption, tuple(columns), rows),
        Words(_beyond(lesson, rates[0])),
    ]


def ordered(totals: dict[float, list[float]]) -> tuple[int, int]:
    """Return in how many epochs after the first a larger rate always has the lower error, and how many there are."""
    rates = sorted(totals, reverse=True)
    epochs = list(zip(*(totals[rate] for rate in rates), strict=True))[1:]
    return sum(all(a < b for a, b in itertools.pairwise(errors)) for errors in epochs), len(epochs)


def _ordered(totals: dict[float, list[float]]) -> str:
    held, epochs = ordered(totals)
    high, low = max(totals), min(totals)
    text = (
        f"Over η = {low:g} to {high:g} a larger rate had the lower error in {held} of {epochs} epochs after the first"
    )
    if held == epochs:
        return f"{text}: the loss falls faster with a larger rate over this range, at every epoch."
    return f"{text}: that the loss falls faster with a larger rate does not hold throughout over this range."


def reached(totals: list[float], share: float) -> int | None:
    """Return the first row whose error is at most that share of the first one's, None where there is none."""
    return next((number for number, total in enumerate(totals, 1) if total <= share * totals[0]), None)


def _beyond(lesson: Lesson, rate: float) -> str:
    """Say whether a still larger rate is faster to the smallest part, and at which doubling that ends."""
    share = PARTS[-1]
    first = best = reached(lesson.totals(rate, LONGEST), share)
    if best is None:
        return f"At η = {rate:g} {LONGEST:,} rows are too few to come to {words.percent(share, 0)} of the first error."
    fastest = rate
    for doubled in (rate * 2**times for times in range(1, BEYOND + 1)):
        try:
            rows = reached(lesson.totals(doubled, best), share)
        except UserError:
            return f"{_so_far(rate, fastest, first, best)} At η = {doubled:g} the error is not finite."
        if rows is None or rows >= best:
            return (
                f"{_so_far(rate, fastest, first, best)} At η = {doubled:g} it takes no fewer: that larger is faster "
                "ends there."
            )
        fastest, best = doubled, rows
    return f"{_so_far(rate, fastest, first, best)} That was the largest tried."


def _so_far(rate: float, fastest: float, first: int | None, best: int) -> str:
    share = words.percent(PARTS[-1], 0)
    if fastest == rate:
        return f"It is no law: η = {rate:g} comes to {share} of the first error in row {first}."
    return f"Beyond this range it goes on for a while, to {share} of the first error in row {best} at η = {fastest:g}."

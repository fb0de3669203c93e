"""Conclusion: whether the loss falls faster with a larger rate, epoch by epoch, and where that ends."""

import itertools

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.report.lessons import Lesson, lesson_of
from classlab.report.of_parts import Runs
from classlab.report.published import Part

PARTS = (0.5, 0.1, 0.01)  # of the first error
LONGEST = 3_000  # epochs looked ahead for them
BEYOND = 12  # doublings of the largest rate that are tried


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return how long each rate takes to a part of the first error, and the sentences that this supports."""
    lesson = lesson_of(part)
    rates = sorted(lesson.rates, reverse=True)
    totals = {rate: lesson.totals(rate) for rate in rates}
    columns = [Column("η", "figure"), Column(f"after {lesson.epochs} epochs", "number", 8)]
    columns += [Column(f"epochs to {words.percent(share, 0)}", "count") for share in PARTS]
    rows = tuple((f"{rate:g}", totals[rate][-1], *_reached(lesson, rate)) for rate in rates)
    caption = (
        f"How far each learning rate comes, and the first row whose error is that part of the first, up to {LONGEST:,}"
    )
    return [
        Words(_ordered(totals)),
        Table("conclusion", caption, tuple(columns), rows),
        Words(_beyond(lesson, rates[0], totals[rates[0]][-1])),
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


def _reached(lesson: Lesson, rate: float) -> list[int | None]:
    totals = lesson.totals(rate, LONGEST)
    return [next((n for n, total in enumerate(totals, 1) if total <= share * totals[0]), None) for share in PARTS]


def _beyond(lesson: Lesson, rate: float, error: float) -> str:
    """Say whether a still larger rate does better, and at which doubling that ends."""
    best = rate, error
    for doubled in (rate * 2**times for times in range(1, BEYOND + 1)):
        try:
            end = lesson.totals(doubled)[-1]
        except UserError:
            return f"{_so_far(rate, best)} at η = {doubled:g} the error is not finite: faster ends there."
        if not end < best[1]:
            return (
                f"{_so_far(rate, best)} at η = {doubled:g} it is {end:.3g} after {lesson.epochs} epochs, more than "
                f"{best[1]:.3g}: that larger is faster ends between the two."
            )
        best = doubled, end
    return f"{_so_far(rate, best)} that was the largest tried."


def _so_far(rate: float, best: tuple[float, float]) -> str:
    if best[0] == rate:
        return "It is no law:"
    return f"It goes on beyond this range, up to η = {best[0]:g} with an error of {best[1]:.3g};"

"""What is seen while a run trains: a bar for the work left, a line that stays for each epoch done. Standard error."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

from rich.markup import escape

from classlab.progress import progress
from classlab.runs import notebook_curve
from classlab.runs.events import Begun, Ended, EpochDone, Event, Progress
from classlab.terminal import errors, text_width

# The columns that go, the first one first, where a line has not room for all: no split's figures do.
LEFT_OUT = ("rate", "seconds")


def screen(events: Iterable[Event]) -> Iterator[Event]:
    """Show what happens while a run trains, and yield every event on; in a notebook as a bar and a curve."""
    if notebook_curve.in_notebook():
        yield from notebook_curve.screen(events)
        return
    epochs, rows = 0, 0
    advance: Callable[[float], None] | None = None
    with ExitStack() as bar:
        for event in events:
            match event:
                case Begun():
                    epochs = event.epochs
                    work = (event.epochs - event.done) * event.images
                    advance = bar.enter_context(progress(event.name, work, "images"))
                case Progress() if advance:
                    advance(event.images)
                case EpochDone():
                    columns = _columns(event.row, epochs, text_width(errors))
                    for part in (0, 1) if not rows else ():
                        errors.print(_line(columns, part), style="bold", soft_wrap=True)
                    errors.print(_line(columns, 2), soft_wrap=True, markup=False)
                    rows += 1
                case Ended() if not epochs:  # it was finished before
                    where = escape(str(event.run))
                    errors.print(f"[dim]{where} is finished; --again (in Python again=True) trains a new run[/dim]")
            yield event


def _columns(row: dict[str, float], epochs: int, width: int) -> list[tuple[str, str, str]]:
    """Return the columns that have room in a line of so many characters: two lines of heading, and the text."""
    columns = [("", "epoch", f"{row['epoch']}/{epochs}".rjust(2 * len(str(epochs)) + 1))]
    for split in ("train", "val", "test"):
        if f"{split}_loss" in row:
            columns.append((split, "loss", f"{_loss(row[f'{split}_loss']):>8}"))
        if f"{split}_accuracy" in row:
            columns.append((split, "acc %", f"{100 * row[f'{split}_accuracy']:6.2f}"))
    columns.append(("", "rate", f"{row['learning_rate']:7.2g}"))
    columns.append(("", "seconds", f"{row['seconds']:7.1f}"))
    for title in LEFT_OUT:
        if sum(map(_width, columns)) > width:
            columns = [column for column in columns if column[1] != title]
    return columns


def _width(column: tuple[str, str, str]) -> int:
    """Return how many characters a column takes, with what parts it from the one before."""
    return 1 + max(map(len, column))


def _line(columns: list[tuple[str, str, str]], part: int) -> str:
    return "".join(column[part].rjust(_width(column)) for column in columns)


def _loss(value: float) -> str:
    """Return a loss in at most eight characters."""
    return f"{value:.4f}" if not math.isfinite(value) or abs(value) < 1000 else f"{value:.2e}"

"""What is seen while a run trains: a bar for the work left, a line that stays for each epoch done. Standard error."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

from rich.markup import escape

from classlab.progress import progress
from classlab.runs import notebook_curve
from classlab.runs.events import Begun, Ended, EpochDone, Event, Progress
from classlab.terminal import errors


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
                    cells = _cells(event.row, epochs)
                    if not rows:
                        errors.print("".join(f"{title:>12}" for title in cells), style="bold", soft_wrap=True)
                    errors.print("".join(f"{text:>12}" for text in cells.values()), soft_wrap=True)
                    rows += 1
                case Ended() if not epochs:  # it was finished before
                    where = escape(str(event.run))
                    errors.print(f"[dim]{where} is finished; --again makes a new run of it[/dim]")
            yield event


def _cells(row: dict[str, float], epochs: int) -> dict[str, str]:
    cells = {"epoch": f"{row['epoch']}/{epochs}"}
    for split in ("train", "val", "test"):
        if f"{split}_loss" in row:
            cells[f"{split} loss"] = f"{row[f'{split}_loss']:.4f}"
        if f"{split}_accuracy" in row:
            cells[f"{split} acc"] = f"{100 * row[f'{split}_accuracy']:.2f} %"
    cells["rate"] = f"{row['learning_rate']:.2g}"
    cells["seconds"] = f"{row['seconds']:.1f}"
    return cells

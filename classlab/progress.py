"""Progress on standard error, so that standard output stays a reader's or a program's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

errors = Console(stderr=True, highlight=False)


@contextmanager
def progress(description: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    """Show a bar with rate and time left; yields `advance(amount)`. `unit` names what is counted: images, bytes."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", style="dim"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bars:
        task = bars.add_task(description, total=total, rate="")

        def advance(amount: float) -> None:
            bars.advance(task, amount)
            speed = bars.tasks[0].speed
            bars.update(task, rate=_rate(speed, unit) if speed else "")

        yield advance


def _rate(speed: float, unit: str) -> str:
    return f"{speed / 1e6:.1f} MB/s" if unit == "bytes" else f"{speed:,.0f} {unit}/s"

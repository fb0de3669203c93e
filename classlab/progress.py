"""Progress on standard error, so that standard output stays a reader's or a program's."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from classlab.formats import megabytes
from classlab.terminal import errors

# A bar that is drawn after every small step would cost more than the step.
SECONDS_BETWEEN_UPDATES = 0.1


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

        waiting, drawn_at = 0.0, time.monotonic()

        def advance(amount: float) -> None:
            nonlocal waiting, drawn_at
            waiting += amount
            if time.monotonic() - drawn_at < SECONDS_BETWEEN_UPDATES:
                return
            bars.advance(task, waiting)
            waiting, drawn_at = 0.0, time.monotonic()
            speed = bars.tasks[0].speed
            bars.update(task, rate=_rate(speed, unit) if speed else "")

        yield advance


@contextmanager
def progress_once_known(description: str, unit: str) -> Iterator[Callable[[float], Callable[[float], None]]]:
    """Yield `watch(total)`, which shows a bar as `progress` does and returns its advance(amount).

    For what is counted only when the work has begun. The bar goes when the block ends.
    """
    with ExitStack() as bars:
        yield lambda total: bars.enter_context(progress(description, total, unit))


@contextmanager
def followed(look: Callable[[], None], seconds_between: float) -> Iterator[None]:
    """Call `look` in a thread every so many seconds until the block ends, and once more at its end."""
    stop = threading.Event()

    def follow() -> None:
        while True:
            ended = stop.wait(seconds_between)
            look()
            if ended:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _rate(speed: float, unit: str) -> str:
    return f"{megabytes(speed)}/s" if unit == "bytes" else f"{speed:,.0f} {unit}/s"

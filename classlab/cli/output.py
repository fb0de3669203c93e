"""What every command prints with: words and tables to standard output, progress to standard error, JSON for programs."""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """Print exactly one JSON document (RFC 8259: a number that is not finite becomes null)."""
    sys.stdout.write(json.dumps(_finite(document), indent=2, ensure_ascii=False) + "\n")


@contextmanager
def progress(description: str, total: float | None, unit: str) -> Iterator[Any]:
    """A progress bar on standard error with rate and time left; yields `advance(amount)`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bars:
        task = bars.add_task(description, total=total, rate="")

        def advance(amount: float) -> None:
            bars.advance(task, amount)
            speed = bars.tasks[0].speed
            bars.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield advance


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""What is seen in a notebook while a run trains: a progress bar and its curve, one output that changes. No network."""

import time
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from classlab.formats import duration
from classlab.runs.events import Begun, Ended, EpochDone, Event, Progress

SECONDS_BETWEEN_BARS = 0.3
SHARE_OF_TIME = 0.05  # that drawing the curve may take: training goes before


def in_notebook() -> bool:
    """Say whether the code runs in a notebook's kernel, local or hosted."""
    import sys

    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell is not None else None
    return kernel is not None and hasattr(kernel, "kernel")


def screen(events: Iterable[Event]) -> Iterator[Event]:
    """Show what happens while a run trains, and yield every event on."""
    output: _Output | None = None
    for event in events:
        match event:
            case Begun():
                output = _Output(event)
            case Progress() if output:
                output.advance(event.images)
            case EpochDone() if output:
                output.epoch(event.row)
            case Ended() if output:
                output.end(str(event.summary["status_sentence"]))
        yield event


class _Output:
    """A bar and a curve in the notebook, each drawn anew in its place."""

    def __init__(self, begun: Begun) -> None:
        from IPython.display import display

        self.begun = begun
        self.rows: list[dict[str, float]] = []
        self.images = 0
        self.started = time.monotonic()
        self.barred = self.next_curve = 0.0
        self.bar: Any = display(self._bar(), raw=True, display_id=True)
        self.curve: Any = display({"text/plain": ""}, raw=True, display_id=True)

    def advance(self, images: int) -> None:
        self.images += images
        if time.monotonic() - self.barred > SECONDS_BETWEEN_BARS:
            self.bar.update(self._bar(), raw=True)
            self.barred = time.monotonic()

    def epoch(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        if time.monotonic() >= self.next_curve:
            self._draw()

    def end(self, sentence: str) -> None:
        self._draw()
        self.bar.update(self._bar(sentence), raw=True)

    def _draw(self) -> None:
        if not self.rows:
            return
        before = time.monotonic()
        self.curve.update({"text/html": _picture(self.rows), "text/plain": "the curves so far"}, raw=True)
        spent = time.monotonic() - before
        self.next_curve = before + spent / SHARE_OF_TIME

    def _bar(self, sentence: str = "") -> dict[str, str]:
        epochs, done = self.begun.epochs, int(self.rows[-1]["epoch"]) if self.rows else self.begun.done
        work = max(1, (epochs - self.begun.done) * self.begun.images)
        share = min(1.0, self.images / work)
        left = (time.monotonic() - self.started) * (1 - share) / share if share else None
        text = sentence or f"epoch {done} of {epochs}" + (f", about {duration(left)} left" if left else "")
        name = f"{self.begun.name}, seed {self.begun.seed}"
        html = (
            f"<b>{escape(name)}</b>: {escape(text)}<br>"
            f"<progress max='1' value='{1.0 if sentence else share:.4f}' style='width:100%'></progress>"
        )
        return {"text/html": html, "text/plain": f"{name}: {text}"}


def _picture(rows: list[dict[str, float]]) -> str:
    """Return loss and accuracy so far, by the function that draws them in `run.curves()` and in reports."""
    import pandas

    from classlab.drawing import charts, render
    from classlab.runs import store

    history = pandas.DataFrame(rows, columns=[name for name in store.COLUMNS if any(name in row for row in rows)])
    classifies = any(name.endswith("_accuracy") for row in rows for name in row)
    chart: Any = charts.curves(history) if classifies else charts.loss(history)
    return render.notebook_html(chart)

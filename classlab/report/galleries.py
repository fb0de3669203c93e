"""Galleries of predictions, of the first run of each name."""

from collections.abc import Callable

import numpy as np

from classlab.drawing.blocks import Block, Words
from classlab.report import outcome, watched
from classlab.report.of_parts import Runs, each_first, which
from classlab.report.outcome import Outcome
from classlab.report.sections import predictions
from classlab.runs.finished import FinishedRun as Run


def galleries(runs: Runs, draw: Callable[[Outcome, np.ndarray], list[Block]], kind: str) -> list[Block]:
    """Return what `draw` makes of the outcome and the test images. kind: of predictions, where there are none."""
    return each_first(runs, lambda run: _of_one(run, runs, draw, kind))


def _of_one(run: Run, runs: Runs, draw: Callable[[Outcome, np.ndarray], list[Block]], kind: str) -> list[Block]:
    result = outcome.of(run)
    if result is None:
        return [Words(f"There are no predictions to show: the run {run.sentence()}.")]
    count = int(result.right.sum()) if kind == "right" else int((~result.right).sum())
    told = f"{count:,} of the {len(result.labels):,} test images are named {kind}ly. {which(run, runs)}"
    found = draw(result, run.dataset().test_images)
    seen = watched.sentence(watched.note(run.experiment))
    return [Words(f"{told.strip()}{seen} {predictions.meaning(run)}"), *found]

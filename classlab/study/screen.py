"""What is seen while a study trains, on standard error; meanwhile results.csv follows the runs as they finish.

A thread looks into the run folders now and then, so that it does not matter in which process a run is trained.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from classlab import metrics
from classlab.errors import UserError
from classlab.formats import duration
from classlab.progress import followed
from classlab.runs import store
from classlab.study import results
from classlab.study.declaration import Study
from classlab.study.plan import Plan, Planned
from classlab.study.result import StudyResult, read_failures
from classlab.study.sweep import Variant
from classlab.terminal import errors

if TYPE_CHECKING:
    from rich.table import Table

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass
class Seen:
    """What was seen of the runs so far. Epochs are counted, `before` those done when this process began."""

    rows: dict[str, results.Row] = field(default_factory=dict)  # run -> its row, of those that have ended
    epochs: dict[str, int] = field(default_factory=dict)
    before: float = 0.0
    started: float = field(default_factory=time.monotonic)


@contextmanager
def watch(result: StudyResult, study: Study, made: Sequence[Variant], plan: Plan, verbose: bool) -> Iterator[None]:
    """Show progress and keep results.csv in step with the runs until the block ends."""
    seen = Seen()
    planned = {one.name: one.experiment.training.epochs for one in made}
    _look(result.path, plan, seen)
    seen.before = _done(plan, planned, seen)
    live = verbose and errors.is_terminal
    with _live(live) as update:

        def look() -> None:
            new = _look(result.path, plan, seen)
            if new:
                with suppress(
                    UserError
                ):  # a full disk, say: the results are written again at the end, where it is told
                    result.write(seen.rows)
            if verbose and not live:
                for place, one in enumerate(new, len(seen.rows) - len(new) + 1):
                    told = f"[{place}/{len(plan.runs)}] {one.variant}, seed {one.seed}: "
                    errors.print(told + _value(seen.rows[one.run], study), markup=False, soft_wrap=True)
            if live:
                update(_table(study, made, plan, planned, seen))

        with followed(look, SECONDS_BETWEEN_LOOKS):
            yield


@contextmanager
def _live(wanted: bool) -> "Iterator[Callable[[Table], None]]":
    from rich.live import Live

    if not wanted:
        yield lambda table: None
        return
    with Live(console=errors, auto_refresh=False) as live:
        yield lambda table: live.update(table, refresh=True)


def _look(folder: Path, plan: Plan, seen: Seen) -> list[Planned]:
    """Count the epochs of every run that has not ended; return those that ended since the last look."""
    failures = read_failures(folder)
    ended = []
    for one in plan.runs:
        if one.run in seen.rows:
            continue
        row = results.row(folder / one.run, failures.get(one.run))
        if row["status"] in (*results.ENDED, "failed"):
            seen.rows[one.run] = row
            ended.append(one)
        else:
            seen.epochs[one.run] = store.epochs_done(folder / one.run)
    return ended


def _done(plan: Plan, planned: dict[str, int], seen: Seen) -> float:
    """Return how many runs' worth of epochs are done; a run that ended early is done."""
    return sum(1.0 if one.run in seen.rows else seen.epochs.get(one.run, 0) / planned[one.variant] for one in plan.runs)


def _value(row: results.Row, study: Study) -> str:
    value = row.get(study.compare.metric)
    if row["status"] == "failed" or value is None:
        return str(row["sentence"])
    told = metrics.scale(study.compare.metric).value(value)
    return told if row["status"] == "finished" else f"{told} ({row['status'].replace('_', ' ')})"


def _table(study: Study, made: Sequence[Variant], plan: Plan, planned: dict[str, int], seen: Seen) -> "Table":
    from rich.table import Table
    from rich.text import Text

    scale, metric = metrics.scale(study.compare.metric), study.compare.metric
    means: dict[str, float] = {}
    for one in made:
        values = [
            seen.rows[run.run].get(metric) for run in plan.runs if run.variant == one.name and run.run in seen.rows
        ]
        finite = [value for value in values if value is not None]
        if finite:
            means[one.name] = fmean(finite)
    best = (max if scale.higher_is_better else min)(means, key=lambda name: means[name]) if means else None
    done, total = _done(plan, planned, seen), len(plan.runs)
    elapsed = time.monotonic() - seen.started
    rate = (done - seen.before) / elapsed if elapsed > 0 else 0.0
    left = f"{duration((total - done) / rate)} left" if rate > 0 else "time left not yet known"
    table = Table(
        box=None, header_style="bold", pad_edge=False, title_justify="left", title_style="bold",
        title=f"{study.name}: {len(seen.rows)} of {total} runs, {3600 * rate:,.1f} runs/h, {left}",
    )  # fmt: skip
    table.add_column("variant", overflow="ellipsis", no_wrap=True, ratio=1)
    for name in ("runs", "epochs", metrics.short(metric)):
        table.add_column(name, justify="right", no_wrap=True)
    for one in made:
        runs = [run for run in plan.runs if run.variant == one.name]
        ended = sum(run.run in seen.rows for run in runs)
        epochs = sum(planned[one.name] if run.run in seen.rows else seen.epochs.get(run.run, 0) for run in runs)
        mean = scale.value(means[one.name]) if one.name in means else ""
        style = "bold green" if one.name == best else ""
        cells = (f"{ended}/{len(runs)}", f"{epochs}/{planned[one.name] * len(runs)}", mean)
        table.add_row(Text(one.name), *cells, style=style)
    return table

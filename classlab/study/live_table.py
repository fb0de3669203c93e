"""What is seen while a study trains, on standard error: a table that changes; without a terminal a line a run."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from classlab import metrics
from classlab.formats import duration
from classlab.runs import store
from classlab.runs.events import Ended, EpochDone, Event, Failed
from classlab.study import results
from classlab.study.declaration import Study
from classlab.study.plan import Plan
from classlab.study.sweep import Variant
from classlab.terminal import errors

if TYPE_CHECKING:
    from rich.table import Table

SECONDS_BETWEEN_UPDATES = 0.5


@dataclass
class Seen:
    """How far the runs are. rows: run -> its row, of those that have ended. epochs: run -> those that are done.

    planned: run -> the epochs it has in all. before: how many runs' worth of epochs were done at the start.
    """

    rows: Mapping[str, results.Row]
    epochs: dict[str, int]
    planned: Mapping[str, int]
    before: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def done(self) -> float:
        """Return how many runs' worth of epochs are done; a run that ended early is done."""
        return sum(
            1.0 if run in self.rows else self.epochs.get(run, 0) / epochs for run, epochs in self.planned.items()
        )


def screen(
    events: Iterable[Event | None],
    rows: Mapping[str, results.Row],
    study: Study,
    made: Sequence[Variant],
    plan: Plan,
    folder: Path,
) -> Iterator[Event | None]:
    """Show what happens while a study trains, and yield every event on.

    rows: run -> its row, of those that have ended; whoever keeps it adds a run's row before its end comes here.
    """
    epochs = {variant.name: variant.experiment.training.epochs for variant in made}
    variants = {run.run: run.variant for run in plan.runs}
    waiting = [run for run in variants if run not in rows]
    seen = Seen(
        rows,
        {run: store.epochs_done(folder / run) for run in waiting},
        {run: epochs[variant] for run, variant in variants.items()},
    )
    seen.before = seen.done()
    updated = 0.0
    with _live(errors.is_terminal) as update:
        for event in events:
            run = event.run.relative_to(folder).as_posix() if event else ""
            if isinstance(event, EpochDone):
                seen.epochs[run] = int(event.row["epoch"])
            if isinstance(event, Ended | Failed) and not errors.is_terminal:
                seed = next(planned.seed for planned in plan.runs if planned.run == run)
                line = f"[{len(rows)}/{len(plan.runs)}] {variants[run]}, seed {seed}: "
                errors.print(line + _value(rows[run], study), markup=False, soft_wrap=True)
            if errors.is_terminal and time.monotonic() - updated > SECONDS_BETWEEN_UPDATES:
                update(_table(study, made, plan, seen))
                updated = time.monotonic()
            yield event
        update(_table(study, made, plan, seen))


@contextmanager
def _live(wanted: bool) -> "Iterator[Callable[[Table], None]]":
    from rich.live import Live

    if not wanted:
        yield lambda table: None
        return
    with Live(console=errors, auto_refresh=False) as live:
        yield lambda table: live.update(table, refresh=True)


def _value(row: results.Row, study: Study) -> str:
    value = row.get(study.watched_metric)
    if row["status"] == "failed" or value is None:
        return str(row["sentence"])
    measured = metrics.scale(study.watched_metric).value(value)
    return measured if row["status"] == "finished" else f"{measured} ({row['status'].replace('_', ' ')})"


def _table(study: Study, made: Sequence[Variant], plan: Plan, seen: Seen) -> "Table":
    from rich.table import Table
    from rich.text import Text

    scale, metric = metrics.scale(study.watched_metric), study.watched_metric
    means: dict[str, float] = {}
    for variant in made:
        values = [
            seen.rows[run.run].get(metric) for run in plan.runs if run.variant == variant.name and run.run in seen.rows
        ]
        finite = [value for value in values if value is not None]
        if finite:
            means[variant.name] = fmean(finite)
    best = (max if scale.higher_is_better else min)(means, key=lambda name: means[name]) if means else None
    done, total = seen.done(), len(plan.runs)
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
    for variant in made:
        runs = [run for run in plan.runs if run.variant == variant.name]
        ended = sum(run.run in seen.rows for run in runs)
        whole = variant.experiment.training.epochs
        epochs = sum(whole if run.run in seen.rows else seen.epochs.get(run.run, 0) for run in runs)
        mean = scale.value(means[variant.name]) if variant.name in means else ""
        style = "bold green" if variant.name == best else ""
        cells = (f"{ended}/{len(runs)}", f"{epochs}/{whole * len(runs)}", mean)
        table.add_row(Text(variant.name), *cells, style=style)
    return table

"""Runs: one row for every run, also for those that went wrong."""

from typing import Any

from classlab.drawing.blocks import Column, Section, Table, Words
from classlab.report import watched, words
from classlab.study.answer import WORDS
from classlab.study.result import StudyResult
from classlab.study.results import differences

ROWS = 60
COLUMNS = {
    "selected_epoch": Column("epoch", "count"),
    "parameters": Column("parameters", "count"),
    "test_accuracy": Column("test accuracy", "percent"),
    "test_loss": Column("test loss", "number", 4),
    "val_accuracy": Column("validation accuracy", "percent"),
    "train_accuracy": Column("train accuracy", "percent"),
}


def section(result: StudyResult) -> Section:
    """Return the table of runs; of very many the first ones, results.csv has all."""
    rows = result.rows
    present = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    columns = (Column("variant"), Column("seed", "count"), *(COLUMNS[name] for name in present))
    shown = tuple(_row(row, present) for row in rows[:ROWS])
    caption = "Every run; its figures are those of the epoch that its protocol chose"
    if len(rows) > ROWS:
        caption = f"The first {ROWS} of {len(rows)} runs; results.csv in the study's folder has all"
    caption += watched.clause(watched.notes({one.name: one.experiment for one in result.variants}))
    table = Table("runs", caption, (*columns, Column("time", "figure"), Column("outcome")), shown)
    failed = [row for row in rows if row["status"] == "failed"]
    told = [Words(f"{row['variant']}, seed {row['seed']}: {row['sentence']}.") for row in failed]
    told += [Words(f"{sentence}.") for sentence in differences(rows)]
    return Section("Runs", (table, *told))


def _row(row: dict[str, Any], present: list[str]) -> tuple[Any, ...]:
    seconds = row.get("seconds")
    time = None if seconds is None else words.duration(seconds)
    return (row["variant"], row["seed"], *(row.get(name) for name in present), time, WORDS[row["status"]])

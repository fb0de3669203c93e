"""Study runs: one row for every run of a study, also for those that went wrong."""

from typing import Any

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.report import protocol_notes, words
from classlab.report.material import Material
from classlab.study.answer import WORDS
from classlab.study.result import StudyResult
from classlab.study.results import differences

ROWS = 60
TESTED = ("test_accuracy", "test_loss")
COLUMNS = {
    "selected_epoch": Column("epoch", "count"),
    "parameters": Column("parameters", "count"),
    "test_accuracy": Column("test accuracy", "percent"),
    "test_loss": Column("test loss", "number", 4),
    "val_accuracy": Column("validation accuracy", "percent"),
    "train_accuracy": Column("train accuracy", "percent"),
}


def blocks(material: Material) -> list[Block]:
    """Return the table of runs; of very many the first ones, results.csv has all."""
    result = material.study
    if result is None:
        return material.lacking("These runs are not a study, so there is no list of those that it planned.")
    rows = _untested(result)
    present = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    columns = (Column("variant"), Column("seed", "count"), *(COLUMNS[name] for name in present))
    cells = tuple(_row(row, present) for row in rows[:ROWS])
    caption = "Every run; its figures are those of the epoch that its protocol chose"
    if len(rows) > ROWS:
        caption = f"The first {ROWS} of {len(rows)} runs; results.csv in the study's folder has all"
    if result.found is not None:
        caption += ". Test figures are those of fresh seeds alone"
    caption += protocol_notes.clause(
        protocol_notes.notes({variant.name: variant.experiment for variant in result.variants})
    )
    table = Table("runs", caption, (*columns, Column("time", "figure"), Column("outcome")), cells)
    failed = (row for row in rows if row["status"] == "failed")
    sentences = [f"{row['variant']}, seed {row['seed']}: {row['sentence']}." for row in failed]
    return [table, *map(Words, sentences), *(Words(f"{sentence}.") for sentence in differences(rows))]


def _untested(result: StudyResult) -> list[dict[str, Any]]:
    """Return the rows; without the test figures of the runs that a search chose by: they have no say in it."""
    if result.found is None:
        return result.rows
    compared = {row["run"] for rows in result.compared.values() for row in rows}
    return [row if row["run"] in compared else {**row, **dict.fromkeys(TESTED)} for row in result.rows]


def _row(row: dict[str, Any], present: list[str]) -> tuple[Any, ...]:
    seconds = row.get("seconds")
    time = None if seconds is None else words.duration(seconds)
    return (row["variant"], row["seed"], *(row.get(name) for name in present), time, WORDS[row["status"]])

"""Workbook: the first rows of its first sheet in the report's own columns, and how to have the whole of it."""

import itertools

from classlab.drawing.blocks import Block, Code, Column, Table, Words
from classlab.lesson import quantities
from classlab.lesson.written_workbook import sheet_name
from classlab.report import words
from classlab.report.lessons import Lesson, lesson_of
from classlab.report.material import Material

ROWS = 6
DIGITS = {"target": 2, "input": 2, "weight": 4, "error": 8, "total": 8, "gradient": 7, "delta": 7}
WIDEST = 9  # columns beside each other, the epoch's included


def blocks(material: Material) -> list[Block]:
    """Return the sheets, the first rows of the first one cut into tables that fit a page, and the command."""
    lesson = lesson_of(material.part)
    sheets = [sheet_name(rate) for rate in lesson.rates]
    columns = len(quantities.quantities(lesson.shape))
    sentence = (
        f"The workbook has {words.count(len(sheets), 'sheet')} of {lesson.epochs} rows and {columns} columns, "
        f"{words.listed(sheets)}, and Graphs. Every cell is a live formula. Below are the first {ROWS} rows and the "
        f"last of {sheets[0]}, {lesson.rate_label} {lesson.rates[0]:g}."
    )
    command = f"classlab lesson workbook --like {lesson.name} --out {lesson.name}.xlsx"
    return [Words(sentence), *_tables(lesson), Code(command, "The whole workbook, to open in any spreadsheet program")]


def _tables(lesson: Lesson) -> list[Table]:
    """Return the columns in their order, as many as fit beside each other, cut where the kind changes."""
    known = quantities.quantities(lesson.shape)
    rows = [quantities.values(row) for row in lesson.rows(lesson.rates[0])]
    kept = [(number, row) for number, row in enumerate(rows, 1) if number <= ROWS or number == len(rows)]
    tables = []
    for number, names in enumerate(_cut([(name, known[name].kind) for name in known]), 1):
        columns = [Column(lesson.heading(name), "number", DIGITS.get(known[name].kind, 6)) for name in names]
        cells = tuple((epoch, *(row[name] for name in names)) for epoch, row in kept)
        caption = f"{sheet_name(lesson.rates[0])}, columns {lesson.heading(names[0])} to {lesson.heading(names[-1])}"
        tables.append(Table(f"workbook-{number}", caption, (Column("epoch", "count"), *columns), cells))
    return tables


def _cut(columns: list[tuple[str, str]]) -> list[list[str]]:
    """Return the names in groups: what is given, units and errors of a layer, gradients, none wider than a page."""
    groups: list[list[str]] = [[]]
    for _, run in itertools.groupby(columns, key=lambda column: GROUPS.get(column[1], column[1])):
        names = [name for name, _ in run]
        if groups[-1] and len(groups[-1]) + len(names) >= WIDEST:
            groups.append([])
        while len(names) >= WIDEST:
            groups[-1] += names[: WIDEST - 1 - len(groups[-1])]
            names = names[WIDEST - 1 :]
            groups.append([])
        groups[-1] += names
    return [group for group in groups if group]


GROUPS = {"target": "given", "input": "given", "sum": "unit", "activation": "unit", "error": "error", "total": "error"}

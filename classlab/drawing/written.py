"""A table as CSV for programs and as LaTeX for papers."""

import csv
import io
from typing import Any

from classlab.drawing.blocks import Table
from classlab.drawing.tables import NUMERIC, cell_text
from classlab.plain_text import on_a_line, spreadsheet_safe

_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "×": r"$\times$",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
}


def csv_text(table: Table) -> str:
    """Return headings and rows as CSV (RFC 4180, but lines end in a line feed); numbers in full, None as nothing.

    A text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(spreadsheet_safe(column.label) for column in table.columns)
    writer.writerows([spreadsheet_safe(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows)
    return stream.getvalue()


def latex(table: Table) -> str:
    """Return the table as LaTeX to paste into a document that uses the package booktabs."""
    sides = "".join("r" if column.form in (*NUMERIC, "figure") else "l" for column in table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        f"  \\caption{{{_escaped(table.caption)}}}",
        f"  \\label{{tab:{table.name}}}",
        f"  \\begin{{tabular}}{{{sides}}}",
        "    \\toprule",
        _row([_escaped(column.label) for column in table.columns]),
        "    \\midrule",
        *(_row(_cells(table, row)) for row in table.rows),
    ]
    if table.total:
        lines += ["    \\midrule", _row(_cells(table, table.total))]
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""])


def _cells(table: Table, row: tuple[Any, ...]) -> list[str]:
    return [_escaped(cell_text(value, column)) for value, column in zip(row, table.columns, strict=True)]


def _row(cells: list[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in on_a_line(text))

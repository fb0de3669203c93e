"""What an old Excel workbook (.xls, before 2007) holds: values only, for no kept library reads its formulas."""

import io
from pathlib import Path
from typing import Any

from classlab import limits
from classlab.errors import UserError
from classlab.lesson.formula import LONGEST_TEXT, Value, address_of
from classlab.lesson.xlsx import Cell, Contents


def read(file: Path, content: bytes) -> Contents:
    """Read a workbook. Raises UserError, in one sentence, for one that is locked, broken or too large."""
    import xlrd  # only here: few workbooks are as old

    most = limits.WORKBOOK_OLD_BYTES
    if len(content) > most:
        raise UserError(f"{file} is an old .xls file of more than {most:,} bytes; save it as .xlsx")
    try:
        book = xlrd.open_workbook(file_contents=content, ragged_rows=True, logfile=io.StringIO())
        sheets = [(sheet.name, sheet.nrows, sheet) for sheet in book.sheets()]
        contents = Contents([name for name, _, _ in sheets])
        contents.remarks.append("of an old .xls file values are checked, not formulas; save it as .xlsx for both")
        for name, rows, sheet in sheets:
            for row in range(rows):
                for column, cell in enumerate(sheet.row(row)):
                    value = _value(cell)
                    if value is not None:
                        contents.cells[address_of((name, row + 1, column + 1))] = Cell(value)
    except Exception:  # a broken file may fail anywhere inside the reader
        raise UserError(
            f"{file} is an old .xls file that is damaged, or a workbook that is locked with a password; "
            "save it as .xlsx without one"
        ) from None
    if len(contents.cells) > limits.WORKBOOK_CELLS:
        raise UserError(f"{file} has more than {limits.WORKBOOK_CELLS:,} cells; that is not a workbook of this lesson")
    return contents


def _value(cell: Any) -> Value:
    """Return what a cell holds: a number, a date as its number of days, a truth value, a text, an error as its text."""
    from xlrd import biffh

    if cell.ctype in (biffh.XL_CELL_NUMBER, biffh.XL_CELL_DATE):
        return float(cell.value)
    if cell.ctype == biffh.XL_CELL_BOOLEAN:
        return bool(cell.value)
    if cell.ctype == biffh.XL_CELL_ERROR:
        return biffh.error_text_from_code.get(cell.value, "#N/A")
    return str(cell.value)[:LONGEST_TEXT] or None

"""Reading somebody's workbook by what its file holds, whatever its name says: .xlsx, .ods, old .xls, or a sentence."""

from pathlib import Path

from classlab import files, limits
from classlab.errors import UserError
from classlab.lesson import ods, xls, xlsx
from classlab.lesson.archive import Parts
from classlab.lesson.xlsx import Contents

OLD_FORMAT = b"\xd0\xcf\x11\xe0"
# What people hand in under the name of a workbook: how such a file begins, and what it is.
FOREIGN = (
    ((b"<html", b"<!doctype html", b"<table", b"<meta"), "is a web page; open it and save it as .xlsx"),
    ((b"<?xml", b"<workbook"), "is XML, as Excel wrote it in 2003; open it and save it as .xlsx"),
    ((b"version https://git-lfs",), "is a pointer of Git LFS, not the workbook; fetch it with `git lfs pull`"),
    ((b'{"url"', b'{"doc_id"', b'{"":'), "holds only the link to a Google sheet; download the sheet as .xlsx"),
    ((b"%pdf",), "is a PDF; hand in the workbook"),
)
PARTS_OF_OTHERS = {
    "xl/workbook.bin": "is a binary workbook (.xlsb); save it as .xlsx",
    "Index/Document.iwa": "is a document of Apple Numbers; export it as .xlsx",
    "word/document.xml": "is a text document, not a workbook",
    "ppt/presentation.xml": "is a presentation, not a workbook",
}


def read(file: Path) -> Contents:
    """Read a workbook. Raises UserError, in one sentence, for a file that is missing, broken, hostile or too large."""
    content = files.read(file, limits.WORKBOOK_FILE_BYTES)
    if file.name.startswith("~$"):
        raise UserError(f"{file} is what Excel keeps beside a workbook while it is open; check {file.name[2:]}")
    if content.startswith(OLD_FORMAT):
        return xls.read(file, content)
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().replace(b'{ "', b'{"')
    for beginnings, sentence in FOREIGN:
        if start.startswith(beginnings):
            raise UserError(f"{file} {sentence}")
    if not content.startswith(b"PK") and _is_table_of_text(content[:2000]):
        raise UserError(f"{file} is a table in plain text, such as .csv; formulas are checked in an .xlsx workbook")
    parts = Parts(file, content)
    for name, sentence in PARTS_OF_OTHERS.items():
        if name in parts:
            raise UserError(f"{file} {sentence}")
    return ods.read(parts) if ods.CONTENT in parts and "mimetype" in parts else xlsx.read(parts)


def _is_table_of_text(start: bytes) -> bool:
    """Say whether a file begins with two lines of text with as many separators in them."""
    try:
        lines = start.decode("utf-8", "strict" if len(start) < 2000 else "ignore").splitlines()[:2]
    except UnicodeDecodeError:
        return False
    return len(lines) == 2 and any(lines[0].count(mark) == lines[1].count(mark) > 2 for mark in ",;\t")

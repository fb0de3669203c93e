"""A student's details, from which a task is derived: read strictly, and never written into a file as they are."""

import calendar
import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from classlab import files, limits
from classlab.errors import UserError, did_you_mean, listing

# Many rounds make trying every birth date slow; they do not make it impossible. See docs/assignments.md.
ROUNDS = 200_000
CODE_CHARACTERS = 10
MOST_PROBLEMS = 1_000  # bad lines of a class list, after which no more are looked for


@dataclass(frozen=True)
class Details:
    """What is known of a student. born: day, month and year's last two digits. roll: without blanks, in capitals."""

    born: tuple[int, int, int]
    roll: str
    first: str = ""
    last: str = ""
    programme: str = ""

    def __repr__(self) -> str:
        return "Details(…)"  # a birth date shall not slip into a log

    def code(self, salt: str) -> str:
        """Return the salted digest that stands for the student in every file: 10 hexadecimal digits."""
        text = "/".join((*(f"{part:02d}" for part in self.born), self.roll))
        return hashlib.pbkdf2_hmac("sha256", text.encode(), salt.encode(), ROUNDS).hex()[:CODE_CHARACTERS]


def details(born: str, roll: str, first: str = "", last: str = "", programme: str = "") -> Details:
    """Return the details that were typed. Raises UserError in one sentence."""
    tidy = [unicodedata.normalize("NFC", " ".join(text.split())) for text in (first, last, programme)]
    return Details(read_born(born), read_roll(roll), *tidy)


def read_born(text: str) -> tuple[int, int, int]:
    """Return (day, month, year's last two digits) of a date DD/MM/YY. Raises UserError."""
    text = text.strip()
    match = re.fullmatch(r"([0-9]{2})/([0-9]{2})/([0-9]{2})", text)
    if not match:
        raise UserError(f"a birth date is written DD/MM/YY, for example 18/03/02; got {text!r}{_why(text)}")
    day, month, year = (int(part) for part in match.groups())
    if not 1 <= month <= 12:
        raise UserError(
            f"a birth date is written DD/MM/YY, the month second, 01 to 12; got month {month:02d} in {text!r}"
        )
    # The century is not asked for: 29/02/00 is a day of 2000.
    days = calendar.monthrange(2000 + year, month)[1]
    if not 1 <= day <= days:
        raise UserError(f"{calendar.month_name[month]} of a year {year:02d} has the days 01 to {days}; got {text!r}")
    return day, month, year


def _why(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}", text):
        return ", whose year has four digits: give the last two"
    if re.fullmatch(r"[0-9]{1,4}[-. ][0-9]{1,2}[-. ][0-9]{1,4}", text):
        return ", which has no slashes between day, month and year"
    if re.fullmatch(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{1,2}", text):
        return ": give two digits each, with a leading zero"
    return ""


def read_roll(text: str) -> str:
    """Return the roll number in capitals. Raises UserError unless it is letters and digits."""
    roll = "".join(text.split()).upper()
    if not re.fullmatch(r"[A-Z0-9][A-Z0-9/._-]{0,39}", roll):
        raise UserError(f"a roll number holds letters, digits, '-', '.', '_' and '/', 40 at most; got {text!r}")
    return roll


def read_class_list(file: Path) -> list[tuple[int, Details]]:
    """Return (line, details) for every row of a CSV with the columns born and roll, and perhaps first, last, programme.

    Commas or semicolons between the cells, UTF-8. Raises UserError that names the line of every bad row.
    """
    rows = _rows(file)
    header = [cell.strip().lower() for cell in next(rows, (0, []))[1]]
    if not header:
        raise UserError(f"{file} is empty: its first line names the columns, born and roll among them")
    known = [field.name for field in fields(Details)]
    for name in header:
        if name not in known:
            raise UserError(
                f"{file}: there is no column {name!r}{did_you_mean(name, known) or ';'} known: {listing(known)}"
            )
    for name in ("born", "roll"):
        if header.count(name) != 1:
            raise UserError(
                f"{file}: the first line must name the columns, born and roll among them once; got {header}"
            )
    problems: list[str] = []
    students: list[tuple[int, Details]] = []
    seen: dict[str, int] = {}
    for line, row in rows:
        if len(problems) == MOST_PROBLEMS:
            break
        try:
            if len(row) != len(header):
                raise UserError(f"{len(header)} cells are wanted ({', '.join(header)}), got {len(row)}")
            student = _student(dict(zip(header, row, strict=True)))
            if student.roll in seen:
                raise UserError(f"the roll number {student.roll} stands in line {seen[student.roll]} already")
            seen[student.roll] = line
            students.append((line, student))
        except UserError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        more = f"{'at least ' if len(problems) == MOST_PROBLEMS else ''}{len(problems) - 5}"
        listed = "; ".join(problems[:5]) + (f"; and {more} more bad lines" if len(problems) > 5 else "")
        raise UserError(f"{file}, {listed}")
    if not students:
        raise UserError(f"{file} names no student: below the line of column names there is nothing")
    return students


def _student(cells: Mapping[str, str]) -> Details:
    for name in ("born", "roll"):
        if not cells[name].strip():
            raise UserError(f"{name} is empty")
    return details(**cells)


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of every row that is not empty, that of the column names first."""
    try:
        text = files.read(file, limits.CLASS_LIST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not a text file in UTF-8; save the class list as CSV UTF-8") from None
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    try:
        for row in reader:
            if row and not "".join(row).isspace() and any(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: this is not CSV ({error})") from None

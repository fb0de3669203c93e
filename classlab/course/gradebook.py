"""The results of a graded class: grades.csv, a form for a learning platform, a page a student, the teacher's page."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files
from classlab.course.feedback import class_document, one_thing, student_document
from classlab.drawing import page, paper
from classlab.plain_text import spreadsheet_safe

if TYPE_CHECKING:
    from classlab.course.grade import Graded, Graduation

GRADES, IMPORT, FEEDBACK, CLASS = "grades.csv", "grades-import.csv", "feedback", "class.html"


def write(graduation: "Graduation", out: Path) -> None:
    """Write every file of a graded class into a folder. The same class gives the same bytes."""
    files.make_folder(out / FEEDBACK)
    for student in graduation.students:
        if student.scored is not None:
            document = student_document(graduation, student)
            files.write(out / FEEDBACK / f"{student.code}.html", page.html(document).encode())
            files.write(out / FEEDBACK / f"{student.code}.pdf", paper.document_pdf(document))
    files.write(out / CLASS, page.html(class_document(graduation)).encode())
    files.write(out / IMPORT, _import_form(graduation))
    files.write(out / GRADES, _grades(graduation))


def _grades(graduation: "Graduation") -> bytes:
    items = graduation.rules.points.items if graduation.rules.points else []
    rows = [["roll", "task", "points", "most", "handed in", "days late", *(item.about for item in items),
             "taken off", "proof of training", "notes"]]  # fmt: skip
    rows += [_row(graduation, student) for student in graduation.students]
    return _csv(rows)


def _row(graduation: "Graduation", student: "Graded") -> list[Any]:
    most = graduation.rules.points.most if graduation.rules.points else 0
    if student.scored is None or student.source is None:
        blanks = [""] * len(graduation.rules.points.items if graduation.rules.points else [])
        why = "no hand-in that could be graded"
        return [student.roll, student.code, 0, f"{most:g}", "no", "", *blanks, "", "", why]
    scores = [f"{score.points:g}" for score in student.scored.scores]
    notes = [run.problem for run in student.runs if run.problem] + [note for run in student.runs for note in run.notes]
    proofs = [f"{name}: {proof['word']}" for name, proof in student.proofs.items()]
    head = [student.roll, student.code, f"{student.scored.points:g}", f"{most:g}", student.source.name]
    words = ["; ".join(student.scored.taken_off), "; ".join(proofs), "; ".join(notes)]
    return [*head, student.days_late, *scores, *words]


def _import_form(graduation: "Graduation") -> bytes:
    """Return the columns that Moodle's import of grades maps by itself: ID number, grade, feedback."""
    rows: list[list[Any]] = [["ID number", "Grade", "Feedback comments"]]
    for student in graduation.students:
        points = student.scored.points if student.scored else 0
        rows.append([student.roll, f"{points:g}", one_thing(student)])
    return _csv(rows)


def _csv(rows: list[list[Any]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([[spreadsheet_safe(str(cell)) for cell in row] for row in rows])
    return stream.getvalue().encode()

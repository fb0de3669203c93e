"""The pages of a graded class: what a student reads of their hand-in, and what the teacher reads of all of them."""

from collections import Counter
from typing import TYPE_CHECKING

from classlab.course.training_proof import chance
from classlab.drawing.blocks import (
    Block,
    Column,
    Document,
    Fact,
    Number,
    Numbers,
    Section,
    Table,
    Verdict,
    Words,
)
from classlab.formats import percent
from classlab.version import __version__

if TYPE_CHECKING:
    from classlab.course.grade import Graded, Graduation
    from classlab.course.hand_in import WeighedRun

BANDS = 10


def one_thing(student: "Graded") -> str:
    """Return the one thing that a student should look at: what cost most, or that nothing did."""
    if student.scored is None:
        return "No hand-in that could be graded came under your task's code."
    lost = max(student.scored.scores, key=lambda score: score.most - score.points)
    if lost.most - lost.points > 1e-9:
        return f"Look at {lost.about}: {lost.why}."
    if student.scored.taken_off:
        return f"Everything asked is there; {student.scored.taken_off[0]}."
    return "Everything asked is there and kept."


def student_document(graduation: "Graduation", student: "Graded") -> Document:
    """Return a student's feedback. It says nothing of other students, nor of likenesses."""
    scored = student.scored
    assert scored is not None
    full = scored.points >= scored.most
    word = f"{scored.points:g} of {scored.most:g} points"
    first: list[Block] = [Verdict("good" if full else "plain", word, one_thing(student))]
    if student.source and student.source.time:
        late = f", {student.days_late} day{'' if student.days_late == 1 else 's'} late" if student.days_late else ""
        first.append(Words(f"Handed in on {student.source.time:%Y-%m-%d at %H:%M}{late}."))
    rows = tuple((score.about, score.points, score.most, score.why) for score in scored.scores)
    columns = (Column("for"), Column("points", "number", 1), Column("of", "number", 1), Column("because"))
    first.append(Table("points", "Points, and why", columns, rows, ("all", scored.points, scored.most, "")))
    first += [Words(f"Taken off: {sentence}.") for sentence in scored.taken_off]
    sections = [Section("Your points", tuple(first))]
    sections += [Section(f"The run {run.name}", tuple(_run_blocks(run, student))) for run in student.runs]
    return Document(
        title=graduation.rules.title,
        subtitle=f"Feedback on task {student.code}",
        sections=tuple(sections),
        byline=(Fact("Task", student.code), Fact("Rules", graduation.name)),
        footer=f"Written by classlab {__version__}. Every figure was measured again from the weights handed in.",
    )


def _run_blocks(run: "WeighedRun", student: "Graded") -> list[Block]:
    if run.problem:
        return [Verdict("bad", "not measured", f"{run.problem}.")]
    measured = run.measured
    figures = [Number("parameters", f"{measured['parameters']:,}"), Number("epochs", f"{measured['epochs']:,}")]
    if "test_accuracy" in measured:
        note = f"{measured['test_correct']:,} of {measured['test_total']:,} test images"
        figures.insert(0, Number("test accuracy", f"{100 * measured['test_accuracy']:.2f} %", note))
    rows = tuple((check.sentence.rsplit(":", 1)[0], check.passed) for check in run.checks)
    blocks: list[Block] = [Numbers(tuple(figures))]
    columns = (Column("asked and measured"), Column("kept?", "check"))
    blocks.append(Table(f"rules-{run.name}", "Rule by rule", columns, rows))
    blocks += [Words(f"Beside that: {note}.") for note in run.notes]
    proof = student.proofs.get(run.name)
    if proof:
        blocks.append(Words(f"Proof of training: {proof['word']}. {_capital(proof['sentence'])}."))
    return blocks


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def class_document(graduation: "Graduation") -> Document:
    """Return the teacher's page: the distribution, rules most missed, likenesses, doubtful and missing hand-ins."""
    handed_in = [student for student in graduation.students if student.scored is not None]
    sections = [Section("The class", tuple(_overview(graduation, handed_in)))]
    sections.append(Section("Rules most missed", tuple(_missed(handed_in))))
    sections.append(Section("Alike", tuple(_alike(graduation))))
    sections.append(Section("To look at", tuple(_doubtful(graduation, handed_in))))
    sections.append(Section("Missing", tuple(_missing(graduation))))
    return Document(
        title=graduation.rules.title,
        subtitle=f"{len(graduation.students)} students, {len(handed_in)} hand-ins graded",
        sections=tuple(sections),
        byline=(Fact("Rules", graduation.name),),
        footer=f"Written by classlab {__version__}. For the teacher alone.",
    )


def _overview(graduation: "Graduation", handed_in: "list[Graded]") -> list[Block]:
    from statistics import mean, median

    if not handed_in:
        return [Words("No hand-in could be graded.")]
    points = [student.scored.points for student in handed_in if student.scored]
    most = graduation.rules.points.most if graduation.rules.points else 1.0
    figures = Numbers((
        Number("mean", f"{mean(points):.1f}", f"of {most:g} points"),
        Number("median", f"{median(points):.1f}"),
        Number("late", str(sum(student.days_late > 0 for student in handed_in))),
    ))  # fmt: skip
    bands = Counter(min(int(BANDS * value / most), BANDS - 1) for value in points)
    scale = max(1.0, max(bands.values()) / 30)
    rows = tuple(
        (f"{band * most / BANDS:g} to {(band + 1) * most / BANDS:g}", bands[band], "▇" * round(bands[band] / scale))
        for band in reversed(range(BANDS))
    )
    columns = (Column("points"), Column("students", "count"), Column(""))
    table = Table("distribution", "How the points lie (a value between two rows counts in the upper)", columns, rows)
    every = tuple((student.roll, student.code, student.scored.points if student.scored else None,
                   ", ".join(proof["word"] for proof in student.proofs.values()) or None)
                  for student in graduation.students)  # fmt: skip
    columns = (Column("roll"), Column("task", "code"), Column("points", "number", 1), Column("proof of training"))
    return [figures, table, Table("students", "Every student", columns, every), *_chances(graduation, handed_in)]


def _chances(graduation: "Graduation", handed_in: "list[Graded]") -> list[Block]:
    """Say with which chance the epochs that were trained again meet an invented one, by the epochs of each run."""
    lengths = {(run.name, run.measured["epochs"]) for student in handed_in for run in student.runs
               if run.name in student.proofs and run.measured.get("epochs")}  # fmt: skip
    sentences = []
    for name, epochs in sorted(lengths):
        drawn = min(graduation.spot_checks, epochs)
        chances = [percent(chance(epochs, min(forged, epochs), drawn), 0) for forged in (1, 2)]
        sentences.append(
            f"Of the {epochs} epochs of {name} {drawn} were trained again: who invented one is found with a chance of "
            f"{chances[0]}, who invented two with {chances[1]}."
        )
    return [Words(" ".join(sentences))] if sentences else []


def _missed(handed_in: "list[Graded]") -> list[Block]:
    broken = Counter((run.name, check.rule) for student in handed_in for run in student.runs for check in run.checks
                     if not check.passed)  # fmt: skip
    if not broken:
        return [Words("No rule was broken by a run that could be measured.")]
    rows = tuple((run, rule, count) for (run, rule), count in broken.most_common(20))
    columns = (Column("run"), Column("rule", "code"), Column("students", "count"))
    return [Table("missed", "By how many students each rule was not kept", columns, rows)]


def _alike(graduation: "Graduation") -> list[Block]:
    intro = Words(
        f"{graduation.pairs:,} pairs of runs were compared. What stands here is evidence, not a verdict: talk to the "
        "students. Nothing of it is on their pages."
    )
    if not graduation.likenesses:
        return [intro, Words("No two were more alike than two trainings are.")]
    rows = tuple((part.first, part.second, part.run, part.kind, part.evidence, part.by_chance)
                 for part in graduation.likenesses)  # fmt: skip
    columns = tuple(Column(name) for name in ("student", "and", "run", "what", "evidence", "by chance"))
    return [intro, Table("alike", "More alike than two trainings are", columns, rows)]


def _doubtful(graduation: "Graduation", handed_in: "list[Graded]") -> list[Block]:
    rows: list[tuple[str, str, str]] = []
    for student in handed_in:
        for run in student.runs:
            rows += [(student.roll, run.name, run.problem)] if run.problem else []
            rows += [(student.roll, run.name, note) for note in run.notes]
            rows += [(student.roll, run.name, check.sentence) for check in run.checks
                     if not check.passed and check.rule in ("same_experiment", "same_seed", "task_experiment",
                                                            "student_seed")]  # fmt: skip
        rows += [(student.roll, name, f"training not proved: {proof['sentence']}")
                 for name, proof in student.proofs.items() if proof["word"] == "not proved"]  # fmt: skip
        if student.earlier:
            rows.append((student.roll, "", f"{student.earlier + 1} hand-ins under this code; the last one was graded"))
    columns = (Column("student"), Column("run"), Column("what"))
    blocks: list[Block] = [Table("doubtful", "What does not fit together", columns, tuple(rows))] if rows else []
    if graduation.strays:
        columns = (Column("file"), Column("why it was not graded"))
        blocks.append(Table("strays", "Files that could not be graded", columns, graduation.strays))
    return blocks or [Words("Nothing.")]


def _missing(graduation: "Graduation") -> list[Block]:
    rows = tuple((student.roll, student.code) for student in graduation.students if student.scored is None)
    if not rows:
        return [Words("Every student has handed in.")]
    return [Table("missing", "No hand-in that could be graded", (Column("roll"), Column("task", "code")), rows)]

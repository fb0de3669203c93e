"""Derivation: of a lesson, every gradient by the chain rule; of an assignment, the task from a student's details."""

from typing import Any

from classlab import experiment as experiments
from classlab import lookup
from classlab.drawing.blocks import Block, Code, Column, Heading, Table, Words
from classlab.errors import UserError
from classlab.lesson import autograd, walk, written_workbook
from classlab.report import words
from classlab.report.lessons import Lesson, lesson_of
from classlab.report.material import Material
from classlab.report.spec import Assigned

COMPARED = 10  # epochs whose gradients are compared with autograd's


def blocks(material: Material) -> list[Block]:
    """Return the derivation of the part's lesson, or that of its assignment."""
    part = material.part
    return _of_task(part.assignment) if part.assignment else _of_lesson(lesson_of(part))


def _of_lesson(lesson: Lesson) -> list[Block]:
    """Return the formulas in numbered steps, every path to a weight with its numbers, and autograd beside them."""
    steps: list[Code] = []
    for line, opens in written_workbook.derivation_lines(lesson.shape):
        if opens:
            steps.append(Code("", line))
        else:
            formulas = "\n".join(part.strip() for part in line.split("      "))
            steps[-1] = Code(f"{steps[-1].text}\n{formulas}".strip(), steps[-1].caption)
    rule = [step if step.text else Words(step.caption) for step in steps]
    return [Heading("By the chain rule"), *rule, Heading("Path by path"), *_paths(lesson), Words(_autograd(lesson))]


def _paths(lesson: Lesson) -> list[Block]:
    """Return every path from the error to a weight as a product of slopes, with the numbers of the first epoch."""
    rows = []
    for step in walk.tell(lesson.network, lesson.rates[0]):
        if step.kind == "path":
            chain = " · ".join(label for label, _, _ in step.links)
            numbers = " · ".join(_figure(value) for _, _, value in step.links)
            rows.append((step.result.partition(" ")[0].removeprefix("∂E/∂"), chain, numbers, step.value))
    columns = (Column("to"), Column("path", "code"), Column("in the first epoch", "code"), Column("slope", "number", 8))
    units = "; ".join(
        f"∂E/∂{name} = {total:.8f}".replace("-", "−") for name, total in _totals(rows).items() if _count(rows, name) > 1
    )
    sentence = (
        f"{len(rows)} paths lead from the error to {len(_totals(rows))} weights; a gradient is the sum over its paths"
    )
    return [
        Words(f"{sentence}: {units}." if units else f"{sentence}."),
        Table("paths", "Every path from the total error to a weight", columns, tuple(rows)),
    ]


def _totals(rows: list[tuple[Any, ...]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, _, _, value in rows:
        found[name] = found.get(name, 0.0) + value
    return dict(sorted(found.items(), key=lambda item: int(item[0][1:])))


def _count(rows: list[tuple[Any, ...]], name: str) -> int:
    return sum(row[0] == name for row in rows)


def _figure(value: float) -> str:
    written = f"{value:.4g}".replace("-", "−")
    return f"({written})" if value < 0 else written


def _autograd(lesson: Lesson) -> str:
    pairs = autograd.compare(lesson.network, lesson.rates[0], COMPARED)
    worst = max(pair.difference for pair in pairs)
    verdict = "agree with" if worst <= autograd.AGREE_WITHIN else "differ from"
    return (
        f"Over {COMPARED} epochs at {lesson.rate_label} {lesson.rates[0]:g} these gradients {verdict} those of "
        f"PyTorch's autograd in float64: of {len(pairs)} numbers none differs by more than {worst:.1e}."
    )


def _of_task(assigned: Assigned) -> list[Block]:
    """Return the task rule by rule, and which shipped experiments it comes to; the birth date itself is left out."""
    from classlab.course import rules as rule_files
    from classlab.course.derive import derive
    from classlab.course.details import details

    given = assigned.details
    name, rules = rule_files.load(assigned.name)
    student = details("/".join(given[part] for part in ("DD", "MM", "YY")), given["ABC"])
    task = derive(rules, student)
    rows = tuple((line.about, line.why, line.means + (" (ours)" if line.ours else "")) for line in task.lines)
    columns = Column("decides"), Column("because"), Column("comes to")
    stated = sum(not line.ours for line in task.lines)
    which = f"all {stated}" if stated == len(task.lines) else f"{stated} of {len(task.lines)}"
    sentence = (
        f"The rules {name} read a birth date DD/MM/YY and the last digits ABC of a roll number. Of the branches taken "
        f"here the report states {which}. The other branch of each rule it does not state; that one is chosen in the "
        "rules' file, where it is marked as ours."
    )
    return [
        Words(sentence),
        Table("task", "The task, rule by rule", columns, rows),
        *[Words(text) for text in (_shipped(task.experiments),) if text],
        Code(f"classlab assign {name} --born DD/MM/YY --roll NUMBER", "A student's own task, with its contracts"),
    ]


def _shipped(derived: dict[str, dict[str, Any]]) -> str:
    """Say which derived experiments are the shipped ones, in data, model, training and protocol."""
    clauses = []
    for name, fields in derived.items():
        wanted = _bare({"name": name, **fields})
        same = [shipped for shipped in lookup.names("experiment") if _bare_of(shipped) == wanted]
        clauses.append(f"{name} is {words.listed(same)}" if same else f"{name} is none of them")
    return f"Of the shipped experiments the derived {'; '.join(clauses)}." if clauses else ""


def _bare_of(name: str) -> dict[str, Any] | None:
    try:
        return _bare(experiments.load(name).model_dump(mode="json"))
    except UserError:
        return None


def _bare(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what makes an experiment train as it does."""
    whole = experiments.Experiment(**fields).model_dump(mode="json")
    return {key: whole[key] for key in ("data", "model", "training")}

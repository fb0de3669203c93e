"""Steps: the log of a search by hand: each step's target, change, result and analysis, in order."""

from classlab import metrics
from classlab.drawing.blocks import Block, Column, Fact, Facts, Heading, Table, Words
from classlab.report import words
from classlab.report.material import Material
from classlab.study.ladder import UNWRITTEN, StepLog

BELIEVED = {True: "yes", False: "not yet", None: ""}


def blocks(material: Material) -> list[Block]:
    """Return the ladder as a table, and each step with its words; nothing of a study without steps."""
    if material.study is None or not material.study.steps:
        return material.lacking("These runs are not a study with steps.")
    logs = material.study.steps
    columns = (
        Column("step", "count"), Column("name"), Column("parameters", "count"),
        Column(metrics.short(material.study.study.compare.metric), "figure"), Column("other than the step before"),
    )  # fmt: skip
    rows = tuple((log.number, log.name, log.parameters, log.value, BELIEVED[log.believed]) for log in logs)
    unwritten = [f"{log.number} ({log.name})" for log in logs if log.analysis == UNWRITTEN]
    caption = "The steps in order; the last column says whether the difference from the step before can be believed"
    found: list[Block] = [Table("steps", caption, columns, rows)]
    if unwritten:
        found.append(Words(f"No analysis is written yet of {'step' if len(unwritten) == 1 else 'steps'} "
                           f"{words.listed(unwritten)}."))  # fmt: skip
    for log in logs:
        found += [Heading(f"{log.number}. {log.name}"), _facts(log)]
    return found


def _facts(log: StepLog) -> Facts:
    changed = "; ".join(f"{change.setting}: {change.before} → {change.after}" for change in log.changes)
    facts = [Fact("Target", log.target), Fact("Changed", changed or "the experiment that the others begin with")]
    facts.append(Fact("Result", f"{words.capital(log.result)}."))
    facts += [Fact("Against the step before", f"{words.capital(log.against)}.")] if log.against else []
    return Facts((*facts, Fact("Analysis", log.analysis)))

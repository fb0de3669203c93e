"""The task sheet: one page with a student's task and its derivation, as Markdown and as PDF."""

import json
from pathlib import Path
from typing import Any

from classlab import contract as contracts
from classlab.course import task_file
from classlab.course.derive import Task, explained
from classlab.course.rules import Rules
from classlab.experiment import Contract

TEMPLATE = Path(__file__).with_name("sheet.typ")
# Text sizes in points, tried in turn until the sheet is one page.
SIZES = (10.0, 9.0, 8.0, 7.0, 6.0)
OURS = "not stated by the rules' source: chosen for this assignment"


def content(name: str, rules: Rules, task: Task, code: str, limits: dict[str, Contract]) -> dict[str, Any]:
    """Return what the sheet says, as plain data. name: of the rules. limits: the contract of each experiment."""
    first, seed = next(iter(task.experiments)), task_file.seed_of(rules, code)
    return {
        "title": rules.title,
        "about": rules.about,
        "rules": name,
        "code": code,
        "lines": [
            {"about": line.about, "why": line.why, "means": line.means, "ours": line.ours} for line in task.lines
        ],
        "quantities": f"{'; '.join(explained(rules))}." if explained(rules) else "",
        "ours": OURS if any(line.ours for line in task.lines) else "",
        "experiments": [
            {
                "file": f"{experiment}.yaml",
                "description": fields.get("description", ""),
                "contract": f"{experiment}-contract.yaml" if experiment in limits else None,
                "limits": "; ".join(contracts.in_words(limits[experiment])) if experiment in limits else "",
            }
            for experiment, fields in task.experiments.items()
        ],
        "commands": [
            f"classlab inspect {first}.yaml",
            f"classlab run {first}.yaml --seed {seed} --report",
            *([f"classlab check RUN --contract {first}-contract.yaml"] if first in limits else []),
            f"classlab hand-in RUN{'' if len(task.experiments) == 1 else '…'} --for task.yaml --report --out me.zip",
        ],
        "hand_in": rules.hand_in,
    }


def markdown(sheet: dict[str, Any]) -> str:
    """Return the sheet as Markdown."""
    lines = [f"# {sheet['title']}", "", f"Task `{sheet['code']}` by the rules `{sheet['rules']}`.", ""]
    lines += [sheet["about"], ""] if sheet["about"] else []
    lines += ["## Your task, and why", ""]
    star = {True: " \\*", False: ""}
    lines += [
        f"- {entry['about']}: {entry['why']} → **{entry['means']}**{star[entry['ours']]}" for entry in sheet["lines"]
    ]
    lines += ["", sheet["quantities"]] if sheet["quantities"] else []
    lines += ["", f"\\* {sheet['ours']}"] if sheet["ours"] else []
    lines += ["", "## Your experiments", ""]
    for entry in sheet["experiments"]:
        held = f" Contract `{entry['contract']}`: {entry['limits']}." if entry["contract"] else ""
        lines.append(f"- `{entry['file']}`: {entry['description']}{held}")
    lines += ["", "## Train, check, report", "", *(f"    {command}" for command in sheet["commands"])]
    if sheet["hand_in"]:
        lines += ["", "## Hand in", "", *(f"- {item}" for item in sheet["hand_in"])]
    return "\n".join(lines) + "\n"


def pdf(sheet: dict[str, Any]) -> bytes:
    """Return the sheet as PDF on one page: the same sheet, the same bytes. The text is smaller where there is much."""
    for size in SIZES:
        pages = _compiled({**sheet, "size": size}, "png", ppi=10)
        if isinstance(pages, bytes):
            break
    return _compiled({**sheet, "size": size}, "pdf")  # the smallest runs over rather than leave something out


def _compiled(data: dict[str, Any], form: str, **options: Any) -> Any:
    """Only the fonts inside typst are used, and no time is written: what comes out depends on the data alone."""
    import typst

    files = {"main.typ": TEMPLATE.read_bytes(), "data.json": json.dumps(data, ensure_ascii=False).encode()}
    # typst's types do not know that it takes files by name; its documentation does.
    return typst.compile(  # pyrefly: ignore[no-matching-overload]
        files, format=form, ignore_system_fonts=True, timestamp=0, **options
    )

"""What a reproduced report leaves: a page, a paper, every figure as JSON, and the tables of all reports as Markdown."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classlab import files, limits
from classlab.errors import UserError
from classlab.report import document_files, words
from classlab.report.spec import Part, Value
from classlab.reproduction import figures, findings
from classlab.reproduction.published import Published
from classlab.reproduction.reproduced import Reproduced
from classlab.reproduction.reproduced_document import build
from classlab.reproduction.verdicts import Judged
from classlab.runs import records, store

TABLES = "tables.md"


def write(
    reproduced: Reproduced, author: str | None = None, roll: str | None = None, course: str | None = None
) -> None:
    """Write the report's page, paper and JSON into its folder. Raises UserError."""
    document_files.write(build(reproduced, author, roll, course), reproduced.html, pdf=True)
    store.write_json(reproduced.html.with_suffix(".json"), to_json(reproduced))


def to_json(reproduced: Reproduced) -> dict[str, Any]:
    """Return every figure with its verdict, and every run, as a program reads them; shares are fractions."""
    return {
        "report": reproduced.report.name,
        "title": reproduced.report.title,
        "question": reproduced.report.question,
        "command": reproduced.command,
        "quick": reproduced.quick,
        "seconds": reproduced.seconds,
        "verdicts": dict(findings.counted(reproduced.figures)),
        "figures": [_row(judged, part) for part, judged in reproduced.figures],
        "runs": [
            {"name": name, **{key: run.summary.get(key) for key in RUN}}
            for name, runs in reproduced.runs.items()
            for run in runs
        ],
        "failures": dict(reproduced.failures),
    }


RUN = ("run", "experiment", "seed", "status", "epochs", "test_accuracy", "test_loss", "seconds")


def _row(judged: Judged, part: Part) -> dict[str, Any]:
    value = judged.value
    return {
        "part": judged.part,
        "what": figures.what(value, part),
        "of": value.of,
        "metric": value.metric,
        "epoch": value.epoch,
        "claim": value.claim,
        "source": value.source,
        "reading": value.reading,
        "published": _published(value),
        "measured": judged.mean,
        "sd": judged.sd,
        "n": judged.n,
        "runs": judged.runs,
        "interval": judged.interval,
        "method": judged.method,
        "verdict": judged.word,
        "gap": judged.gap,
        "because": judged.because,
        "left_out": judged.left_out,
    }


def _published(value: Value) -> Any:
    """Return a published figure, its per cents as a fraction; None for a claim without one."""
    printed = value.printed
    if printed is None or not value.is_percent:
        return printed
    return [end / 100 for end in printed] if isinstance(printed, tuple) else printed / 100


def refuse_to_replace(reports: Sequence[Published], out: Path) -> None:
    """Raise UserError where the folder holds one of the reports in full: a shortened one does not take its place."""
    found = [out / f"{report.name}.json" for report in reports]
    full = [
        path.stem for path in found if path.is_file() and not records.read_object(path, limits.SPLIT_BYTES).get("quick")
    ]
    if full:
        raise UserError(
            f"{out} holds {words.listed(full)} in full, and shortened runs do not take its place; "
            "name another folder with --out"
        )


def write_tables(reports: Sequence[Reproduced], out: Path) -> None:
    """Write the tables of the reports as Markdown; those of other reports that are there already stay."""
    path = out / TABLES
    texts = _by_report(files.read_text(path, limits.SPLIT_BYTES)) if path.exists() else {}
    texts |= {reproduced.report.name: _markdown(reproduced) for reproduced in reports}
    store.write(path, "\n".join(texts.values()))


def _by_report(tables: str) -> dict[str, str]:
    """Return the text of each report's tables, by its name; they begin with "## NAME: "."""
    parts = re.split(r"^(?=## [\w-]+: )", tables, flags=re.MULTILINE)[1:]
    return {part[3:].partition(":")[0]: part.rstrip("\n") + "\n" for part in parts}


def _markdown(reproduced: Reproduced) -> str:
    runs = f"{words.count(len(reproduced.every), 'run')}, {words.duration(reproduced.seconds)} of training added up."
    shortened = " Shortened runs." if reproduced.quick else ""
    lines = [
        f"## {reproduced.report.name}: {reproduced.report.title}",
        "",
        f"{findings.held(reproduced.figures)}. {findings.tally(reproduced.figures)} {runs}{shortened}",
        "",
        f"    {reproduced.command}",
        "",
    ]
    for part, judged in reproduced.judged:
        if judged:
            lines += [f"### {part.title}", "", _line(figures.HEADINGS), "|---" * len(figures.HEADINGS) + "|"]
            lines += [*(_line(figures.cells(figure, part)) for figure in judged), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

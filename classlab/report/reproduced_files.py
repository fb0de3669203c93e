"""What a report made again leaves: a page, a paper, every figure as JSON, and the tables of all reports as Markdown."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classlab import files, limits
from classlab.errors import UserError
from classlab.report import figures, words
from classlab.report import write as documents
from classlab.report.published import Part, Published, Value
from classlab.report.reproduced import Made, build, held, tally
from classlab.report.verdicts import Judged
from classlab.runs import records, store

TABLES = "tables.md"


def write(made: Made, author: str | None = None, roll: str | None = None, course: str | None = None) -> None:
    """Write the report's page, paper and JSON into its folder. Raises UserError."""
    documents.write(build(made, author, roll, course), made.html, pdf=True)
    store.write_json(made.html.with_suffix(".json"), to_json(made))


def to_json(made: Made) -> dict[str, Any]:
    """Return every figure with its verdict, and every run, as a program reads them; shares are fractions."""
    return {
        "report": made.report.name,
        "title": made.report.title,
        "question": made.report.question,
        "command": made.command,
        "quick": made.quick,
        "seconds": made.seconds,
        "verdicts": dict(made.counted),
        "figures": [_row(one, part) for part, one in made.figures],
        "runs": [
            {"name": name, **{key: run.summary.get(key) for key in RUN}} for name, of in made.runs.items() for run in of
        ],
        "failures": dict(made.failures),
    }


RUN = ("run", "experiment", "seed", "status", "epochs", "test_accuracy", "test_loss", "seconds")


def _row(one: Judged, part: Part) -> dict[str, Any]:
    value = one.value
    return {
        "part": one.part,
        "what": figures.what(value, part),
        "of": value.of,
        "metric": value.metric,
        "epoch": value.epoch,
        "claim": value.claim,
        "source": value.source,
        "reading": value.reading,
        "published": _published(value),
        "measured": one.mean,
        "sd": one.sd,
        "n": one.n,
        "runs": one.runs,
        "interval": one.interval,
        "method": one.method,
        "verdict": one.word,
        "gap": one.gap,
        "because": one.because,
        "left_out": one.left_out,
    }


def _published(value: Value) -> Any:
    """Return a published figure, its per cents as a fraction; None for a claim without one."""
    if not value.is_percent:
        return value.published
    given = value.published_percent
    return [end / 100 for end in given] if isinstance(given, tuple) else given and given / 100


def refuse_to_replace(reports: Sequence[Published], out: Path) -> None:
    """Raise UserError where the folder holds one of the reports in full: a shortened one does not take its place."""
    found = [out / f"{one.name}.json" for one in reports]
    full = [
        path.stem for path in found if path.is_file() and not records.read_object(path, limits.SPLIT_BYTES).get("quick")
    ]
    if full:
        raise UserError(
            f"{out} holds {words.listed(full)} in full, and shortened runs do not take its place; "
            "name another folder with --out"
        )


def write_tables(made: Sequence[Made], out: Path) -> None:
    """Write the tables of the reports as Markdown; those of other reports that are there already stay."""
    path = out / TABLES
    told = _by_report(files.read_text(path, limits.SPLIT_BYTES)) if path.exists() else {}
    told |= {one.report.name: _markdown(one) for one in made}
    store.write(path, "\n".join(told.values()))


def _by_report(tables: str) -> dict[str, str]:
    """Return the text of each report's tables, by its name; they begin with "## NAME: "."""
    parts = re.split(r"^(?=## [\w-]+: )", tables, flags=re.MULTILINE)[1:]
    return {part[3:].partition(":")[0]: part.rstrip("\n") + "\n" for part in parts}


def _markdown(made: Made) -> str:
    runs = f"{words.count(len(made.every), 'run')}, {words.duration(made.seconds)} of training added up."
    shortened = " Shortened runs." if made.quick else ""
    lines = [
        f"## {made.report.name}: {made.report.title}",
        "",
        f"{held(made)}. {tally(made)} {runs}{shortened}",
        "",
        f"    {made.command}",
        "",
    ]
    for part, of in made.judged:
        if of:
            lines += [f"### {part.title}", "", _line(figures.HEADINGS), "|---" * len(figures.HEADINGS) + "|"]
            lines += [*(_line(figures.cells(one, part)) for one in of), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

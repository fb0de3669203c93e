"""Kills: runs, studies, reports and fetches ended by SIGKILL at any moment, then gone on with; see killer."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.hostile import campaign

RESULTS = "kills.jsonl"


def run(folder: Path, seed: int, count: int) -> tuple[str, bool]:
    """Kill so many processes; return a report in Markdown, and whether anything was wrong."""
    campaign.ready(folder, seed)
    surroundings: dict[str, Any] = {"cwd": campaign.REPOSITORY, "env": campaign.environment(folder), "text": True}
    words = [sys.executable, "-m", "tests.hostile.mirror", str(folder)]
    with subprocess.Popen(words, **surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as mirror:
        assert mirror.stdin and mirror.stdout
        proxy = mirror.stdout.readline().strip()
        words = [sys.executable, "-m", "tests.hostile.killer", str(folder), str(seed), str(count), proxy]
        code = subprocess.run(words, **surroundings).returncode
        mirror.stdin.close()
    return report(results(folder), code)


def results(folder: Path) -> list[dict[str, Any]]:
    """Return what was killed so far."""
    file = folder / RESULTS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def report(found: list[dict[str, Any]], code: int) -> tuple[str, bool]:
    """Return a table and what is wrong, as Markdown, and whether anything is."""
    lines = [
        "| killed | pieces of work | kills | at a half-written file | came too late | wrong |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys(result["work"] for result in found):
        here = [result for result in found if result["work"] == name]
        counts = " | ".join(str(sum(result[key] for result in here)) for key in ("kills", "aimed", "late"))
        lines.append(f"| {name} | {len(here)} | {counts} | {sum(bool(result['wrong']) for result in here)} |")
    wrong = [
        f"- {result['work']}, number {result['number']}, killed after {', '.join(result['moments'])}: {sentence}"
        for result in found
        for sentence in result["wrong"]
    ]
    failed = [f"- the killer itself ended with {code}"] if code else []
    return "\n".join([*lines, "", *wrong, *failed, ""]), bool(wrong or failed)

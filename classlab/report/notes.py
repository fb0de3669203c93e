"""The author's own words in a report: a Markdown file whose headings say in which section they stand."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from classlab import files, limits
from classlab.drawing.blocks import Block, Section, Words
from classlab.errors import UserError, did_you_mean, listing
from classlab.yaml_text import echoed

FIRST, LAST = "Introduction", "Conclusions"  # sections that are the author's alone
HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*")


def with_notes(sections: Sequence[Section], file: str | Path) -> tuple[Section, ...]:
    """Return the sections of a report with the author's words: at the head of each, and in two sections of their own.

    file: Markdown, UTF-8. What stands under the title of a section goes there, what stands under Introduction or before
    any heading comes first, Conclusions last. Raises UserError for a heading that is none of the report's.
    """
    notes = _read(Path(file), [section.title for section in sections])
    found = [
        replace(section, blocks=(*notes[section.title], *section.blocks)) if section.title in notes else section
        for section in sections
    ]
    first, last = ([Section(title, tuple(notes[title]))] if notes.get(title) else [] for title in (FIRST, LAST))
    return (*first, *found, *last)


def _read(file: Path, titles: Sequence[str]) -> dict[str, list[Block]]:
    """Return the paragraphs of each section, by its title."""
    known = {title.casefold(): title for title in (FIRST, *titles, LAST)} | {"conclusion": LAST}
    notes: dict[str, list[Block]] = {}
    title, lines = FIRST, list[str]()
    for number, line in enumerate([*files.read_text(file, limits.YAML_BYTES).splitlines(), ""], start=1):
        heading = HEADING.fullmatch(line.strip())
        if heading or not line.strip() or re.match(r"\s*[-*+]\s", line):
            _add(notes, title, lines)
        if heading:
            title = known.get(heading[1].casefold(), "")
            if not title:
                has = list(dict.fromkeys(known.values()))
                raise UserError(
                    f"{file}, line {number}: the report has no section {echoed(heading[1])!r}"
                    f"{did_you_mean(heading[1], has) or ';'} it has: {listing(has)}"
                )
        elif line.strip():
            lines.append(re.sub(r"^[-*+]\s+", "• ", line.strip()))
    _add(notes, title, lines)
    return notes


def _add(notes: dict[str, list[Block]], title: str, lines: list[str]) -> None:
    """Add the paragraph that the lines are, and begin the next one."""
    if lines:
        notes.setdefault(title, []).append(Words(" ".join(lines)))
        lines.clear()

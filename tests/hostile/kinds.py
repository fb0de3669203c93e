"""The kinds of hostile input, each with the file that makes its cases, and how many of a campaign's cases it has."""

import importlib
from random import Random

from tests.hostile.case import Case, World

KINDS = {
    "run": ("run_folders", 32),
    "study-folder": ("study_folders", 13),
    "experiment": ("experiments", 10),
    "study": ("studies", 7),
    "contract": ("contracts", 6),
    "rules": ("rules", 6),
    "class-list": ("class_lists", 4),
    "workbook": ("workbooks", 9),
    "picture": ("pictures", 8),
    "dataset": ("datasets", 7),
}


def load() -> None:
    """Import what makes the cases."""
    for module, _ in KINDS.values():
        importlib.import_module(f"tests.hostile.{module}")


def make(world: World, kind: str, random: Random) -> Case:
    """Build a case in its world and return it."""
    return importlib.import_module(f"tests.hostile.{KINDS[kind][0]}").make(world, random)


def shares(cases: int, chosen: list[str]) -> list[tuple[str, int]]:
    """Return (kind, number) for so many cases, of each kind as many as its weight says, well mixed."""
    total = sum(KINDS[kind][1] for kind in chosen)
    counts = {kind: max(1, round(cases * KINDS[kind][1] / total)) for kind in chosen}
    counts[chosen[0]] += max(0, cases - sum(counts.values()))
    listed = [((number + 0.5) / count, kind, number) for kind, count in counts.items() for number in range(count)]
    return [(kind, number) for _, kind, number in sorted(listed)][:cases]

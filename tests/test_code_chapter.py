"""docs/code.md names only what is there."""

import re
from pathlib import Path

import pytest

from classlab import lookup

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/code.md").read_text(encoding="utf-8")
EXAMPLES = {"even_digits.py", "mine.py"}
PATHS = sorted(set(re.findall(r"`([\w/.-]+(?:\.py|\.md|/))`", TEXT)) - EXAMPLES)


def exists(path: str) -> bool:
    """Say whether a path lies in the package, in the repository, or in the folder of the datasets."""
    places = (ROOT / "classlab", ROOT, ROOT / "classlab/data/sources")
    return "NAME" in path or any((place / path).exists() for place in places)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_there(path):
    assert exists(path)


@pytest.mark.parametrize("kind", [*lookup.FOLDERS, *lookup.MODULES])
def test_every_kind_of_thing_that_can_be_added_is_named(kind):
    assert kind in TEXT

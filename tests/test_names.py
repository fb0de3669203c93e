"""Names: each file's name stands once in the package, and no name is a word that could mean anything."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "classlab"
FILES = sorted(PACKAGE.rglob("*.py"))
# English has these words for whatever was spoken of last, so they say nothing of the thing that they name.
EMPTY_WORDS = {"one", "told", "of", "own", "shown"}
# Keys of files that readers write: a decision's table is `of` a quantity (rules of an assignment), a published figure
# is `of` a run (a report's YAML).
KEYS_OF_FILES = {
    "course/rules.py": {"of"},
    "course/derive.py": {"of"},
    "report/spec.py": {"of"},
    "report/curve_figures.py": {"of"},
    "report/blocks/sound_accuracy.py": {"of"},
    "reproduction/chance.py": {"of"},
    "reproduction/figures.py": {"of"},
    "reproduction/findings.py": {"of"},
    "reproduction/measures.py": {"of"},
    "reproduction/pooled.py": {"of"},
    "reproduction/reproduced_files.py": {"of"},
    "reproduction/verdicts.py": {"of"},
}


def names_in(file: Path) -> Iterator[tuple[str, int]]:
    """Yield every name of a variable, parameter, attribute, function or class that a file uses, with its line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.alias(name=name, asname=other):
                yield other or name, node.lineno


def empty_names(file: Path) -> list[str]:
    """Return the places of a file where a name is one of the words, with or without underscores around it."""
    words = EMPTY_WORDS - KEYS_OF_FILES.get(file.relative_to(PACKAGE).as_posix(), set())
    return [f"{file}:{line}: {name}" for name, line in names_in(file) if name.strip("_") in words]


def room_of(file: Path) -> str:
    """Return the room that a file lies in, or its own name where it lies at the top of the package."""
    return file.relative_to(PACKAGE).parts[0]


ROOMS = sorted({room_of(file) for file in FILES})


def test_each_file_name_stands_once_in_the_package():
    counts = Counter(file.name for file in FILES if file.name != "__init__.py")
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_name_says_what_it_is(room):
    assert [place for file in FILES if room_of(file) == room for place in empty_names(file)] == []


def test_the_check_sees_every_kind_of_name(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    file = tmp_path / "module.py"
    file.write_text(
        "from text import shown\n\n\ndef _told(own, *, other=None):\n    thing.of = [one for one in own]\n"
        "    return call(told=1)\n\n\nclass Given:\n    of: str\n"
    )
    found = {place.rpartition(" ")[2] for place in empty_names(file)}
    assert found == {"shown", "_told", "own", "of", "one", "told"}

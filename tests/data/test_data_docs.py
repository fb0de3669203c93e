"""docs/data.md says what is so."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from classlab import lookup

CHAPTER = Path(__file__).parents[2] / "docs/data.md"
TEXT = CHAPTER.read_text(encoding="utf-8")


def options(kind, name):
    given = inspect.signature(lookup.find(kind, name)).parameters
    return [option for option in given if option not in lookup.HANDED_OVER[kind]]


@pytest.mark.parametrize("name", lookup.names("augmentation"))
def test_every_augmentation_and_its_options_are_named(name):
    (row,) = (line for line in TEXT.splitlines() if f"`{name}`" in line.split(" | ")[0])
    named = row.split("|")[2].partition(":")[0]
    assert re.findall(r"\w+", re.sub(r"\(.*?\)", "", named)) == options("augmentation", name)


@pytest.mark.parametrize("name", [name for name in lookup.names("dataset") if name not in {"folder", "npz"}])
def test_every_dataset_s_numbers_are_its_file_s(name):
    module = sys.modules[lookup.find("dataset", name).__module__]
    (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| `{name}`"))
    assert f"{module.SIZES['train']:,} + {module.SIZES['test']:,}" in row
    assert " × ".join(map(str, module.SHAPE)) in row
    assert " ".join(f"{value:.4f}" for value in module.MEAN) in row
    assert " ".join(f"{value:.4f}" for value in module.STD) in row


def test_every_option_of_a_folder_is_named():
    for option in options("dataset", "folder"):
        assert f"`{option}`" in TEXT or f"{option}: " in TEXT

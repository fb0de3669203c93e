"""docs/experiments.md names every key, name and option that an experiment takes, and its examples run."""

import re
from pathlib import Path

import pytest

from classlab import lookup
from classlab.experiment import Protocol, Training

CHAPTER = Path(__file__).parents[1] / "docs/experiments.md"
TEXT = CHAPTER.read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("section", [Training, Protocol])
def test_every_key_is_named_with_its_default(section):
    rows = {name: default for first, default, *_ in ROWS for name in re.findall(r"`(\w+)`", first)}
    for name, field in section.model_fields.items():
        default = getattr(field.default, "name", field.default)
        if not field.is_required() and default is not None:
            assert rows[name].startswith(f"`{str(default).lower()}`"), name
        assert name in rows


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ("loss", "optimizer", "schedule") for name in lookup.names(kind)]
)
def test_every_name_has_a_row_with_its_options(kind, name):
    options = list(lookup.options_model(kind, lookup.find(kind, name)).model_fields)
    assert [f"`{name}`", ", ".join(options)] in [row[:2] for row in ROWS]


def test_what_is_handed_over_to_the_reader_s_own_is_named():
    table = TEXT.partition("| own |")[2]
    for kind in ("loss", "optimizer", "schedule", "initialisation"):
        (row,) = (line for line in table.splitlines() if line.startswith(f"| {kind} | "))
        assert set(lookup.HANDED_OVER[kind]) <= set(re.findall(r"\w+", row.split("|")[2])), kind

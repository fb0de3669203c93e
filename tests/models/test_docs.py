"""The chapter on networks: its examples run, and it names what is shipped."""

import re
from pathlib import Path

from classlab import lookup
from classlab.experiment import load

CHAPTER = Path(__file__).parents[2] / "docs/models.md"


def test_every_model_and_its_options_are_named():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", CHAPTER.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(rows) == set(lookup.names("model"))
    for name, named in rows.items():
        options = lookup.options_model("model", lookup.find("model", name)).model_fields
        assert [re.sub(r" \(.*?\)", "", option) for option in re.split(r", (?![^(]*\))", named.strip())] == list(
            options
        )


def test_every_initialisation_and_experiment_of_the_reports_is_named():
    text = CHAPTER.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in lookup.names("initialisation"))
    table = re.findall(r"^\| ([a-z0-9, -]+) \| [\d,]+", text, re.MULTILINE)
    named = [name for row in table for name in row.split(", ")]
    assert len(named) == 12 and all(load(name).name == name for name in named)

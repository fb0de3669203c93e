"""Space: all the variants that a search may try, checked on its experiment before anything trains."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classlab import experiment as experiments
from classlab.errors import UserError
from classlab.study.search import DIGITS, Search, whole_numbers
from classlab.yaml_text import value_at, value_text

# A variant as a sampler knows it: each setting's number, or the place of its value among the choices.
Point = dict[str, float]


@dataclass(frozen=True)
class Space:
    """The settings of a search, and for each choice of a setting what the experiment makes of it, as text."""

    search: Search
    resolved: Mapping[str, Sequence[str]]

    @property
    def size(self) -> int | None:
        """How many variants there are, None where a setting is a fraction."""
        counts = [_count(setting) for setting in self.search.settings.values()]
        return None if None in counts else math.prod(count for count in counts if count)

    def values(self, point: Point) -> dict[str, Any]:
        """Return the settings of a point, dotted key to value."""
        found: dict[str, Any] = {}
        for key, setting in self.search.settings.items():
            place = point[key]
            found[key] = setting["choices"][int(place)] if "choices" in setting else place
        return found

    def point(self, document: Mapping[str, Any]) -> Point | None:
        """Return where an experiment lies, None where the search would not find it. document: resolved."""
        found: Point = {}
        for key, setting in self.search.settings.items():
            value = value_at(document, key)
            if "choices" in setting:
                text = _text(value)
                if text not in self.resolved[key]:
                    return None
                found[key] = self.resolved[key].index(text)
            elif not _is_number(value) or not setting["from"] <= value <= setting["to"]:
                return None
            else:
                found[key] = value
        return found

    def corners(self) -> dict[str, Point]:
        """Return the points at which every setting is at its least, and at its most: the first and the last choice."""
        settings = self.search.settings.items()
        ends = {"every setting at its least": 0, "every setting at its most": -1}
        return {
            name: {
                key: range(len(setting["choices"]))[end] if "choices" in setting else setting[("from", "to")[end]]
                for key, setting in settings
            }
            for name, end in ends.items()
        }

    def every(self) -> list[Point]:
        """Return every point of a space that has a size, in the order of the file."""
        ranges = [
            range(len(setting["choices"])) if "choices" in setting else range(setting["from"], setting["to"] + 1)
            for setting in self.search.settings.values()
        ]
        return [dict(zip(self.search.settings, places, strict=True)) for places in itertools.product(*ranges)]


def space(search: Search, base: Mapping[str, Any], changes: Mapping[str, Any], pairs: bool = False) -> Space:
    """Return the space of a search. base: the experiment that it starts from; changes: what its study sets.

    pairs: whether every two values of two settings are tried together, as is done before a search begins.
    Raises UserError where a setting is none of the experiment's, takes other values, or two contradict each other.
    """
    resolved: dict[str, list[str]] = {}
    tried: dict[str, list[Any]] = {}
    for key, setting in search.settings.items():
        if key in changes:
            raise UserError(f"sweep.search.{key} is set by the study too; leave it out of one of them")
        tried[key] = setting["choices"] if "choices" in setting else [setting["from"], setting["to"]]
        documents = [_document(base, changes, {key: value}) for value in tried[key]]
        resolved[key] = [_text(value_at(document, key)) for document in documents]
        twice = next((text for text in resolved[key] if resolved[key].count(text) > 1), None)
        if twice is not None:
            raise UserError(f"sweep.search.{key}: two of its values mean the same, {twice}; leave one out")
        if "choices" not in setting and whole_numbers(setting) and _takes_fractions(base, changes, key, setting):
            raise UserError(
                f"sweep.search.{key} takes fractions too, and from {setting['from']} to {setting['to']} only whole "
                f"numbers are tried; write {setting['from']}.0 and {setting['to']}.0, or choices: […] for whole ones"
            )
    for (first, values), (second, others) in itertools.combinations(tried.items(), 2) if pairs else ():
        for value, other in itertools.product(values, others):
            _document(base, changes, {first: value, second: other})
    return Space(search, resolved)


def _document(base: Mapping[str, Any], changes: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return experiments.load(base, changes={**changes, **point}).model_dump(mode="json")
    except UserError as error:
        where = " with ".join(f"{key} = {value_text(value)}" for key, value in point.items())
        raise UserError(f"sweep.search, {where}: {error}") from None


def _takes_fractions(base: Mapping[str, Any], changes: Mapping[str, Any], key: str, setting: Mapping[str, Any]) -> bool:
    try:
        experiments.load(base, changes={**changes, key: setting["from"] + 0.5})
    except UserError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(setting: Mapping[str, Any]) -> int | None:
    if "choices" in setting:
        return len(setting["choices"])
    return setting["to"] - setting["from"] + 1 if whole_numbers(setting) else None


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def rounded(value: float, setting: Mapping[str, Any]) -> float:
    """Return a proposed number as it is trained: whole where the range is, else of four digits and inside the range."""
    if whole_numbers(setting):
        return int(value)
    return min(max(float(f"{value:.{DIGITS}g}"), setting["from"]), setting["to"])

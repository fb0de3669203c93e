"""Somebody else's folder may name code of theirs. A command that opens one runs it only when told to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from classlab.errors import UserError, listing

CHOICES = ("name", "dataset", "augmentations", "expansion", "model", "loss", "optimizer", "schedule", "initialise")
FILES = {"contract": "contract", "experiment": "experiment"}  # key -> the kind of file that a string there means


def refuse_foreign_code(experiment_file: Path, trust: bool) -> None:
    """Raise UserError where the experiment takes code from a file or a module, unless `trust` allows it.

    The file is only read here; an Experiment made of it would already run that code.
    """
    from classlab.experiment import read_yaml

    waiting, seen = [] if trust else [experiment_file], set[Path]()
    while waiting:  # an experiment, the one of the run whose encoder it takes, and so on
        file = waiting.pop()
        if file.resolve() in seen or not file.is_file():
            continue
        seen.add(file.resolve())
        document = read_yaml(file)
        _refuse_one(file, document)
        waiting += [Path(run) / "experiment.yaml" for run in _encoders(document)]


def _refuse_one(file: Path, document: Any) -> None:
    foreign = sorted(set(_foreign(document)))
    if foreign:
        raise UserError(
            f"{file} takes code from {listing(foreign)}; opening it runs that code, "
            "which is refused unless --trust is given"
        )
    others = sorted(set(_files(document)))
    if others:
        raise UserError(
            f"{file} takes a part of itself from {listing(others)}, which may name code; what a run leaves "
            "holds all of its parts, so this is refused unless --trust is given"
        )


def _foreign(document: Any) -> Iterator[str]:
    """Yield every name of code outside classlab: `{name: file.py:build}`, or the bare string where that is allowed."""
    for key, text in _texts(document):
        if ":" in text and not {*key.split(".")}.isdisjoint(CHOICES):
            yield text


def _files(document: Any) -> Iterator[str]:
    """Yield every file that the document would be read on in; a shipped name is none."""
    from classlab import lookup

    for key, text in _texts(document):
        kind = FILES.get(key.split(".")[-1])
        if kind and text not in lookup.names(kind):
            yield text


def _encoders(document: Any) -> Iterator[str]:
    """Yield the folders of the runs whose encoders are taken."""
    return (text for key, text in _texts(document) if key.split(".")[-1] == "encoder")


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with the key that it stands under; in a list that is the list's."""
    if isinstance(value, dict):
        for inner, part in value.items():
            yield from _texts(part, str(inner))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, key)
    elif isinstance(value, str):
        yield key, value

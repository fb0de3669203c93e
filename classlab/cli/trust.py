"""Somebody else's folder may name code of theirs. A command that opens one runs it only when told to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from classlab.errors import UserError, listing

CHOICES = ("dataset", "augmentations", "model", "loss", "optimizer", "schedule", "initialise")


def refuse_foreign_code(experiment_file: Path, trust: bool) -> None:
    """Raise UserError where the experiment takes code from a file or a module, unless `trust` allows it.

    The file is only read here; an Experiment made of it would already run that code.
    """
    from classlab.experiment import read_yaml

    if trust or not experiment_file.is_file():
        return
    foreign = sorted(set(_foreign(read_yaml(experiment_file))))
    if foreign:
        raise UserError(
            f"{experiment_file} takes code from {listing(foreign)}; opening it runs that code, "
            "which is refused unless --trust is given"
        )


def _foreign(value: Any, key: str = "") -> Iterator[str]:
    """Yield every name of code outside classlab: `{name: file.py:build}`, or the bare string where that is allowed."""
    if isinstance(value, dict):
        for inner, part in value.items():
            yield from _foreign(part, str(inner))
    elif isinstance(value, list):
        for part in value:
            yield from _foreign(part, key)
    elif isinstance(value, str) and ":" in value and key.split(".")[-1] in ("name", *CHOICES):
        yield value

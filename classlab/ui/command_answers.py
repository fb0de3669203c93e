"""What the child process answers to the command builder: a form made from the schema, and the command that it means.

Nothing is started. Wrong values are answered by the very sentences that the command would print.
"""

import functools
import json
import shlex
from collections.abc import Mapping
from typing import Any

from classlab import experiment as experiments
from classlab import lookup
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.study.sweep import flat
from classlab.ui import opening

MOST_SETTINGS = 200
MOST_LETTERS = 2_000  # of a value
CHOICES = {
    "data.dataset": "dataset", "model": "model", "training.loss": "loss", "training.optimizer": "optimizer",
    "training.schedule": "schedule", "training.initialise": "initialisation",
}  # fmt: skip


def form(experiment: str) -> dict[str, Any]:
    """Return an experiment's settings for a form: key, value, meaning, and what it may be where that is a list."""
    loaded = _shipped(experiment)
    schema = _schema()
    fields = []
    for key, value in flat(loaded.model_dump(mode="json")).items():
        if key in ("name", "description"):
            continue
        about = _about(schema, key)
        fields.append(
            {
                "key": key,
                "value": value if isinstance(value, str) else json.dumps(value),
                "words": about.get("description", ""),
                "allowed": _allowed(key, about),
            }
        )
    return {"description": loaded.description, "fields": fields}


def _shipped(experiment: str) -> Experiment:
    """Return a shipped experiment. A path is none: no file is read because a page named it."""
    return experiments.load(lookup.path("experiment", experiment))


@functools.cache
def _schema() -> dict[str, Any]:
    return experiments.schema()


def _about(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return what the schema says of a dotted key; nothing of an option of a choice, which its function states."""
    place: Any = schema
    for step in key.split("."):
        place = _resolved(schema, place).get("properties", {}).get(step)
        if place is None:
            return {}
    return place


def _resolved(schema: Mapping[str, Any], place: Mapping[str, Any]) -> Mapping[str, Any]:
    for part in (place, *place.get("anyOf", ()), *place.get("allOf", ())):
        if "$ref" in part:
            return schema["$defs"][part["$ref"].rpartition("/")[2]]
    return place


def _allowed(key: str, about: Mapping[str, Any]) -> list[str]:
    if key.removesuffix(".name") in CHOICES and key.endswith(".name"):
        return list(lookup.names(CHOICES[key.removesuffix(".name")]))
    values = [value for part in (about, *about.get("anyOf", ())) for value in part.get("enum", ())]
    if about.get("type") == "boolean" or any(part.get("type") == "boolean" for part in about.get("anyOf", ())):
        values += ["true", "false"]
    return [str(value) for value in values]


def command(
    experiment: str, settings: Mapping[str, str], seeds: int = 1, first_seed: int = 0, report: bool = False
) -> dict[str, Any]:
    """Return the command that trains an experiment with some settings changed; several seeds are a study.

    settings: dotted key -> the text that would stand after --set key=. Raises UserError with the command's sentence.
    """
    if len(settings) > MOST_SETTINGS or any(len(f"{key}{value}") > MOST_LETTERS for key, value in settings.items()):
        raise UserError(f"at most {MOST_SETTINGS} settings are changed, each within {MOST_LETTERS:,} letters")
    if not (1 <= seeds <= 10_000 and 0 <= first_seed <= 10**15):
        raise UserError(f"seeds must be 1 to 10,000 from a whole number; got {seeds} from {first_seed}")
    overrides = [f"{key}={value}" for key, value in settings.items()]
    for key, value in settings.items():
        if key.strip() == "contract":
            opening.refuse_other_files({"contract": value.strip()}, "--set contract")
    loaded = experiments.load(lookup.path("experiment", experiment), overrides)
    changes = [part for override in overrides for part in ("--set", override)]
    if seeds == 1:
        words = ["classlab", "run", experiment, "--seed", str(first_seed), *changes, *(["--report"] if report else [])]
        return {"commands": [shlex.join(words)], "sentence": f"{loaded.name}, seed {first_seed}: one run"}
    commands = [
        shlex.join(["classlab", "run", experiment, "--seed", str(seed), *changes])
        for seed in range(first_seed, first_seed + min(seeds, 20))
    ]
    return {"commands": commands, "sentence": f"{loaded.name}, {seeds} seeds from {first_seed}: one command each"}

"""task.yaml: what a program needs of a student's task: its code and seed, and each experiment's digest and contract.

It is in the task's folder and in the hand-in. A teacher's grading believes nothing in it but the code, by which the
student is found; what was asked is derived again from the class list.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field

from classlab import experiment as experiments
from classlab import limits
from classlab.course.derive import Task
from classlab.course.rules import Name, Rules
from classlab.errors import UserError
from classlab.experiment import Contract
from classlab.validation import NAME, Section, sentence
from classlab.yaml_text import read_yaml, to_yaml, value_text

FILE = "task.yaml"
SEEDS = 10**9


class AskedRun(Section):
    """One run that a task asks for: the digest of its experiment, and the contract that it is compared with."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    contract: Contract = Contract()


class TaskFile(Section):
    """What a task asks, without a word about the student but the code."""

    rules: Annotated[str, Field(pattern=NAME)]
    task: Annotated[str, Field(pattern=r"^[0-9a-f]{10}$")]
    seed: Annotated[int, Field(ge=0, le=limits.SEED)]
    keep_epochs: bool = False
    runs: Annotated[dict[Name, AskedRun], Field(min_length=1)]

    def to_yaml(self) -> str:
        """Return the file's text, without what is left at its default."""
        return to_yaml(self.model_dump(mode="json", exclude_defaults=True))


def seed_of(rules: Rules, code: str) -> int:
    """Return the seed that a student trains with: of their own where the rules say so, else 0."""
    if not rules.seeds_differ:
        return 0
    return int.from_bytes(hashlib.sha256(f"seed/{code}".encode()).digest()[:8], "big") % SEEDS


def of_task(name: str, rules: Rules, task: Task, code: str) -> TaskFile:
    """Return what the task of this code asks. name: of the rules. No code that an experiment names is run."""
    runs = {}
    for experiment, fields in task.experiments.items():
        contract = Contract(**task.contracts.get(experiment, {}))
        digest = experiments.digest(whole(name, rules, experiment, fields, code))
        runs[experiment] = AskedRun(digest=digest, contract=contract)
    return TaskFile(rules=name, task=code, seed=seed_of(rules, code), keep_epochs=rules.keep_epochs, runs=runs)


def whole(name: str, rules: Rules, experiment: str, fields: dict[str, Any], code: str) -> dict[str, Any]:
    """Return the fields of a student's experiment, its name and what the rules ask of every run among them."""
    made = {"name": f"{name}-{experiment}-{code}", **fields}
    if rules.keep_epochs and isinstance(made.get("training"), dict):
        made["training"] = {**made["training"], "keep_epochs": True}
    return made


def read(file: Path) -> TaskFile:
    """Read a task.yaml, or the one in a task's folder. Raises UserError."""
    if file.is_dir():
        file = file / FILE
    fields = read_yaml(file)
    if not isinstance(fields, dict) or "task" not in fields:
        raise UserError(f"{file} must be the {FILE} that classlab assign wrote; got {value_text(fields)}")
    try:
        return TaskFile(**{str(key): value for key, value in fields.items()})
    except pydantic.ValidationError as error:
        raise UserError(f"{file}: {sentence(error, TaskFile, FILE)}") from None

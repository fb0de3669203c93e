"""What a report published: its runs and its parts with every figure and its source, as data, from a YAML file."""

import functools
import json
import math
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field

from classlab import experiment as experiments
from classlab import lookup, own_code
from classlab.course import rules
from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import NAME, Experiment
from classlab.lesson import small_network
from classlab.report import spec
from classlab.report.spec import Spec, Strict
from classlab.reproduction import measures
from classlab.yaml_text import read_yaml, value_text


class Trained(Strict):
    """A run of the report: an experiment, what is changed in it, how many seeds, and what --quick changes.

    experiment: a shipped one's name, or a YAML file beside the report's. starts_from: the run whose weights it
    starts from; which of its layers, and whether they are frozen, stands in training.start_from.
    """

    experiment: str
    set: dict[str, Any] = Field(default_factory=dict)
    seeds: Annotated[int, Field(ge=1)] = 1
    quick: dict[str, Any] = Field(default_factory=dict)
    starts_from: str | None = None
    _trust: bool = False  # whether code of the reader's own that the experiment names may run

    def resolve(self, quick: bool = False, **more: Any) -> Experiment:
        """Return the experiment; one that starts from another run does so where `more` names that run's folder.

        more: further changes, dotted keys with __ for the dots.
        """
        if self.starts_from and "training__start_from__run" not in more:
            more = {**more, "training__start_from": None}
        changes = {
            **self.set,
            **(self.quick if quick else {}),
            **{key.replace("__", "."): v for key, v in more.items()},
        }
        overrides = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changes.items()]
        return experiments.load(self.experiment, overrides, trust=self._trust)


class Published(Spec):
    """A report: what it asked, what it trained, and its parts in their order.

    number: its place among the shipped reports.
    """

    name: Annotated[str, Field(pattern=NAME)]
    title: str
    question: str
    number: int | None = None
    runs: dict[str, Trained]
    _file: Path | None = None

    @property
    def source(self) -> str:
        """What names the report from any folder: the shipped name, or the file of the reader's own."""
        return str(self._file.resolve()) if self._file else self.name

    @property
    def trusted(self) -> bool:
        """Whether code of the reader's own that it names may run: it is a file that the reader named."""
        return self._file is not None

    @pydantic.model_validator(mode="after")
    def _check_names(self) -> "Published":
        known = [*self.runs, "lesson"]
        used = {name for part in self.parts for name in part.names}
        used |= {run.starts_from for run in self.runs.values() if run.starts_from}
        for name in sorted(used - {*known}):
            raise ValueError(
                f"no run is named {value_text(name)}{did_you_mean(name, known) or ';'} there are {listing(known)}"
            )
        for name in self.runs:
            seen, first = {name}, self.runs[name].starts_from
            while first is not None:
                if first in seen:
                    raise ValueError(f"the run {value_text(name)} starts from a run that starts from it")
                seen.add(first)
                first = self.runs[first].starts_from
        return self


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the shipped reports, in the order of their numbers."""
    numbers = {name: read_yaml(lookup.path("report", name)).get("number") for name in lookup.names("report")}
    return tuple(sorted(numbers, key=lambda name: (numbers[name] or math.inf, name)))


def load(source: str | Path) -> Published:
    """Return what a report published. source: a shipped name, or the YAML file of the reader's own report.

    A file that the reader names is trusted, as that of `classlab run`. What it names is looked for beside it: the
    experiments, and files with blocks. Raises UserError for what is not a report, before anything is trained.
    """
    file = experiments.find_file("report", source)
    report: Published = spec.read(file, Published)
    if file.parent != lookup.HOME / lookup.FILES["report"]:
        report = _of_the_reader(report, file)
    try:
        _check(report)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    return report


def _of_the_reader(report: Published, file: Path) -> Published:
    """Return the report with the paths of what lies beside its file, and trusted."""
    runs = {
        name: run.model_copy(update={"experiment": _beside(run.experiment, file)}) for name, run in report.runs.items()
    }
    parts = tuple(
        part.model_copy(update={"blocks": tuple(_code_beside(name, file) for name in part.blocks)})
        for part in report.parts
    )
    report = report.model_copy(update={"runs": runs, "parts": parts})
    report._file = file
    for run in runs.values():
        run._trust = True
    return report


def _beside(experiment: str, file: Path) -> str:
    path = file.parent / experiment
    return str(path) if Path(experiment).suffix in {".yaml", ".yml"} and experiments.is_there(path) else experiment


def _code_beside(block: str, file: Path) -> str:
    source, colon, name = block.rpartition(":")
    path = file.parent / source
    return f"{path}{colon}{name}" if source.endswith(".py") and experiments.is_there(path) else block


def _check(report: Published) -> None:
    """Raise UserError for what could only be found out after the runs are trained."""
    used = {name for part in report.parts for name in part.names} | {run.starts_from for run in report.runs.values()}
    idle = [name for name in report.runs if name not in used]
    if idle:
        raise UserError(f"no part names the run {value_text(idle[0])}, so training it would be useless")
    for part in report.parts:
        if part.lesson is not None and part.lesson not in small_network.LIKE:
            hint = did_you_mean(part.lesson, small_network.LIKE) or ";"
            raise UserError(
                f"there is no lesson {value_text(part.lesson)}{hint} there are {listing(small_network.LIKE)}"
            )
        if part.assignment is not None:
            rules.load(part.assignment.name)
        for value in part.values:
            measures.check(value, part)
    with own_code.trusting(report.trusted):
        for name in {name for part in report.parts for name in part.blocks if own_code.is_own_code(name)}:
            lookup.find("block", name)

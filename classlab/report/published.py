"""What the reports published: every figure with its source, as data, in the report's own order of sections."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from classlab import experiment as experiments
from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import Experiment
from classlab.yaml_text import read_yaml, value_text

HOME = Path(__file__).parent / "published"

# What a published figure claims. value: one run's measurement, judged by the prediction interval of one more run;
# exact: the same on every machine; at_least, at_most: a limit; difference: the first run less the second; similar: that
# two cannot be told apart; holds: a statement that the numbers bear out or not; machine: a time, told and not judged.
Claim = Literal["value", "exact", "at_least", "at_most", "difference", "similar", "holds", "machine"]
# report: the report itself; repo: its original repository; inferred: it follows from a figure; ours: our choice.
Source = Literal["report", "repo", "inferred", "ours"]
SOURCES = {
    "report": "the report",
    "repo": "its repository",
    "inferred": "inferred from a figure",
    "ours": "our choice",
}


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Value(_Strict):
    """One published figure. A pair is a range. of: the run measured, or the two that are compared.

    epoch: a number, or first, best, last or selected (the epoch whose weights are the result); None for what has none.
    each_epoch: one figure an epoch instead of one. reading sound: the protocol did not choose it by looking at the test
    images. missed: the report says itself that it missed this limit.
    """

    what: str
    of: str | tuple[str, str]
    metric: str
    source: Source
    epoch: Annotated[int, Field(ge=1)] | Literal["first", "best", "last", "selected"] | None = None
    claim: Claim = "value"
    published: float | tuple[float, float] | None = None
    published_percent: float | tuple[float, float] | None = None
    each_epoch: tuple[float, ...] | None = None
    each_epoch_percent: tuple[float, ...] | None = None
    digits: Annotated[int, Field(ge=0, le=6)] | None = None
    reading: Literal["as published", "sound"] = "as published"
    note: str = ""
    missed: bool = False

    @pydantic.model_validator(mode="after")
    def _check(self) -> "Value":
        given = (self.published, self.published_percent, self.each_epoch, self.each_epoch_percent)
        wanted = 0 if self.claim in ("similar", "holds") else 1
        if sum(value is not None for value in given) != wanted:
            raise ValueError(f"{self.what}: exactly {wanted} published figure is needed")
        return self

    @property
    def is_percent(self) -> bool:
        """Whether the figure is a share, told in per cent."""
        return self.published_percent is not None or self.each_epoch_percent is not None

    @property
    def in_points(self) -> bool:
        """Whether it is a difference of shares, and so told in points."""
        return self.claim in ("difference", "similar") or self.metric.startswith("spread")

    @property
    def decimals(self) -> int:
        """With how many decimals the report prints it."""
        if self.digits is not None:
            return self.digits
        return 0 if self.claim in ("exact", "machine") else 2 if self.is_percent else 4

    def ends(self) -> tuple[float, float]:
        """Return the lowest and the highest number that the printed figure stands for, fractions for per cents.

        A figure printed with d decimals stands for half a unit of the last one either way; a range for what it spans.
        """
        given = self.published_percent if self.is_percent else self.published
        assert given is not None
        low, high = given if isinstance(given, tuple) else (given, given)
        half = 0.5 * 10.0**-self.decimals
        scale = 0.01 if self.is_percent else 1.0
        return (low - half) * scale, (high + half) * scale

    def epochs(self) -> "list[Value]":
        """Return one value for each epoch where it holds several, else itself."""
        key = "each_epoch_percent" if self.is_percent else "each_epoch"
        figures = getattr(self, key, None)
        if figures is None:
            return [self]
        into = key.replace("each_epoch", "published")
        return [
            self.model_copy(update={key: None, into: figure, "epoch": number})
            for number, figure in enumerate(figures, 1)
        ]


class Trained(_Strict):
    """A run of the report: an experiment, what is changed in it, how many seeds, and what --quick changes."""

    experiment: str
    set: dict[str, Any] = {}
    seeds: Annotated[int, Field(ge=1)] = 1
    quick: dict[str, Any] = {}
    encoder: str | None = Field(default=None, description="the run whose encoder it starts from")

    def resolve(self, quick: bool = False, **more: Any) -> Experiment:
        """Return the experiment. more: further changes, dotted keys with __ for the dots."""
        changes = {
            **self.set,
            **(self.quick if quick else {}),
            **{key.replace("__", "."): v for key, v in more.items()},
        }
        return experiments.load(
            self.experiment, [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changes.items()]
        )


class Assigned(_Strict):
    """A task derived from a student's details."""

    name: str
    details: dict[str, str]


class Part(_Strict):
    """A section of the report: the runs it tells of, its figures, and the pictures that it shows."""

    title: str
    runs: tuple[str, ...] = ()
    lesson: str | None = None
    assignment: Assigned | None = None
    values: tuple[Value, ...] = ()
    pictures: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    fields: dict[str, int] = {}


class Published(_Strict):
    """A report: what it asked, what it trained, and its sections in their order."""

    name: str
    title: str
    question: str
    runs: dict[str, Trained]
    parts: tuple[Part, ...]

    @pydantic.model_validator(mode="after")
    def _check_names(self) -> "Published":
        known = {*self.runs, "lesson"}
        used = {name for part in self.parts for name in part.runs}
        used |= {
            name for part in self.parts for v in part.values for name in ([v.of] if isinstance(v.of, str) else v.of)
        }
        used |= {run.encoder for run in self.runs.values() if run.encoder}
        if used - known:
            raise ValueError(f"no run is named {listing(sorted(used - known))}")
        return self


def names() -> list[str]:
    """Return the names of the reports, in their order."""
    order = ["era-s6", "eva7-s4", "prml-pa6", "dl-minor-1", "cifar-hw3"]
    found = [file.stem for file in sorted(HOME.glob("*.yaml"))]
    return [*(name for name in order if name in found), *(name for name in found if name not in order)]


def load(name: str) -> Published:
    """Return what a report published. Raises UserError for a name that none has."""
    file = HOME / f"{name}.yaml"
    if name not in names():
        raise UserError(
            f"there is no report {value_text(name)}{did_you_mean(name, names()) or ';'} there are {listing(names())}"
        )
    return Published(**read_yaml(file))

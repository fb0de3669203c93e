"""What a report holds, as plain data: its parts in order, each a title and the names of the blocks that stand in it.

There is one kind of part for the report of a run (run.yaml), of a study (study.yaml) and of a course
(classlab/reports/). Only a course's parts say which runs they tell of, and what was published of them.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from classlab import lookup, own_code
from classlab.errors import UserError, did_you_mean, listing
from classlab.validation import Section, sentence
from classlab.yaml_text import read_yaml, value_text

HOME = Path(__file__).parent

# What a published figure claims. value: one run's measurement, judged by the prediction interval of one more run;
# exact: the same on every machine; at_least, at_most: a limit; difference: the first run less the second; similar: that
# two cannot be told apart; holds: a statement that the numbers bear out or not; machine: a time, shown and not judged.
Claim = Literal["value", "exact", "at_least", "at_most", "difference", "similar", "holds", "machine"]
# report: the report itself; repo: its original repository; inferred: it follows from a figure; ours: our choice.
Source = Literal["report", "repo", "inferred", "ours"]


class Strict(Section):
    """A group of settings as in an experiment; a list may also come as a tuple, from Python."""

    model_config = pydantic.ConfigDict(strict=False)


class Value(Strict):
    """One published figure. A pair is a range. of: the run measured, or the two that are compared.

    epoch: a number, or first, best, last or selected (the epoch whose weights are the result); None for what has none.
    each_epoch: one figure an epoch instead of one. reading sound: the protocol did not choose it by looking at the test
    images. missed: the report says itself that it missed this limit. times: a numerator and a denominator; the report
    multiplied what it measured by their quotient, by a slip, and so is what is measured here. cause: why it does not
    hold, a sentence that is shown where it does not.
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
    cause: str = ""
    times: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None

    @property
    def factor(self) -> float:
        """What the report multiplied its measurement by."""
        return self.times[0] / self.times[1] if self.times else 1.0

    @pydantic.model_validator(mode="after")
    def _check(self) -> "Value":
        given = (self.published, self.published_percent, self.each_epoch, self.each_epoch_percent)
        wanted = 0 if self.claim in ("similar", "holds") else 1
        if sum(value is not None for value in given) != wanted:
            raise ValueError(f"{self.what}: exactly {wanted} published figure is needed")
        pair = not isinstance(self.of, str)
        if pair != (self.claim in ("difference", "similar")):
            raise ValueError(
                f"{self.what}: a difference and what is similar are of two runs, of: [FIRST, SECOND]; others are of one"
            )
        if self.claim in ("at_least", "at_most") and isinstance(self.printed, tuple):
            raise ValueError(f"{self.what}: a limit is one number, and no range")
        return self

    @property
    def is_percent(self) -> bool:
        """Whether the figure is a share, written in per cent."""
        return self.published_percent is not None or self.each_epoch_percent is not None

    @property
    def in_points(self) -> bool:
        """Whether it is a difference of shares, and so written in points."""
        return self.claim in ("difference", "similar") or self.metric.startswith("spread")

    @property
    def decimals(self) -> int:
        """With how many decimals the report prints it."""
        if self.digits is not None:
            return self.digits
        return 0 if self.claim in ("exact", "machine") else 2 if self.is_percent else 4

    @property
    def printed(self) -> float | tuple[float, float] | None:
        """The figure as the report prints it, shares in per cent; None for a claim without one."""
        return self.published_percent if self.is_percent else self.published

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest number as printed, the same twice for a single one; fractions for per cents."""
        assert self.printed is not None
        low, high = self.printed if isinstance(self.printed, tuple) else (self.printed, self.printed)
        return (low / 100, high / 100) if self.is_percent else (low, high)

    @property
    def limit(self) -> float:
        """A limit as it is printed, per cents as a fraction."""
        return round(self.span[0], 12)  # 99.4 / 100 is a little more than 0.994

    def ends(self) -> tuple[float, float]:
        """Return the lowest and the highest number that the printed figure stands for, fractions for per cents.

        A figure printed with d decimals stands for half a unit of the last one either way; a range for what it spans.
        """
        assert self.printed is not None
        low, high = self.printed if isinstance(self.printed, tuple) else (self.printed, self.printed)
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


class Assigned(Strict):
    """A task derived from a student's details."""

    name: str
    details: dict[str, str]


class Part(Strict):
    """A part of a report: its title and its blocks, each the name of a file in report/blocks.

    optional: whether the part is left out where its blocks have nothing to show, instead of saying why. runs: the runs
    that it tells of. text: paragraphs at its head. values: what was published of them. lesson, assignment: the
    hand-worked network or the derived task that it tells of. sizes, fields: the sizes of the maps and the receptive
    fields that the report wrote by hand.
    """

    title: str
    blocks: tuple[str, ...] = ()
    optional: bool = False
    runs: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    values: tuple[Value, ...] = ()
    lesson: str | None = None
    assignment: Assigned | None = None
    sizes: tuple[int, ...] = ()
    fields: dict[str, int] = Field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """The runs that it shows or has figures of; "lesson" is the hand-worked network."""
        measured = [[value.of] if isinstance(value.of, str) else value.of for value in self.values]
        return {*self.runs, *(name for names in measured for name in names)}


class Spec(Strict):
    """A report: its parts in their order."""

    parts: tuple[Part, ...]


def read(file: Path, kind: type[Spec] = Spec, **more: Any) -> Any:
    """Return the spec in a YAML file. kind: Spec, or what it is to hold beside its parts. more: fields not in the file.

    Raises UserError for a file that is not such a spec, with the first thing that is wrong.
    """
    fields = read_yaml(file)
    if not isinstance(fields, dict):
        raise UserError(f"{file} must hold a report (title, parts, …), got {value_text(fields)}")
    try:
        spec = kind(**{str(key): value for key, value in fields.items()}, **more)
    except pydantic.ValidationError as error:
        raise UserError(f"{file}: {sentence(error, kind, 'a report')}") from None
    for name in dict.fromkeys(name for part in spec.parts for name in part.blocks):
        if not own_code.is_own_code(name) and name not in lookup.names("block"):
            known = lookup.names("block")
            hint = did_you_mean(name, known) or ";"
            raise UserError(
                f"{file}: there is no block {value_text(name)}{hint} there are {listing(known, len(known))}"
            )
    return spec

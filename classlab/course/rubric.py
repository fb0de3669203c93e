"""Points: plain arithmetic from what was measured of a hand-in, stated in the rules file. No expressions, no code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from classlab.contract import Check
from classlab.experiment import Percent
from classlab.validation import SHORT_NAME, Section

Amount = Annotated[float | int, Field(ge=0, le=10_000)]
ALL = "all"


class Item(Section):
    """Something that points are given for: rules kept, an accuracy between two limits, or a file that is there."""

    about: Annotated[str, Field(min_length=1, max_length=120)] = Field(description="what the feedback calls it")
    points: Amount
    run: Annotated[str, Field(pattern=SHORT_NAME)] | None = Field(default=None, description="the run that it is about")
    rule: str | None = Field(default=None, description="a rule of that run's contract that must be kept, or all")
    accuracy_percent: Annotated[list[Percent], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="the test accuracy that gives nothing and the one that gives all; linear between"
    )
    report: bool = Field(default=False, description="a report must be handed in")

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [self.rule is not None, self.accuracy_percent is not None, self.report]
        if sum(forms) != 1:
            raise ValueError(f"points for {self.about!r} need exactly one of rule, accuracy_percent and report")
        if not self.report and self.run is None:
            raise ValueError(f"points for {self.about!r} need run: the name of the experiment that they are for")
        if self.accuracy_percent and self.accuracy_percent[0] >= self.accuracy_percent[1]:
            low, high = self.accuracy_percent
            raise ValueError(f"points for {self.about!r}: accuracy_percent must rise; got [{low:g}, {high:g}]")
        return self


class Late(Section):
    """What is taken off for each day, begun counts as a whole one, after which a hand-in gives nothing."""

    points_per_day: Amount
    days: Annotated[int, Field(ge=0, le=366)] = Field(description="later than so many days: no points at all")


class Cap(Section):
    """At most so many points in all where this holds."""

    most: Amount
    when: Literal["missing run", "rule broken", "accuracy below"]
    run: Annotated[str, Field(pattern=SHORT_NAME)] | None = None
    rule: str | None = None
    percent: Percent | None = None

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        if self.when == "rule broken" and (self.rule is None or self.run is None):
            raise ValueError("a cap for a rule broken needs run and rule")
        if self.when == "accuracy below" and (self.percent is None or self.run is None):
            raise ValueError("a cap for an accuracy below needs run and percent")
        return self


class Points(Section):
    """How what was measured becomes points."""

    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    late: Late | None = None
    caps: Annotated[list[Cap], Field(max_length=20)] = Field(default=[])
    round_to: Annotated[float | int, Field(gt=0, le=100)] = 0.5

    @property
    def most(self) -> float:
        """All points that there are."""
        return float(sum(item.points for item in self.items))

    def runs(self) -> set[str]:
        """Return the runs that points or caps are about."""
        return {part.run for part in (*self.items, *self.caps) if part.run is not None}


@dataclass(frozen=True)
class MeasuredRun:
    """What points need of one run. accuracy: a fraction, None where it was not measured."""

    checks: tuple[Check, ...]
    accuracy: float | None


@dataclass(frozen=True)
class Score:
    """Points for one item, with the reason in words."""

    about: str
    points: float
    most: float
    why: str


@dataclass(frozen=True)
class Scored:
    """All points of a hand-in. taken_off: sentences for what was taken off or capped."""

    scores: tuple[Score, ...]
    taken_off: tuple[str, ...]
    points: float
    most: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"points": self.points, "most": self.most, "taken_off": list(self.taken_off),
                "scores": [vars(score) for score in self.scores]}  # fmt: skip


def score(points: Points, runs: Mapping[str, MeasuredRun], has_report: bool, days_late: int) -> Scored:
    """Return the points of a hand-in. runs: those that could be measured, by name. days_late: 0 where in time."""
    scores = tuple(_score(item, runs, has_report) for item in points.items)
    total, notes = sum(part.points for part in scores), []
    for cap in points.caps:
        reason = _holds(cap, runs)
        if reason and total > cap.most:
            total = float(cap.most)
            notes.append(f"at most {cap.most:g} points, because {reason}")
    if days_late and points.late:
        if days_late > points.late.days:
            total, sentence = 0.0, f"{_days(days_late)} late, and after {_days(points.late.days)} there are no points"
        else:
            off = points.late.points_per_day * days_late
            total, sentence = max(0.0, total - off), f"{off:g} points off: {_days(days_late)} late"
        notes.append(sentence)
    rounded = int(total / points.round_to + 0.5 + 1e-9) * points.round_to
    return Scored(scores, tuple(notes), min(rounded, points.most), points.most)


def _days(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}"


def _score(item: Item, runs: Mapping[str, MeasuredRun], has_report: bool) -> Score:
    most = float(item.points)
    if item.report:
        why = "a report was handed in" if has_report else "no report was handed in"
        return Score(item.about, most if has_report else 0.0, most, why)
    run = runs.get(item.run or "")
    if run is None:
        return Score(item.about, 0.0, most, f"the run {item.run} is missing or could not be measured")
    if item.rule is not None:
        checks = [check for check in run.checks if item.rule in (ALL, check.rule)]
        broken = [check.sentence for check in checks if not check.passed]
        why = broken[0] if broken else (checks[0].sentence if len(checks) == 1 else "every rule kept")
        return Score(item.about, 0.0 if broken or not checks else most, most, why if checks else "not measured")
    low, high = item.accuracy_percent or (0.0, 100.0)
    if run.accuracy is None:
        return Score(item.about, 0.0, most, "the test accuracy could not be measured")
    percent = 100 * run.accuracy
    share = min(1.0, max(0.0, (percent - low) / (high - low)))
    why = f"test accuracy {percent:.2f} %; {low:g} % gives nothing, {high:g} % gives all"
    return Score(item.about, round(most * share, 4), most, why)


def _holds(cap: Cap, runs: Mapping[str, MeasuredRun]) -> str:
    """Return why a cap holds, "" where it does not."""
    run = runs.get(cap.run or "")
    if cap.when == "missing run":
        missing = cap.run is not None and run is None
        return f"the run {cap.run} is missing" if missing else ""
    if run is None:
        return f"the run {cap.run} is missing"
    if cap.when == "rule broken":
        broken = [check.sentence for check in run.checks if check.rule == cap.rule and not check.passed]
        return broken[0] if broken else ""
    below = run.accuracy is None or 100 * run.accuracy < (cap.percent or 0)
    return f"the test accuracy of {cap.run} is below {cap.percent:g} %" if below else ""

"""Rules: a plain file that says how a task follows from a student's details. Data, and nothing in it is executed.

docs/assignments.md explains every form to a teacher.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
from pydantic import Field

from classlab.course.rubric import ALL, Points
from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import find_file
from classlab.validation import SHORT_NAME, Section, sentence
from classlab.yaml_text import read_yaml, value_text

PARTS = ("day", "month", "year")
NAMES = ("first", "last", "programme")
# quantity -> what it takes: a part of the birth date, a count of digits, a name, one quantity, several, two
QUANTITIES = {
    "part": "part", "last_digits": "count", "letters": "name", "first_letter": "name", "digit_sum": "one",
    "last_digit": "one", "sum": "several", "product": "several", "difference": "two", "remainder": "two",
}  # fmt: skip
# condition -> what it takes: one quantity, two (or a quantity and a number), conditions, one condition, a decision
CONDITIONS = {
    "even": "one", "odd": "one", "equal": "two", "less_than": "two", "at_most": "two", "more_than": "two",
    "at_least": "two", "divisible": "two", "all": "conditions", "any": "conditions", "not": "condition",
    "spelled": "spelled", "decided": "decided",
}  # fmt: skip
Name = Annotated[str, Field(pattern=SHORT_NAME)]


class Branch(Section):
    """One way that a decision can go. value: what stands in the files; means: what the sheet says of it."""

    value: Any
    means: str = ""
    when: dict[str, Any] | None = Field(default=None, description="null: always, so the last branch")
    ours: bool = Field(default=False, description="not stated by whoever set the task, chosen here")


class Decision(Section):
    """Something that the details decide: by the first branch whose condition holds, or by a table over a quantity."""

    about: str = Field(default="", description="what the sheet calls it; empty: it does not stand on the sheet")
    branches: list[Branch] = Field(default=[])
    of: str | None = Field(default=None, description="the quantity that the table is over")
    table: dict[int, Branch] = Field(default={})

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        if bool(self.branches) == bool(self.table) or bool(self.table) != (self.of is not None):
            raise ValueError("a decision has either branches, or a table and the quantity it is of")
        if self.branches and self.branches[-1].when is not None:
            raise ValueError("the last branch must have no condition: it is what holds otherwise")
        if any(branch.when is None for branch in self.branches[:-1]) or any(row.when for row in self.table.values()):
            raise ValueError("every branch but the last needs its condition, and the rows of a table have none")
        return self

    @property
    def ways(self) -> list[Branch]:
        """Every branch or row."""
        return self.branches or list(self.table.values())


class Rules(Section):
    """How a task is derived: named quantities, decisions from them, and the files that the decisions fill in."""

    title: str
    about: str = ""
    salt: str = Field(default="", description="goes into each student's code; empty: the name of the rules")
    hand_in: list[str] = Field(default=[])
    quantities: dict[str, dict[str, Any]]
    decisions: dict[Name, Decision]
    experiments: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)]
    contracts: dict[Name, dict[str, Any]] = Field(default={})
    student_seeds: bool = Field(default=False, description="each student trains with a seed derived from their code")
    keep_epochs: bool = Field(
        default=False, description="every epoch's checkpoint is kept and handed in; student_seeds"
    )
    points: Points | None = Field(default=None, description="how a hand-in's measurements become points")

    @property
    def seeds_differ(self) -> bool:
        """Whether each student has a seed of their own: without it nothing tells whose training it was."""
        return self.student_seeds or self.keep_epochs

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> Self:
        known: list[str] = []
        for name, form in self.quantities.items():
            _check_quantity(f"quantities.{name}", form, known)
            known.append(name)
        decided: list[str] = []
        for name, decision in self.decisions.items():
            if decision.of is not None:
                _known_quantity(f"decisions.{name}.of", decision.of, known)
            for number, branch in enumerate(decision.branches):
                if branch.when is not None:
                    _check_condition(f"decisions.{name}.branches.{number}.when", branch.when, known, decided)
            decided.append(name)
        for kind, files in (("experiments", self.experiments), ("contracts", self.contracts)):
            for name, fields in files.items():
                for wanted in places(fields):
                    if wanted not in decided:
                        raise ValueError(
                            f"{kind}.{name} asks for the decision {wanted!r}{did_you_mean(wanted, decided) or ';'} "
                            f"there is {listing(decided) or 'none'}"
                        )
        if "task" in self.experiments:
            raise ValueError("no experiment can be called task: task.yaml holds what the task asks")
        self._check_points()
        return self

    def _check_points(self) -> None:
        for run in sorted(self.points.runs()) if self.points else []:
            if run not in self.experiments:
                raise ValueError(
                    f"points are for the run {run!r}{did_you_mean(run, self.experiments) or ';'} "
                    f"there is {listing(self.experiments)}"
                )
        for part in (*self.points.items, *self.points.caps) if self.points else ():
            known = [ALL, *ALWAYS, *_rules_of(self.contracts.get(part.run or "", {}))]
            if part.rule is not None and part.rule not in known:
                meant = did_you_mean(part.rule, known) or ";"
                raise ValueError(f"points are for the rule {part.rule!r} of {part.run}{meant} it has {listing(known)}")


# What is checked of every run, whatever its contract.
ALWAYS = ("same_experiment", "weights", "task_experiment", "student_seed")


def _rules_of(contract: Mapping[str, Any]) -> list[str]:
    """Return the rules that a contract is checked by, as the checks are named."""
    nested = {key: value for key, value in contract.items() if key in ("layers", "must_contain", "must_not_contain")}
    plain = [key for key in contract if key not in (*nested, "classes", "judged_by", "not_judged")]
    return [*plain, *(f"{key}.{name}" for key, value in nested.items() for name in value)]


def load(source: str | Path) -> tuple[str, Rules]:
    """Return the name of the rules and the rules that a shipped name or a YAML file means. Raises UserError."""
    file = find_file("assignment", source)
    fields = read_yaml(file)
    if not isinstance(fields, dict):
        raise UserError(f"{file} must hold rules (title, quantities, decisions, experiments), got {value_text(fields)}")
    try:
        rules = Rules(**{str(key): value for key, value in fields.items()})
    except pydantic.ValidationError as error:
        raise UserError(f"{file}: {sentence(error, Rules, 'a rules file')}") from None
    return file.stem, rules


def places(fields: Any) -> list[str]:
    """Return the decisions that a file asks for, wherever `{decided: name}` stands in it."""
    if isinstance(fields, Mapping):
        if is_place(fields):
            return [str(fields["decided"])]
        return [name for part in fields.values() for name in places(part)]
    return [name for part in fields for name in places(part)] if isinstance(fields, list) else []


def is_place(fields: Mapping[str, Any]) -> bool:
    """Say whether this is `{decided: name}`, which the decision's value replaces."""
    return len(fields) == 1 and isinstance(fields.get("decided"), str)


def only(form: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the one key and value of a quantity or a condition."""
    return next(iter(form.items()))


def _one_key(where: str, form: Any, known: Mapping[str, str], word: str) -> tuple[str, Any]:
    if not isinstance(form, dict) or len(form) != 1:
        raise ValueError(f"{where} must hold one of {listing(known)}; got {value_text(form)}")
    key, value = only(form)
    if key not in known:
        raise ValueError(
            f"{where}: there is no {word} {key!r}{did_you_mean(str(key), known) or ';'} known: {listing(known)}"
        )
    return key, value


def _check_quantity(where: str, form: Any, known: list[str]) -> None:
    kind, value = _one_key(where, form, QUANTITIES, "quantity")
    takes, place = QUANTITIES[kind], f"{where}.{kind}"
    if takes == "part":
        _among(place, value, PARTS)
    elif takes == "name":
        _among(place, value, NAMES)
    elif takes == "count":
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 9:
            raise ValueError(f"{place} must be how many digits of the roll number, 1 to 9; got {value_text(value)}")
    elif takes == "one":
        _known_quantity(place, value, known)
    else:
        _operands(place, value, known, None if takes == "several" else 2)
    if kind == "remainder" and (not isinstance(value[1], int) or value[1] < 1):
        raise ValueError(f"{place} must be a quantity and a whole number from 1; got {value_text(value)}")


def _check_condition(where: str, form: Any, known: list[str], decided: list[str]) -> None:
    kind, value = _one_key(where, form, CONDITIONS, "condition")
    takes, place = CONDITIONS[kind], f"{where}.{kind}"
    if takes == "one":
        _known_quantity(place, value, known)
    elif takes == "two":
        _operands(place, value, known, 2)
        if kind == "divisible" and (not isinstance(value[1], int) or value[1] < 1):
            raise ValueError(f"{place} must be a quantity and a whole number from 1; got {value_text(value)}")
    elif takes == "condition":
        _check_condition(place, value, known, decided)
    elif takes == "conditions":
        if not isinstance(value, list) or not value:
            raise ValueError(f"{place} must be a list of conditions; got {value_text(value)}")
        for number, part in enumerate(value):
            _check_condition(f"{place}.{number}", part, known, decided)
    elif takes == "spelled":
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], str):
            raise ValueError(f"{place} must be a list of a name and a text, [programme, AI]; got {value_text(value)}")
        _among(place, value[0], NAMES)
    else:
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError(f"{place} must be a list of an earlier decision and its value; got {value_text(value)}")
        _among(place, value[0], decided)


def _operands(where: str, values: Any, known: list[str], count: int | None) -> None:
    if not isinstance(values, list) or (len(values) != count if count else len(values) < 2):
        raise ValueError(f"{where} must be a list of {count or 'at least two'} quantities; got {value_text(values)}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            _known_quantity(where, value, known)


def _known_quantity(where: str, name: Any, known: list[str]) -> None:
    if name not in known:
        meant = did_you_mean(str(name), known) or ";"
        raise ValueError(f"{where}: there is no quantity {name!r} above it{meant} known: {listing(known) or 'none'}")


def _among(where: str, value: Any, allowed: Iterable[str]) -> None:
    if value not in allowed:
        meant = did_you_mean(str(value), allowed) if isinstance(value, str) else ""
        raise ValueError(f"{where} must be one of {listing(allowed) or 'none'}; got {value_text(value)}{meant}")

"""Study: a question, the variants and seeds that answer it. The YAML file and the Python object are the same thing."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field

from classlab import experiment as experiments
from classlab import limits, lookup, metrics, own_code
from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import Contract, Experiment, stated_contract
from classlab.study import published_curve
from classlab.study.published_curve import PublishedCurve
from classlab.study.search import Search
from classlab.validation import FREE_NAME, NAME, Section, sentence
from classlab.yaml_text import parse_yaml, read_yaml, set_value, to_yaml, value_text


def _stated(value: Any) -> Any:
    """Return an experiment, by name, file or mapping, as the mapping that it resolves to.

    What it is validated on is left out where it only follows from data.val_size, which a variant may change.
    """
    if not isinstance(value, str | Path | Mapping | Experiment):
        return value
    experiment = experiments.load(value)
    document, protocol = experiment.model_dump(mode="json"), experiment.protocol
    stated = "validate_on" in protocol.model_fields_set
    if (protocol.validate_on == "val" and not stated) or (
        protocol.validate_on == "none" and not experiment.data.val_size
    ):
        del document["protocol"]["validate_on"]
    return document


def _place(value: str) -> str:
    """Return the place that a study asks for. Earlier versions also knew populations, which auto has replaced."""
    known = ["auto", *lookup.names("place")]
    if value == "population":
        return "auto"
    if value not in known:
        raise ValueError(f"must be one of {listing(known)}; got {value_text(value)}{did_you_mean(value, known)}")
    return value


def _curve(value: Any) -> Any:
    """Return a published curve, of a file or a mapping."""
    if isinstance(value, str):
        return published_curve.load(Path(value))
    return published_curve.checked(value, "compare.published") if isinstance(value, Mapping) else value


Stated = Annotated[dict[str, Any], BeforeValidator(_stated, json_schema_input_type=str | Experiment)]
Seed = Annotated[int, Field(ge=0, le=limits.SEED)]


class Named(Section):
    """A variant with a name of its own: the experiment it trains if another, and the settings that it changes."""

    name: Annotated[str, Field(pattern=FREE_NAME)]
    experiment: Stated | None = Field(default=None, description="a name, a file or a mapping; null: the study's")
    set: dict[str, Any] = Field(default={}, description="dotted key: value, as training.epochs: 3")


class Step(Section):
    """A step of a search by hand: what it was to bring, what it changes in the step before it, and your analysis."""

    name: Annotated[str, Field(pattern=FREE_NAME)]
    target: str = Field(default="", description="what this step is to bring, written before it is trained")
    experiment: Stated | None = Field(default=None, description="begins with another one; null: the step before")
    set: dict[str, Any] = Field(default={}, description="dotted key: value, changed from the step before on")
    analysis: str = Field(default="", description="what you make of the result, written after it is trained")


class Sweep(Section):
    """The variants: named ones, every combination of a grid's values, or each named one in every combination.

    With a search, the named ones are those that are known: the baseline first, and in a study's folder those found.
    """

    variants: list[Named] = Field(default=[], description="a list of {name: …, set: {…}} or {name: …, experiment: …}")
    grid: dict[str, list[Any]] = Field(
        default={}, description="dotted key: its values, as training.batch_size: [1, 4, 1000]"
    )
    search: Search | None = Field(
        default=None, description="dotted key: {from: …, to: …, log: …} or {choices: […]}, and budget: {runs: …}"
    )

    @pydantic.field_validator("grid")
    @classmethod
    def _check_grid(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        empty = [key for key, values in grid.items() if not values]
        if empty:
            raise ValueError(f"{empty[0]} needs at least one value; got []")
        return grid


class Compare(Section):
    """What the variants are compared with, and by what."""

    baseline: str | None = Field(default=None, description="a variant's name; null: the first variant")
    metric: str = Field(
        default="test_accuracy",
        description="test_accuracy, val_loss, …: of the selected epoch; best_, first_, last_ before it: of that epoch; "
        "spread_val_accuracy: the highest less the lowest of the last five epochs",
        json_schema_extra={"pattern": f"^({metrics.PATTERN.pattern})$"},
    )
    equivalent_within: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="a difference from the baseline too small to matter, in points for an accuracy: each variant is "
        "tested for differing by less; null: none is",
    )

    published: (
        Annotated[PublishedCurve, BeforeValidator(_curve, json_schema_input_type=str | PublishedCurve)] | None
    ) = Field(
        default=None, description="figures that somebody published, a file or the figures: which variant gave them?"
    )

    @pydantic.field_validator("metric")
    @classmethod
    def _check_metric(cls, metric: str) -> str:
        if not metrics.PATTERN.fullmatch(metric):
            meant = did_you_mean(metric, metrics.NAMES)
            raise ValueError(
                f"must be a metric; got {value_text(metric)}{meant or ';'} for example: {listing(metrics.NAMES, 8)}"
            )
        return metric


class Study(Section):
    """Runs that answer a question: an experiment, its variants, their seeds, and what is compared."""

    name: Annotated[str, Field(pattern=NAME)]
    question: str = ""
    description: str = ""
    experiment: Stated | None = Field(default=None, description="a name, a file or a mapping; what variants start from")
    set: dict[str, Any] = Field(default={}, description="dotted key: value, changed in every variant")
    sweep: Sweep = Sweep()
    steps: list[Step] = Field(
        default=[], description="instead of a sweep: the log of a search by hand, each step a change of the one before"
    )
    aim: Annotated[Contract, BeforeValidator(stated_contract, json_schema_input_type=str | Contract)] = Field(
        default=Contract(),
        description="a contract, a name or a file: what the steps are to reach",
    )
    seeds: Annotated[int, Field(ge=1, le=limits.SEEDS)] | Annotated[list[Seed], Field(min_length=1)] = Field(
        default=3, description="how many, counted from 0, or a list of which"
    )
    compare: Compare = Compare()
    place: Annotated[str, AfterValidator(_place)] = Field(
        default="auto", description="where runs are trained, if they can be there; auto: where it was measured cheapest"
    )

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> Self:
        if isinstance(self.seeds, list) and len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must name each seed once; got {self.seeds}")
        homeless = [named.name for named in self.sweep.variants if named.experiment is None]
        if self.steps:
            self._check_steps()
        elif self.aim != Contract():
            raise ValueError("aim is what steps are to reach, and this study has none; set the experiment's contract")
        if not self.steps and self.experiment is None and (homeless or not self.sweep.variants):
            whose = f": {listing(homeless)} has none of its own" if homeless else ""
            raise ValueError(f"experiment is required where a variant does not name one{whose}")
        if self.sweep.search is not None:
            self._check_search(self.sweep.search)
        return self

    def _check_steps(self) -> None:
        """Raise ValueError where the rest of the study does not go with its steps."""
        sweep = self.sweep
        asked = [name for name, given in (("variants", sweep.variants), ("grid", sweep.grid), ("search", sweep.search))
                 if given]  # fmt: skip
        if asked:
            raise ValueError(f"steps are the variants of a study, so sweep.{asked[0]} must be left out")
        if self.compare.published is not None:
            raise ValueError(
                "compare.published asks which variant explains a curve; steps are compared with each other"
            )
        if self.experiment is None and self.steps[0].experiment is None:
            raise ValueError(f"experiment is required where the first step, {self.steps[0].name}, does not name one")

    def _check_search(self, search: Search) -> None:
        """Raise ValueError where the rest of the study does not go with its search."""
        seeds, elsewhere = len(self.seed_list), [named for named in self.sweep.variants if named.experiment is not None]
        if self.sweep.grid:
            raise ValueError("sweep.search finds its variants itself and a grid states them; leave one out")
        if elsewhere:
            raise ValueError(
                f"sweep.search changes one experiment, and the variant {elsewhere[0].name} has another; leave it out"
            )
        if self.compare.published is not None:
            raise ValueError("compare.published asks which stated variant explains a curve; a search states none")
        if seeds < 2:
            raise ValueError(f"seeds must be at least 2 for a search, which chooses by their mean; got {seeds}")
        if search.budget.runs < search.least_runs(seeds):
            raise ValueError(
                f"sweep.search.budget.runs must be at least {search.least_runs(seeds)}: {seeds} seeds of the baseline "
                f"and of one variant, and {search.confirm} fresh ones of both; got {search.budget.runs}"
            )

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as error:
            raise UserError(f"study: {sentence(error, self.__class__, 'a study')}") from None

    @property
    def seed_list(self) -> list[int]:
        """The seeds, each of them."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def watched_metric(self) -> str:
        """What may be looked at while the study trains: the test images have no say in a search."""
        return self.sweep.search.metric if self.sweep.search else self.compare.metric

    def to_yaml(self) -> str:
        """Return the study as YAML that loads to an equal object, its experiments spelled out."""
        return to_yaml(self.model_dump(mode="json"))


def load(
    source: "str | Path | Mapping[str, Any] | Study",
    overrides: Sequence[str] = (),
    seeds: "int | list[int] | None" = None,
    trust: bool = False,
) -> Study:
    """Return the study that a shipped name, a YAML file, a mapping or a study means.

    overrides: `key=value` with a dotted key; one that begins with a setting of a study (compare.metric) changes the
    study. One that begins with a section of an experiment (training.epochs) changes every variant. seeds: instead of
    the study's own. trust: whether code of the reader's own that it names may run, see own_code.trusting. Files that a
    study names are looked for beside it first. Raises UserError, and Untrusted for code that is not trusted.
    """
    folder, file = Path(), None
    if isinstance(source, Study):
        fields = source.model_dump(mode="json")
    elif isinstance(source, Mapping):
        fields = _copied(source)
    else:
        file = experiments.find_file("study", source)
        fields, folder = read_yaml(file), file.parent
    if not isinstance(fields, dict):
        raise UserError(
            f"{source} must hold a study (name, question, experiment, sweep, seeds), got {value_text(fields)}"
        )
    for override in overrides:
        _override(fields, override)
    if seeds is not None:
        fields["seeds"] = seeds
    _look_beside(fields, folder)
    try:
        with own_code.trusting(trust):
            study = Study(**{str(key): value for key, value in fields.items()})
    except own_code.Untrusted as error:
        raise own_code.named(error, str(file or "")) from None
    for override in overrides:
        _check_heard(study, override.partition("=")[0].strip())
    return study


def _override(fields: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    first = key.strip().split(".")[0]
    sections = [name for name in Experiment.model_fields if name not in Study.model_fields]
    if not equals or first in Study.model_fields:
        set_value(fields, override)
    elif first in sections:
        held = {} if fields.get("set") is None else fields["set"]
        if not isinstance(held, dict):
            raise UserError(f"--set {key}: the study's own set is {value_text(held)}; it must be a mapping of settings")
        fields["set"] = {**held, key.strip(): parse_yaml(text, f"--set {key}")}
    else:
        known = [*sections, *Study.model_fields]
        raise UserError(
            f"--set {key}: {first} is not a setting of a study or its experiments{did_you_mean(first, known) or ';'} "
            f"they have: {listing(known)}"
        )


def _check_heard(study: Study, key: str) -> None:
    """Raise UserError where a variant sets for itself what an override would change in every variant."""
    if key not in study.set:
        return
    places: list[tuple[str, Mapping[str, Any]]] = [("sweep.grid", study.sweep.grid)]
    places += [("sweep.search", study.sweep.search.settings)] if study.sweep.search else []
    places += [(f"the variant {named.name}", named.set) for named in study.sweep.variants]
    places += [(f"the step {step.name}", step.set) for step in study.steps]
    for place, swept in places:
        for other in swept:
            if f"{key}.".startswith(f"{other}.") or _holds(study.set[key], key, other):
                raise UserError(
                    f"--set {key}: {place} of {study.name} sets {other} itself and would undo this; change it there"
                )


def _holds(value: Any, key: str, other: str) -> bool:
    """Say whether a value given to the setting `key` decides the setting `other` inside it."""
    if not other.startswith(f"{key}."):
        return False
    for step in other.removeprefix(f"{key}.").split("."):
        value = {"name": value} if isinstance(value, str) else value
        if isinstance(value, list) and re.fullmatch("[0-9]{1,9}", step) and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return False
    return True


def _look_beside(fields: dict[str, Any], folder: Path) -> None:
    """Turn the name of a file that lies beside the study into its path."""
    sweep = fields.get("sweep")
    listed = [sweep.get("variants") if isinstance(sweep, dict) else None, fields.get("steps")]
    for place in (fields, *(part for parts in listed if isinstance(parts, list) for part in parts)):
        named = place.get("experiment") if isinstance(place, dict) else None
        if isinstance(named, str) and Path(named).suffix in {".yaml", ".yml"} and experiments.is_there(folder / named):
            place["experiment"] = str(folder / named)
    compare = fields.get("compare")
    curve = compare.get("published") if isinstance(compare, dict) else None
    if isinstance(compare, dict) and isinstance(curve, str) and experiments.is_there(folder / curve):
        fields["compare"] = {**compare, "published": str(folder / curve)}


def _copied(source: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(source, default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"a study holds texts, numbers, lists and mappings ({error})") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Experiment):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    raise UserError(f"a study holds names, numbers, lists and mappings; got {value_text(repr(value))}")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file, for editors."""
    fields = Study.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **fields, "title": "classlab study"}

"""Search: a sweep that finds its variants itself. Which settings it may change, and how much it may train."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, Self

import pydantic
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from classlab import limits, metrics
from classlab.errors import did_you_mean, listing
from classlab.experiment import Experiment
from classlab.validation import Section
from classlab.yaml_text import value_text

METRICS = tuple(f"{when}val_{what}" for when in ("", "best_", "last_") for what in ("accuracy", "loss"))
# What decides which images a variant is chosen by, or how it is judged, is the same for every variant.
FIXED = (
    "name", "description", "protocol", "contract", "data.dataset", "data.val_size", "data.split_seed",
    "data.stratified", "data.classes", "data.labels", "data.max_per_class", "data.max_test_per_class",
)  # fmt: skip
KEYS = ("from", "to", "log", "choices")
DIGITS = 4  # of a proposed fraction: enough for any setting, and short in tables and files

Range = TypedDict("Range", {"from": float, "to": float, "log": NotRequired[bool]})


class Choices(TypedDict):
    """A setting that is one of these values. Numbers are taken in their order, other values have none."""

    choices: list[Any]


def _setting(value: Any) -> dict[str, Any]:
    """Return a range or a list of choices as the file has it. Raises ValueError for the first thing that is wrong."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be {{from: …, to: …}} or {{choices: […]}}; got {value_text(value)}")
    unknown = [str(key) for key in value if key not in KEYS]
    if unknown:
        raise ValueError(
            f"{unknown[0]} is not a setting{did_you_mean(unknown[0], KEYS) or ';'} it has: {listing(KEYS)}"
        )
    if "choices" in value:
        return _choices(value)
    for key in ("from", "to"):
        if key not in value:
            raise ValueError(f"{key} is required where there are no choices; got {value_text(dict(value))}")
        number = value[key]
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise ValueError(f"{key} must be a finite number; got {value_text(number)}")
    if not isinstance(value.get("log", False), bool):
        raise ValueError(f"log must be true or false; got {value_text(value['log'])}")
    if value["from"] >= value["to"]:
        raise ValueError(f"from must be less than to; got from {value['from']} to {value['to']}")
    if value.get("log") and value["from"] <= 0:
        raise ValueError(f"from must be more than 0 where log is true; got {value['from']}")
    return dict(value)


def _choices(value: Mapping[str, Any]) -> dict[str, Any]:
    beside = [key for key in value if key != "choices"]
    if beside:
        raise ValueError(f"choices stand alone; got {beside[0]} beside them")
    choices = value["choices"]
    if not isinstance(choices, list) or len(choices) < 2:
        raise ValueError(f"choices must be a list of at least two values; got {value_text(choices)}")
    spelled = [json.dumps(choice, sort_keys=True, default=str) for choice in choices]
    twice = next((choice for choice, text in zip(choices, spelled, strict=True) if spelled.count(text) > 1), None)
    if twice is not None:
        raise ValueError(f"choices must name each value once; got {value_text(twice)} twice")
    return dict(value)


class Budget(Section):
    """How much is trained at most."""

    runs: Annotated[int, Field(ge=1, le=limits.RUNS)] = Field(description="in all, those of the confirmation included")


Setting = Annotated[dict[str, Any], BeforeValidator(_setting, json_schema_input_type=Range | Choices)]


class Search(Section):
    """Settings that a search may change, each by its dotted key, and how it goes about it."""

    model_config = pydantic.ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Setting]  # pyrefly: ignore[bad-override]  (pydantic reads the annotation)

    budget: Budget
    metric: str = Field(default="val_accuracy", description="what variants are chosen by, of validation images")
    sampler: Literal["tpe", "gp"] = Field(
        default="tpe", description="Optuna's: tree-structured Parzen, Gaussian process"
    )
    seed: Annotated[int, Field(ge=0, le=2**31)] = Field(default=0, description="of the proposals")
    round: Annotated[int, Field(ge=1, le=limits.VARIANTS)] = Field(default=4, description="variants proposed at a time")
    patience: Annotated[int, Field(ge=1)] = Field(default=3, description="rounds without a better variant that end it")
    confirm: Annotated[int, Field(ge=2, le=limits.SEEDS)] = Field(
        default=5, description="fresh seeds on which the winner and the baseline are trained again"
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = [*cls.model_fields, *Experiment.model_fields]
        for key in map(str, value):
            if "." not in key and key not in known:
                raise ValueError(
                    f"{key} is not a setting{did_you_mean(key, known) or ';'} it has: "
                    f"{listing(list(cls.model_fields))}, "
                    "and settings of the experiment by their dotted key, as training.optimizer.learning_rate"
                )
            fixed = next((fixed for fixed in FIXED if f"{key}.".startswith(f"{fixed}.")), None)
            if fixed or key in ("data", "training"):
                raise ValueError(f"{key} cannot be searched: it decides by which images variants are chosen or judged")
        return value

    @pydantic.field_validator("metric")
    @classmethod
    def _check_metric(cls, metric: str) -> str:
        if metric not in METRICS:
            reason = (
                "what is chosen by test images is no longer tested by them"
                if "test_" in metric
                else "a search chooses by validation images"
            )
            raise ValueError(f"must be one of {listing(METRICS)}: {reason}; got {value_text(metric)}"
                             f"{did_you_mean(metric, METRICS)}")  # fmt: skip
        return metric

    @pydantic.model_validator(mode="after")
    def _check_settings(self) -> Self:
        if not self.settings:
            raise ValueError("names no setting to search, as training.optimizer.learning_rate: {from: 0.01, to: 1.0}")
        choices = sum(len(setting.get("choices", ())) for setting in self.settings.values())
        if len(self.settings) > limits.SEARCHED or choices > limits.CHOICES:
            raise ValueError(
                f"may have at most {limits.SEARCHED} settings with {limits.CHOICES} choices in all; got "
                f"{len(self.settings)} with {choices}"
            )
        return self

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings that it may change: dotted key -> {from, to, log} or {choices}."""
        return self.__pydantic_extra__

    @property
    def higher_is_better(self) -> bool:
        """Whether the metric is better the higher it is."""
        return metrics.scale(self.metric).higher_is_better

    def fresh(self, seeds: list[int]) -> list[int]:
        """Return the seeds on which winner and baseline are trained again: none of the search's own."""
        return list(range(max(seeds) + 1, max(seeds) + 1 + self.confirm))

    def least_runs(self, seeds: int) -> int:
        """Return how many runs a search of one variant beside the baseline takes."""
        return 2 * seeds + 2 * self.confirm


def whole_numbers(setting: Mapping[str, Any]) -> bool:
    """Say whether a range holds whole numbers alone, as its two ends say."""
    return isinstance(setting["from"], int) and isinstance(setting["to"], int)


def ordered(setting: Mapping[str, Any]) -> bool:
    """Say whether choices are numbers, whose order a sampler may learn from."""
    return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in setting["choices"])

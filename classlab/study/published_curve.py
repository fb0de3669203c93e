"""PublishedCurve: figures that somebody else published, for a study that asks which of its variants gave them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from classlab import metrics
from classlab.errors import UserError, did_you_mean, listing
from classlab.validation import Section, sentence
from classlab.yaml_text import read_yaml, value_text

FACTS = ("parameters", "steps", "classes", "epochs")  # what is counted, and not trained
MOST_FIGURES = 5_000


class PublishedFigure(Section):
    """One published figure, as it was printed."""

    metric: str = Field(
        description="train_loss, val_accuracy, … of the epoch, or without one of the selected epoch; best_val_accuracy "
        "and the like; or what is counted: parameters, steps (of an epoch), classes, epochs"
    )
    epoch: Annotated[int, Field(ge=1)] | Literal["first", "best", "last", "selected"] | None = None
    value: float | None = Field(default=None, description="a loss, a share from 0 to 1, or a count")
    percent: float | None = Field(default=None, description="an accuracy in per cent")

    @pydantic.model_validator(mode="after")
    def _check(self) -> "PublishedFigure":
        known = [*metrics.NAMES, *FACTS]
        if self.metric not in FACTS and not metrics.PATTERN.fullmatch(self.metric):
            hint = did_you_mean(self.metric, known) or ";"
            raise ValueError(f"{value_text(self.metric)} is not a metric{hint} for example: {listing(known, 8)}")
        if (self.value is None) == (self.percent is None):
            got = "neither" if self.value is None else "both"
            raise ValueError(f"{self.words} needs value or percent, one of them; got {got}")
        if self.epoch is not None and not self.takes_epoch:
            raise ValueError(f"{self.metric} takes no epoch; got {value_text(self.epoch)}")
        self._check_number()
        return self

    def _check_number(self) -> None:
        """Raise ValueError for a number that the metric cannot be."""
        number = self.value if self.percent is None else self.percent
        if self.is_fact:
            if self.percent is not None or number != int(number or 0) or (number or 0) < 1:
                raise ValueError(f"{self.metric} must be a whole number from 1, as value; got {value_text(number)}")
        elif not self.is_share:
            if self.percent is not None:
                raise ValueError(
                    f"{self.words} is not an accuracy; write value: {value_text(self.percent)}, not percent"
                )
            if self.value is not None and self.value < 0:
                raise ValueError(f"{self.words} must be at least 0; got {value_text(self.value)}")
        elif self.value is not None and not 0 <= self.value <= 1:
            raise ValueError(
                f"{self.words} as value must be from 0 to 1; got {value_text(self.value)}; per cents are percent"
            )
        elif self.percent is not None and not 0 <= self.percent <= 100:
            raise ValueError(f"{self.words} as percent must be from 0 to 100; got {value_text(self.percent)}")

    @property
    def is_fact(self) -> bool:
        """Whether it is counted without training."""
        return self.metric in FACTS

    @property
    def is_share(self) -> bool:
        """Whether it is a share of images, or a difference of two."""
        return metrics.scale(self.metric).factor == 100

    @property
    def takes_epoch(self) -> bool:
        """Whether an epoch says of which one it is; best_val_loss and parameters say so themselves."""
        return not self.is_fact and self.metric.split("_")[0] in metrics.SPLITS

    @property
    def base(self) -> str:
        """The metric alone, without which epoch: val_loss of best_val_loss."""
        alone = self.takes_epoch or self.is_fact or self.metric.startswith("spread_")
        return self.metric if alone else self.metric.partition("_")[2]

    @property
    def at(self) -> int | str:
        """The epoch, by its number or as first, best, last, selected; spread for what the last epochs span."""
        return self.epoch or ("selected" if self.takes_epoch else self.metric.partition("_")[0])

    @property
    def measured(self) -> str:
        """What a study calls it: val_loss, best_val_loss; of an epoch with a number the metric alone."""
        return f"{self.at}_{self.base}" if self.at in ("first", "best", "last") else self.base

    @property
    def words(self) -> str:
        """What a sentence calls it: "validation loss of epoch 3", "best test accuracy"."""
        if self.is_fact or self.at == "spread":
            return metrics.words(self.metric)
        name = metrics.words(self.base)
        if isinstance(self.at, int):
            return f"{name} of epoch {self.at}"
        return name if self.at == "selected" else f"{self.at} {name}"

    @property
    def printed(self) -> float:
        """The number as it is printed, an accuracy given in per cent as per cent."""
        return self.percent if self.percent is not None else self.value or 0.0

    @property
    def decimals(self) -> int:
        """How many decimals the number is written with."""
        exponent = Decimal(repr(self.printed)).normalize().as_tuple().exponent
        return max(0, -exponent) if isinstance(exponent, int) else 0


class PublishedCurve(Section):
    """Figures that were published of one run. source: where."""

    source: str = ""
    figures: Annotated[list[PublishedFigure], Field(min_length=1, max_length=MOST_FIGURES)]

    @pydantic.model_validator(mode="after")
    def _check_once(self) -> "PublishedCurve":
        seen: set[tuple[str, int | str]] = set()
        for figure in self.figures:
            if (figure.base, figure.at) in seen:
                raise ValueError(f"{figure.words} is given twice; a figure counts once")
            seen.add((figure.base, figure.at))
        if all(figure.is_fact for figure in self.figures):
            raise ValueError("figures needs a loss or an accuracy; what is counted alone is decided without a study")
        return self

    @property
    def trained(self) -> list[PublishedFigure]:
        """The figures that training decides."""
        return [figure for figure in self.figures if not figure.is_fact]

    @property
    def facts(self) -> dict[str, int]:
        """What is counted, by its name."""
        return {figure.metric: int(figure.printed) for figure in self.figures if figure.is_fact}

    def ends(self, figure: PublishedFigure) -> tuple[float, float]:
        """Return the lowest and the highest number that a figure stands for, a fraction for per cents.

        It was rounded to the last digit that any figure of its metric has: of 0.4593 and 0.46 the second is 0.4600.
        """
        alike = [f for f in self.trained if f.base == figure.base and (f.percent is None) == (figure.percent is None)]
        half = 0.5 * 10.0 ** -max(f.decimals for f in alike)
        scale = 0.01 if figure.percent is not None else 1.0
        low, high = max(0.0, figure.printed - half) * scale, (figure.printed + half) * scale
        return low, min(1.0, high) if figure.is_share else high

    def reached(self, epochs: Sequence[int]) -> list[PublishedFigure]:
        """Return the figures that runs can be compared with of which some train each of these numbers of epochs.

        Shortened runs have not come to the later epochs, and their best or last one is another than the published.
        """
        most = max(epochs)
        numbered = [figure.at for figure in self.trained if isinstance(figure.at, int)]
        whole = most >= max([*numbered, self.facts.get("epochs", 0)])
        return [
            figure
            for figure in self.trained
            if figure.at == "first" or (figure.at <= most if isinstance(figure.at, int) else whole)
        ]


def load(file: Path) -> PublishedCurve:
    """Return the curve in a YAML file. Raises UserError with the first thing that is wrong."""
    fields = read_yaml(file)
    if not isinstance(fields, dict):
        raise UserError(f"{file} must hold a published curve (figures: a list), got {value_text(fields)}")
    return checked(fields, str(file))


def checked(fields: Mapping[str, Any], where: str) -> PublishedCurve:
    """Return the curve that a mapping states. where: what a sentence names it by. Raises UserError."""
    try:
        return PublishedCurve(**{str(key): value for key, value in fields.items()})
    except pydantic.ValidationError as error:
        raise UserError(f"{where}: {sentence(error, PublishedCurve, 'a published curve')}") from None

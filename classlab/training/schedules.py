"""Schedules, the learning-rate plans. Every public function is one: the factor on the optimizer's learning rate.

One that plans the momentum too returns the pair (factor, momentum).

step: the update about to be made, from 0. steps: how many there are in all. steps_per_epoch: how many an epoch.
losses: the watched loss of every epoch done.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from classlab.errors import UserError

Percent = Annotated[float, Field(ge=0, lt=100)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


def constant() -> float:
    """The same learning rate throughout."""
    return 1.0


def step(
    step: int,
    steps_per_epoch: int,
    every_epochs: Annotated[int, Field(ge=1)] = 10,
    factor: Annotated[float, Field(gt=0)] = 0.1,
) -> float:
    """Multiply by `factor` after every `every_epochs` epochs."""
    return factor ** (step // steps_per_epoch // every_epochs)


def cosine(step: int, steps: int) -> float:
    """Half a cosine from the learning rate down to zero."""
    return (1 + math.cos(math.pi * step / steps)) / 2


def one_cycle(
    step: int,
    steps: int,
    steps_per_epoch: int,
    warmup_percent: Percent = 30.0,
    start_factor: Annotated[float, Field(gt=0, le=1)] = 0.04,
    end_factor: Annotated[float, Field(ge=0, le=1)] = 4e-6,
    peak_epoch: Annotated[float, Field(gt=0)] | None = None,
    shape: Literal["cosine", "linear"] = "cosine",
    min_momentum: Momentum | None = None,
    max_momentum: Momentum | None = None,
) -> float | tuple[float, float]:
    """Up to the learning rate during the warm-up, then down, by half a cosine or a line each (Smith and Topin, 2018).

    peak_epoch: the warm-up ends with this epoch, in place of warmup_percent. min_momentum, max_momentum: the momentum,
    or Adam's beta1, goes from the highest to the lowest as the rate goes up, and back.
    The defaults are those of torch.optim.lr_scheduler.OneCycleLR, whose momentum goes between 0.85 and 0.95.
    Raises UserError for one limit of the momentum without the other, or the two exchanged.
    """
    warmup = warmup_percent / 100 * steps if peak_epoch is None else peak_epoch * steps_per_epoch
    peak, between = max(warmup - 1, 0), _between if shape == "cosine" else _on_a_line
    rises = step <= peak and peak > 0
    share = step / peak if rises else (step - peak) / max(steps - 1 - peak, 1)
    factor = between(start_factor, 1.0, share) if rises else between(1.0, end_factor, share)
    if min_momentum is None and max_momentum is None:
        return factor
    if min_momentum is None or max_momentum is None or min_momentum > max_momentum:
        raise UserError(
            "schedule one_cycle: min_momentum and max_momentum are given together, the lower first; "
            f"got {min_momentum} and {max_momentum}"
        )
    return factor, between(*((max_momentum, min_momentum) if rises else (min_momentum, max_momentum)), share)


def warm_up(
    step: int,
    steps: int,
    steps_per_epoch: int,
    warmup_epochs: Annotated[float, Field(gt=0)] = 1.0,
    then: Literal["constant", "linear", "cosine"] = "constant",
) -> float:
    """A straight line up to the learning rate during the warm-up, then the same rate, or a line or cosine to zero."""
    warmup = warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (math.floor(warmup) + 1)
    share = (step - warmup) / max(steps - warmup, 1)
    if then == "linear":
        return 1 - share
    return _between(1.0, 0.0, share) if then == "cosine" else 1.0


def plateau(
    losses: Sequence[float],
    patience_epochs: Annotated[int, Field(ge=0)] = 10,
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    threshold_percent: Percent = 0.01,
) -> float:
    """Multiply by `factor` whenever the loss has not fallen for more than `patience_epochs` epochs.

    losses: one for each epoch done, the validation loss where there is one, else the training loss. A fall counts from
    `threshold_percent` below the lowest so far. The defaults are torch.optim.lr_scheduler.ReduceLROnPlateau's.
    """
    result, lowest, waited = 1.0, math.inf, 0
    for loss in losses:
        fell = loss < lowest * (1 - threshold_percent / 100)
        lowest, waited = (loss, 0) if fell else (lowest, waited + 1)
        if waited > patience_epochs:
            result, waited = result * factor, 0
    return result


def _on_a_line(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2

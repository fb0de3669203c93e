"""Schedules, the learning-rate plans. Every public function is one: the factor on the optimizer's learning rate.

step: the update about to be made, from 0. steps: how many there are in all. steps_per_epoch: how many an epoch.
losses: the watched loss of every epoch done.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

Percent = Annotated[float, Field(ge=0, lt=100)]


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
    warmup_percent: Percent = 30.0,
    start_factor: Annotated[float, Field(gt=0, le=1)] = 0.04,
    end_factor: Annotated[float, Field(ge=0, le=1)] = 4e-6,
) -> float:
    """Half a cosine up to the learning rate during the warm-up, then half a cosine down (Smith and Topin, 2018).

    The defaults are those of torch.optim.lr_scheduler.OneCycleLR.
    """
    peak = warmup_percent / 100 * steps - 1
    last = steps - 1
    if step <= peak and peak > 0:
        return _between(start_factor, 1.0, step / peak)
    return _between(1.0, end_factor, (step - max(peak, 0)) / max(last - max(peak, 0), 1))


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


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2

"""Loss, schedule and optimizer of an experiment; what the reader's own ones return is checked."""

import math
import sys
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from classlab.data import reader_functions
from classlab.errors import UserError
from classlab.experiment import Choice, Training
from classlab.training.mixings import MixedLabels
from classlab.training.task import reconstructs


def loss(choice: Choice) -> Callable[..., Tensor]:
    """Return the loss: of outputs, targets, inputs and clean, as training.losses tells. A call may raise UserError."""
    wanted = "the mean over the batch, a tensor of no dimension"
    return reader_functions.bind("loss", choice, lambda given, _: isinstance(given, Tensor) and given.ndim == 0, wanted)


def mixing(plan: Training) -> "Callable[[Tensor, Tensor, np.random.Generator], tuple[Tensor, MixedLabels]] | None":
    """Return what mixes a batch's images and labels, None where nothing does. Raises UserError without classes."""
    if plan.mixing is None:
        return None
    if reconstructs(plan.loss):
        raise UserError(f"training.mixing mixes labels, and the loss {plan.loss.name} has none")
    mixes = reader_functions.bind("mixing", plan.mixing, _is_mixed, "images and the share of their own labels, ½ to 1")

    def mix(images: Tensor, labels: Tensor, random: np.random.Generator) -> tuple[Tensor, MixedLabels]:
        order = torch.from_numpy(random.permutation(len(images))).to(images.device)
        mixed, share = mixes(images=images, others=images[order], random=random)
        return mixed, MixedLabels(labels, labels[order], share)

    return mix


def _is_mixed(given: Any, _: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Tensor) and 0.5 <= given[1] <= 1


def of_both(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a loss that also takes mixed labels: the mean of the losses of both, weighted by their shares."""

    def weighted(outputs: Tensor, targets: Tensor | MixedLabels, inputs: Tensor, clean: Tensor) -> Tensor:
        if not isinstance(targets, MixedLabels):
            return loss(outputs=outputs, targets=targets, inputs=inputs, clean=clean)
        both = (loss(outputs=outputs, targets=labels, inputs=inputs, clean=clean) for labels in targets[:2])
        return targets.share * next(both) + (1 - targets.share) * next(both)

    return weighted


def schedule(plan: Training) -> Callable[..., tuple[float, float | None]]:
    """Return the schedule with its warm-up: of what training.schedules tells. A call may raise UserError.

    It returns the factor on the rate, and the momentum, None where the schedule leaves it as it is.
    """
    planned = reader_functions.bind(
        "schedule", plan.schedule, _is_planned, "a number, the factor on the rate, or that and the momentum"
    )

    warmup_epochs = plan.warmup_epochs

    def rates(step: int, steps: int, steps_per_epoch: int, losses: tuple[float, ...]) -> tuple[float, float | None]:
        given = planned(step=step, steps=steps, steps_per_epoch=steps_per_epoch, losses=losses)
        factor, momentum = given if isinstance(given, tuple) else (given, None)
        warmup = warmup_epochs * steps_per_epoch
        return (factor * (step + 1) / (math.floor(warmup) + 1) if step < warmup else factor), momentum

    return rates


def _is_planned(given: Any, _: Any) -> bool:
    if isinstance(given, tuple):
        return len(given) == 2 and all(isinstance(value, Real) for value in given)
    return isinstance(given, Real)


def set_rates(optimizer: Optimizer, peak_rates: list[float], factor: float, momentum: float | None) -> None:
    """Set the learning rate of the next step, and its momentum (Adam's beta1) where the schedule plans it.

    Raises UserError where the optimizer has no momentum to plan.
    """
    for group, peak in zip(optimizer.param_groups, peak_rates, strict=True):
        group["lr"] = peak * factor
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group.get("momentum"):
            group["momentum"] = momentum
        else:
            raise UserError(
                "the schedule plans the momentum and the optimizer has none: set training.optimizer.momentum=0.9"
            )


def optimizer(choice: Choice, model: nn.Module) -> Optimizer:
    """Return the optimizer of those of the model's parameters that are to be trained. Raises UserError without any."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise UserError("the model has no parameter to train: every one has requires_grad off, or there is none")
    _spare_dynamo()
    made = reader_functions.bind(
        "optimizer", choice, lambda given, _: isinstance(given, Optimizer), "a torch.optim.Optimizer"
    )
    return made(parameters=trained)


def _spare_dynamo() -> None:
    """Let optimizers do without torch's dynamo: it takes two seconds to import, and classlab compiles without it.

    Methods that dynamo must not trace import it when they are first called, to say so; unless it is noted already.
    """
    for method in vars(Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and "torch._dynamo" not in sys.modules:
            vars(plain).setdefault("__dynamo_disable", plain)

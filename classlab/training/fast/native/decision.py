"""Whether a run's step is native: where the network can have one, the training is long enough, and it is faster."""

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from torch import nn

from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.training import choices
from classlab.training.fast import replacements
from classlab.training.fast.native import library, step_source, trial
from classlab.training.fast.native.native_evaluation import evaluation_layout
from classlab.training.fast.native.native_step import lay_out
from classlab.training.fast.native.stages import NotNativeError
from classlab.training.fast.native.step_layout import Layout
from classlab.training.settings import Settings

# Building takes one to four seconds, and is done once for all seeds and learning rates. So a training must be worth it,
# by a forecast that is the same on every day: the same run shall be made in the same way. On one core torch takes at
# least 50 µs for each layer, forward and backward, and does some 60 GFLOP/s (docs/log.md).
WORTH_SECONDS = 1.0
SECONDS_A_LAYER, FLOPS = 50e-6, 60e9
CLEARLY = 1.05  # times as fast: less is no reason for another order of sums


def decide(
    settings: Settings, experiment: Experiment, model: nn.Module, input_shape: tuple[int, ...], images: int,
    multiply_adds: int | None,
) -> tuple[Settings, str]:  # fmt: skip
    """Return the settings, native where the step is to be, and a sentence that says which step it is and why.

    images: how many an epoch trains on. multiply_adds: of one image's way through the network.
    Raises UserError where the experiment asks for the native step and there can be none.
    """
    plan = experiment.training
    if plan.compile is True:
        raise UserError("training.compile is true, and there is no compiled step any more; set training.native=auto")
    if plan.native is False:
        return settings, "torch's step, as the experiment asks"
    if plan.native == "auto" and _forecast(experiment, model, images, multiply_adds) < WORTH_SECONDS:
        return settings, "torch's step: the training is too short to build a native one"
    try:
        layout, ready = plan_layout(settings, experiment, model, input_shape)
        forward = evaluation_layout(layout)
        with ThreadPoolExecutor() as threads:  # two calls of the compiler at a time
            built, evaluation = threads.map(library.build, (step_source.text(layout), step_source.text(forward)))
        gain = trial.step_gain(layout, built, ready, experiment, settings)
    except NotNativeError as error:
        if plan.native is True:
            raise UserError(
                f"training.native: a native step is not possible: {error}; set training.native=auto"
            ) from None
        return settings, f"torch's step; a native step is not possible: {error}"
    if gain < CLEARLY and plan.native == "auto":
        return settings, f"torch's step: the native one is {gain:.2f} times as fast here"
    evaluates = trial.evaluation_gain(forward, evaluation, ready, settings) >= CLEARLY
    settings = replace(settings, native=built.digest, native_evaluation=evaluation.digest if evaluates else "")
    return settings, f"the native step, {gain:.1f} times as fast as torch's here; built by {built.compiler}"


def plan_layout(
    settings: Settings, experiment: Experiment, model: nn.Module, input_shape: tuple[int, ...]
) -> tuple[Layout, nn.Module]:
    """Return the layout of the step, and a copy of the network as it is trained. Raises NotNativeError."""
    ready = replacements.quicken(copy.deepcopy(model))
    ready = ready.double() if settings.precision == "fp64" else ready
    optimizer = choices.optimizer(experiment.training.optimizer, ready)
    return lay_out(ready, experiment, optimizer, settings, input_shape), ready


def _forecast(experiment: Experiment, model: nn.Module, images: int, multiply_adds: int | None) -> float:
    """Return the seconds that the training's steps would take with torch on one core; 0 where that is not known."""
    if multiply_adds is None:
        return 0.0
    plan = experiment.training
    layers = sum(1 for layer in model.modules() if not list(layer.children()))
    steps = plan.epochs * math.ceil(images / plan.batch_size)
    return steps * layers * SECONDS_A_LAYER + 6 * plan.epochs * images * multiply_adds / FLOPS

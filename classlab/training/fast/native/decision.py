"""Whether a run's step is native: where the network can have one, the training is long enough, and it is faster."""

import copy
import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from classlab import files, limits
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.training import choices
from classlab.training.fast import replacements
from classlab.training.fast.native import library, step_source
from classlab.training.fast.native.library import Library
from classlab.training.fast.native.native_step import NativeStep, lay_out
from classlab.training.fast.native.stages import NotNativeError
from classlab.training.fast.native.step_layout import Layout
from classlab.training.settings import Settings
from classlab.training.train import in_bf16

# Building takes one to four seconds, and is done once for all seeds and learning rates. So a training must be worth it,
# by a forecast that is the same on every day: the same run shall be made in the same way. On one core torch takes at
# least 50 µs for each layer, forward and backward, and does some 60 GFLOP/s (docs/log.md).
WORTH_SECONDS = 1.0
SECONDS_A_LAYER, FLOPS = 50e-6, 60e9
TRIED_SECONDS, LEAST_ROUNDS = 0.3, 3
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
    if plan.native is True and plan.compile is True:
        raise UserError("training.compile and training.native are both true; a step is one or the other")
    if plan.native is False or plan.compile is True:
        return settings, "torch's step, as the experiment asks"
    if plan.native == "auto" and _forecast(experiment, model, images, multiply_adds) < WORTH_SECONDS:
        return settings, "torch's step: the training is too short to build a native one"
    try:
        layout, ready = plan_layout(settings, experiment, model, input_shape)
        built = library.build(step_source.text(layout))
        gain = _gain(layout, built, ready, experiment, settings)
    except NotNativeError as error:
        if plan.native is True:
            raise UserError(
                f"training.native: a native step is not possible: {error}; set training.native=auto"
            ) from None
        return settings, f"torch's step; a native step is not possible: {error}"
    if gain < CLEARLY and plan.native == "auto":
        return settings, f"torch's step: the native one is {gain:.2f} times as fast here"
    settings = replace(settings, native=built.digest, compiled=False)
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


def _gain(layout: Layout, built: Library, model: nn.Module, experiment: Experiment, settings: Settings) -> float:
    """Return how many times as fast as torch's the native step is, as measured once on this machine and kept."""
    folder = library.folder()
    file = folder / f"{built.digest}.json" if folder else None
    if file is not None:
        with suppress(UserError, ValueError, TypeError, KeyError, RecursionError):
            kept = json.loads(files.read_text(file, limits.MACHINE_BYTES))
            return float(kept["torch"]) / float(kept["native"])
    seconds = _try(layout, built, model, experiment, settings)
    if file is not None:
        with suppress(UserError):
            files.write(file, json.dumps(seconds) + "\n")
    return seconds["torch"] / seconds["native"]


def _try(
    layout: Layout, built: Library, model: nn.Module, experiment: Experiment, settings: Settings
) -> dict[str, float]:
    """Return the seconds of the shortest step of each kind, made by turns on a batch of noise."""
    plan, form = experiment.training, layout.form
    order = torch.channels_last if settings.channels_last else torch.contiguous_format
    model = model.to(memory_format=order)  # pyrefly: ignore[no-matching-overload]
    random = torch.Generator().manual_seed(0)
    dtype = torch.float64 if settings.precision == "fp64" else torch.float32
    inputs = torch.randn(plan.batch_size, *form.image, generator=random, dtype=dtype).contiguous(memory_format=order)
    targets = torch.zeros(plan.batch_size, dtype=torch.int64)
    totals = torch.zeros(2, dtype=torch.float64)
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(settings.threads)
        try:
            twin = copy.deepcopy(model)
            native = NativeStep(built.handle, layout, twin, choices.optimizer(plan.optimizer, twin))
            steps: dict[str, Callable[[], Any]] = {
                "torch": _torch_step(model, experiment, settings, inputs, targets),
                "native": lambda: native.step(inputs, targets, totals),
            }
            best = dict.fromkeys(steps, math.inf)
            ends, rounds = time.perf_counter() + TRIED_SECONDS, 0
            while rounds < LEAST_ROUNDS or time.perf_counter() < ends:
                for name, step in steps.items():
                    began = time.perf_counter()
                    step()
                    best[name] = min(best[name], time.perf_counter() - began)
                rounds += 1
            native.ends()
            return best
        finally:
            torch.set_num_threads(before)


def _torch_step(
    model: nn.Module, experiment: Experiment, settings: Settings, inputs: Tensor, targets: Tensor
) -> Callable[[], None]:
    loss_function = choices.loss(experiment.training.loss)
    optimizer = choices.optimizer(experiment.training.optimizer, model)
    forward = in_bf16(model.train(), settings.device) if settings.precision == "bf16" else model.train()

    def step() -> None:
        loss = loss_function(outputs=forward(inputs), targets=targets, inputs=inputs, clean=inputs)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step

"""How many times as fast as torch's the native step and evaluation are: tried by turns on this machine, and kept."""

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from classlab import files, limits
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.training import choices
from classlab.training.evaluate import EVALUATION_BATCH
from classlab.training.fast.native import library
from classlab.training.fast.native.library import Library
from classlab.training.fast.native.native_evaluation import NativeEvaluation
from classlab.training.fast.native.native_step import NativeStep
from classlab.training.fast.native.step_layout import Layout
from classlab.training.settings import Settings
from classlab.training.train import in_bf16

SECONDS, LEAST_ROUNDS = 0.3, 3
Sides = Mapping[str, Callable[[], Any]]  # "torch" and "native": the same work


def step_gain(layout: Layout, built: Library, model: nn.Module, experiment: Experiment, settings: Settings) -> float:
    """Return how many times as fast as torch's the native step is. The weights of `model` are changed."""

    def sides() -> Sides:
        plan = experiment.training
        inputs = _noise(layout, model, settings, plan.batch_size)
        targets, totals = torch.zeros(plan.batch_size, dtype=torch.int64), torch.zeros(2, dtype=torch.float64)
        native = NativeStep(built, layout, choices.optimizer(plan.optimizer, model))
        return {
            "torch": _torch_step(model, experiment, settings, inputs, targets),
            "native": lambda: native.step(inputs, targets, totals),
        }

    return _gain(built, sides, settings)


def evaluation_gain(layout: Layout, built: Library, model: nn.Module, settings: Settings) -> float:
    """Return how many times as fast as torch's the native evaluation is."""

    def sides() -> Sides:
        inputs, native = _noise(layout, model, settings, EVALUATION_BATCH), NativeEvaluation(built, layout)
        evaluated = model.eval()
        return {"torch": torch.no_grad()(lambda: evaluated(inputs)), "native": lambda: native(inputs)}

    return _gain(built, sides, settings)


def _gain(built: Library, sides: Callable[[], Sides], settings: Settings) -> float:
    """Return what was kept of an earlier trial of this library, else try."""
    folder = library.folder()
    file = folder / f"{built.digest}.json" if folder else None
    if file is not None:
        with suppress(UserError, ValueError, TypeError, KeyError, RecursionError):
            kept = json.loads(files.read_text(file, limits.MACHINE_BYTES))
            return float(kept["torch"]) / float(kept["native"])
    seconds = _try(sides, settings.threads)
    if file is not None:
        with suppress(UserError):
            files.write(file, json.dumps(seconds) + "\n")
    return seconds["torch"] / seconds["native"]


def _try(sides: Callable[[], Sides], threads: int) -> dict[str, float]:
    """Return the seconds of the shortest call of each side, made by turns."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(threads)
        try:
            made = sides()
            best = dict.fromkeys(made, math.inf)
            ends, rounds = time.perf_counter() + SECONDS, 0
            while rounds < LEAST_ROUNDS or time.perf_counter() < ends:
                for name, call in made.items():
                    began = time.perf_counter()
                    call()
                    best[name] = min(best[name], time.perf_counter() - began)
                rounds += 1
            return best
        finally:
            torch.set_num_threads(before)


def _noise(layout: Layout, model: nn.Module, settings: Settings, count: int) -> Tensor:
    """Return a batch of noise, and bring the network's weights into the same order of memory."""
    order = torch.channels_last if settings.channels_last else torch.contiguous_format
    model.to(memory_format=order)  # pyrefly: ignore[no-matching-overload]
    random = torch.Generator().manual_seed(0)
    dtype = torch.float64 if settings.precision == "fp64" else torch.float32
    return torch.randn(count, *layout.form.image, generator=random, dtype=dtype).contiguous(memory_format=order)


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

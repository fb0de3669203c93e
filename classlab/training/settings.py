"""Where and how the arithmetic is done: device, precision, threads. Chosen once, kept with the run and on resume."""

import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from classlab.errors import UserError, did_you_mean
from classlab.experiment import Training
from classlab.training.fast import machine
from classlab.training.fast.cores import cores

MIN_BATCH_FOR_BF16 = 64
# Below so many multiply-adds a step, threads wait for each other longer than they work, and without convolutions bf16
# spends more on casting than it saves (docs/log.md). Where the machine was measured at rest, its own figure counts.
MIN_WORK_FOR_THREADS = 50_000_000
# So many times that where a second thread would take the core on which images are prepared beside the step, and the
# network has no convolutions: preparing is more of the work then (docs/log.md).
TWO_WITHOUT_CONVOLUTIONS = 4
# A product of matrices must be so much faster in bf16, for what surrounds it becomes slower.
MIN_PRODUCT_GAIN = 2.0


@dataclass(frozen=True)
class Settings:
    """What decides the bits of a run besides its experiment and its seed."""

    device: str
    precision: str  # fp32, bf16 or fp64; under bf16 weights, losses and statistics are fp32
    channels_last: bool
    threads: int
    native: str = ""  # the digest of the library that makes the steps, where they are native
    native_evaluation: str = ""  # and of the one that evaluates after each epoch

    def to_json(self) -> dict[str, Any]:
        """Return the fields, as they are written into environment.json."""
        return asdict(self)


def choose(
    device: str | None,
    plan: Training,
    model: nn.Module,
    multiply_adds: int | None,
    threads: int | None = None,
) -> Settings:
    """Return the settings for a run.

    device: None takes a CUDA device when there is one. plan: what the experiment says of the training; its precision is
    kept, auto is decided here. multiply_adds: those of one image's way through the model, None where unknown.
    threads: None takes one where two would wait longer than they work.
    Raises UserError for a device that is unknown, not there or without the precision asked for.
    """
    name = check_device(device)
    convolutions = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
    work = math.inf if multiply_adds is None else plan.batch_size * multiply_adds
    small = work < least_work_for_threads(name)
    precision = plan.precision
    if precision == "auto":
        known_large = multiply_adds is not None and not small
        pays = plan.batch_size >= MIN_BATCH_FOR_BF16 and (convolutions or known_large)
        depthwise = any(
            isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels for layer in model.modules()
        )
        precision = "bf16" if pays and _bf16_pays(name, convolutions, depthwise) else "fp32"
    if precision == "fp64" and name.startswith("mps"):
        raise UserError("training.precision fp64 is not available on the device mps; use cpu")
    if threads is None:
        threads = 1 if work < least_work_for_threads(name, convolutions) else torch.get_num_threads()
    return Settings(name, precision, convolutions, threads)


def least_work_for_threads(device: str, convolutions: bool = True) -> int:
    """Return the multiply-adds of a step from which more than one thread pays, as measured once on this machine."""
    if device != "cpu" or torch.get_num_threads() == 1:
        return MIN_WORK_FOR_THREADS
    measured = machine.cached(device)
    factor = TWO_WITHOUT_CONVOLUTIONS if not convolutions and torch.get_num_threads() == cores() == 2 else 1
    return factor * (MIN_WORK_FOR_THREADS if measured.was_busy else measured.work_for_threads)


def _bf16_pays(device: str, convolutions: bool, depthwise: bool = False) -> bool:
    """Whether a large step is faster in bf16: the device has it, and on a processor it was measured to pay.

    depthwise: whether some convolution is; it has little arithmetic, so bf16 may cost it more than the others gain.
    """
    if not has_bf16(device) or device != "cpu":
        return has_bf16(device)
    measured = machine.cached(device)
    gain = measured.bf16_gflops / measured.fp32_gflops
    if depthwise and (measured.depthwise_bf16_ratio or 0.0) <= 1:
        return False
    return measured.conv_bf16_ratio > 1 if convolutions else gain > MIN_PRODUCT_GAIN


def has_bf16(device: str) -> bool:
    """Whether the device computes in bfloat16 itself; emulating it would be slower than fp32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def check_device(given: str | None) -> str:
    """Return the device's name; None takes a CUDA device when there is one. Raises UserError where it is not there."""
    if given is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    known = ["cpu", "cuda", "mps"]
    kind, _, number = given.partition(":")
    if kind not in known or (number and not number.isdigit()):
        meant = "; did you mean cuda?" if kind in ("gpu", "nvidia") else did_you_mean(kind, known) or ";"
        raise UserError(f"there is no device {given!r}{meant} known: cpu, cuda, cuda:N, mps")
    if kind == "cuda" and not (torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()):
        raise UserError(
            f"device {given} is not on this machine: it has {torch.cuda.device_count()} CUDA devices; use cpu"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("device mps is not on this machine; use cpu")
    return given


def sums(settings: Settings, count: int) -> torch.Tensor:
    """Return so many zeros to add up in: float64, or float32 on mps, which has nothing wider."""
    dtype = torch.float32 if settings.device.startswith("mps") else torch.float64
    return torch.zeros(count, device=settings.device, dtype=dtype)


_at_work: list[object] = []


@contextmanager
def isolated(settings: Settings) -> Iterator[None]:
    """Work with the settings' threads and on a copy of torch's random state; the session's own come back at the end.

    What is begun inside must end inside. Two trainings that take turns would draw from each other's random state, and
    neither would be repeatable: Raises UserError where that happened.
    """
    threads, mark = torch.get_num_threads(), object()
    _at_work.append(mark)
    devices = [torch.device(settings.device)] if settings.device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        torch.set_num_threads(settings.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            in_turns = _at_work.pop() is not mark
    if in_turns:
        raise UserError(
            "two runs were trained in turns in one process, which mixes up their random numbers; "
            "train one after the other, or each in a process of its own"
        )


def environment() -> dict[str, Any]:
    """Return what a reader needs to judge a time: versions, processor, cores."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": machine.processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }

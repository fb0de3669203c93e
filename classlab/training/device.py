"""Where and how the arithmetic is done: device, precision, threads. Chosen once, kept with the run and on resume."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from classlab.errors import UserError, did_you_mean

MIN_BATCH_FOR_BF16 = 64
# Below this many multiply-adds a step, two threads wait for each other longer than they work.
MIN_WORK_FOR_THREADS = 50_000_000


@dataclass(frozen=True)
class Settings:
    """What decides the bits of a run besides its experiment and its seed."""

    device: str
    precision: str  # fp32 or bf16; weights, losses and statistics are fp32 either way
    channels_last: bool
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields, as they are written into environment.json."""
        return asdict(self)


def choose(
    device: str | None, precision: str, model: nn.Module, batch_size: int, multiply_adds: int | None
) -> Settings:
    """Return the settings for a run.

    multiply_adds: those of one image's way through the model; small steps are done by one thread. None: unknown.

    device: None takes a CUDA device when there is one. precision: auto takes bf16 for convolutions in large batches
    where the processor computes in it. Raises UserError for a device that is unknown or not there.
    """
    name = _device(device)
    convolutions = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
    if precision == "auto":
        pays = convolutions and batch_size >= MIN_BATCH_FOR_BF16
        precision = "bf16" if pays and has_bf16(name) else "fp32"
    small = multiply_adds is not None and batch_size * multiply_adds < MIN_WORK_FOR_THREADS
    threads = 1 if small else torch.get_num_threads()
    return Settings(name, precision, convolutions, threads)


def has_bf16(device: str) -> bool:
    """Whether the device computes in bfloat16 itself; emulating it would be slower than fp32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _device(given: str | None) -> str:
    if given is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    known = ["cpu", "cuda", "mps"]
    kind, _, number = given.partition(":")
    if kind not in known or (number and not number.isdigit()):
        raise UserError(f"there is no device {given!r}{did_you_mean(kind, known) or ';'} known: cpu, cuda, cuda:N, mps")
    if kind == "cuda" and not (torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()):
        raise UserError(
            f"device {given} is not on this machine: it has {torch.cuda.device_count()} CUDA devices; use cpu"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("device mps is not on this machine; use cpu")
    return given


@contextmanager
def isolated(settings: Settings) -> Iterator[None]:
    """Work with the settings' threads and on a copy of torch's random state; the session's own come back at the end."""
    threads = torch.get_num_threads()
    devices = [torch.device(settings.device)] if settings.device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        torch.set_num_threads(settings.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def environment() -> dict[str, Any]:
    """Return what a reader needs to judge a time: versions, processor, cores."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

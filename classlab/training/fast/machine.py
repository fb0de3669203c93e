"""What this machine can do at best: arithmetic, memory, whether bf16 pays. Measured once, in seconds, and kept."""

import functools
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

import torch
import torch.nn.functional as F

from classlab import files, limits
from classlab.data import cache
from classlab.errors import UserError
from classlab.terminal import errors

SECONDS = 0.1  # of each measurement; the best time counts, which other work on the machine disturbs least
SMALLEST, LARGEST = 256, 8192  # of the square matrices multiplied
CALL_SECONDS = 0.01  # matrices are large enough where one product takes so long
BUSY_SHARE = 0.25  # of the cores, which other processes wanted while it was measured
# The network on which threads are tried out, by how many images: 4 convolutions, 16 to 16 channels on 14 × 14.
TRIED_LAYERS, TRIED_CHANNELS, TRIED_SIDE = 4, 16, 14
TRIED_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TRIED_SECONDS = 0.03
CLEARLY = 0.85  # of one thread's time: less is no gain, for the other core could train something else
COPIED = 2**25  # float32 numbers: more than any cache holds


@dataclass(frozen=True)
class Machine:
    """What was measured on one device, with `threads` threads.

    fp32_gflops, bf16_gflops: of a matrix product, 10⁹ multiplications and additions a second, each counted.
    copy_gb_per_second: bytes read and bytes written, both counted. conv_bf16_ratio: how many times as fast a small
    convolution, forward and backward under autocast, is in bf16 as in fp32; depthwise_bf16_ratio: a depthwise one, None
    where an earlier version measured. work_for_threads: multiply-adds of a step's
    way forward from which all threads are faster than one. load: how many processes wanted a core in the minute before,
    None where the system does not say: above 0 the figures are too low. seconds: of measuring.
    """

    device: str
    processor: str
    torch: str
    threads: int
    fp32_gflops: float
    bf16_gflops: float
    copy_gb_per_second: float
    conv_bf16_ratio: float
    work_for_threads: int
    load: float | None
    seconds: float
    measured_at: str
    depthwise_bf16_ratio: float | None = None

    @property
    def was_busy(self) -> bool:
        """Whether other work took so much of the machine that the figures do not tell what it can do."""
        return self.load is not None and self.load > BUSY_SHARE * (os.cpu_count() or 1)


@functools.cache
def cached(device: str = "cpu", threads: int | None = None) -> Machine:
    """Return what was measured once on this machine; measured now where it never was, or where its file is damaged.

    threads: with how many, None for as many as torch has now.
    """
    file = place(device, threads)
    known = _read(file) if file else None
    if known is None or known.depthwise_bf16_ratio is None:
        errors.print("[dim]measuring this machine, once …[/dim]")
        return renew(device, threads)
    return known


def _read(file: Path) -> Machine | None:
    """Return what was kept in a file, None where that is not what was measured once."""
    try:
        kept = Machine(**json.loads(files.read_text(file, limits.MACHINE_BYTES)))
    except (UserError, ValueError, TypeError, RecursionError):
        return None
    # Text stands where there is a name or a date, and a number everywhere else.
    values = [(field.type, getattr(kept, field.name)) for field in fields(Machine)]
    numbers = (value for kind, value in values if kind is not str and value is not None)
    texts = (value for kind, value in values if kind is str)
    whole = all(type(value) in (int, float) for value in numbers) and all(isinstance(text, str) for text in texts)
    return kept if whole else None


def renew(device: str = "cpu", threads: int | None = None) -> Machine:
    """Measure and keep the result. A folder that takes no file costs nothing but measuring again."""
    measured, file = measure(device, threads), place(device, threads)
    with suppress(UserError):
        if file:
            files.make_folder(file.parent)
            files.write(file, json.dumps(asdict(measured), indent=2) + "\n")
    return measured


def place(device: str = "cpu", threads: int | None = None) -> Path | None:
    """Return the file of what was measured: another torch, processor or number of threads has a file of its own.

    None where there is no home folder to keep it in.
    """
    folder = cache.user_folder()
    if folder is None:
        return None
    known = f"{processor(device)}, torch {torch.__version__}, {threads or torch.get_num_threads()} threads, {device}"
    name = hashlib.sha256(known.encode()).hexdigest()[:12]
    return folder / f"machine-{name}.json"


def measure(device: str = "cpu", threads: int | None = None) -> Machine:
    """Measure the device, in a few seconds. torch's random state is left alone, and so is its number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _measured(device)
    finally:
        torch.set_num_threads(before)


def _measured(device: str) -> Machine:
    began = time.perf_counter()
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    measured = {
        "fp32_gflops": _product(device, torch.float32),
        "bf16_gflops": _product(device, torch.bfloat16),
        "copy_gb_per_second": _copy(device),
        "conv_bf16_ratio": _convolution(device, bf16=False) / _convolution(device, bf16=True),
        "depthwise_bf16_ratio": _convolution(device, False, groups=16) / _convolution(device, True, groups=16),
    }
    return Machine(
        device=device,
        processor=processor(device),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        **{name: float(f"{value:.4g}") for name, value in measured.items()},
        work_for_threads=_work_for_threads() if device == "cpu" else 0,
        load=load,
        seconds=round(time.perf_counter() - began, 2),
        measured_at=datetime.now().isoformat(timespec="seconds"),
    )


def processor(device: str = "cpu") -> str:
    """Return the name of the processor, or of the CUDA device."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _product(device: str, dtype: torch.dtype) -> float:
    """Return the GFLOP/s of a square matrix product, of matrices that keep the device busy for a while."""
    size = SMALLEST
    while True:
        left, right = (torch.full((size, size), 0.5, device=device, dtype=dtype) for _ in range(2))
        result = torch.empty_like(left)
        work = functools.partial(torch.mm, left, right, out=result)
        if size == LARGEST or _best(work, device, 0.0) > CALL_SECONDS:
            return 2 * size**3 / _best(work, device, SECONDS) / 1e9
        size *= 2


def _copy(device: str) -> float:
    source = torch.zeros(COPIED, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / _best(lambda: target.copy_(source), device, SECONDS) / 1e9


def _convolution(device: str, bf16: bool, groups: int = 1) -> float:
    """Return the seconds of a 3 × 3 convolution, 16 to 16 channels, of 64 images of 28 × 28: forward and backward.

    groups: into how many the channels are parted; 16 of them make it depthwise.
    """
    images = torch.full((64, 16, 28, 28), 0.5, device=device).to(memory_format=torch.channels_last).requires_grad_()
    kernels = (
        torch.full((16, 16 // groups, 3, 3), 0.5, device=device).to(memory_format=torch.channels_last).requires_grad_()
    )

    def work() -> None:
        with torch.autocast(device.split(":")[0], torch.bfloat16, bf16):
            output = F.conv2d(images, kernels, groups=groups)
        torch.autograd.grad(output.float().sum(), (images, kernels))

    with torch.enable_grad():
        return _best(work, device, SECONDS)


def _work_for_threads() -> int:
    """Return the multiply-adds of a step from which all threads are clearly faster than one; 0 where there is one."""
    threads = torch.get_num_threads()
    if threads == 1:
        return 0
    kernels = [torch.full((TRIED_CHANNELS, TRIED_CHANNELS, 3, 3), 0.01).requires_grad_() for _ in range(TRIED_LAYERS)]
    an_image = TRIED_LAYERS * TRIED_CHANNELS**2 * 9 * TRIED_SIDE**2
    try:
        for batch in TRIED_BATCHES:
            images = torch.full((batch, TRIED_CHANNELS, TRIED_SIDE, TRIED_SIDE), 0.5)
            work = functools.partial(_step, images, kernels)
            times = []
            for count in (1, threads):
                torch.set_num_threads(count)
                times.append(_best(work, "cpu", TRIED_SECONDS))
            if times[1] < CLEARLY * times[0]:
                return batch * an_image
    finally:
        torch.set_num_threads(threads)
    return TRIED_BATCHES[-1] * an_image


def _step(images: torch.Tensor, kernels: list[torch.Tensor]) -> None:
    with torch.enable_grad():
        for kernel in kernels:
            images = F.conv2d(images, kernel, padding=1).relu()
        torch.autograd.grad(images.sum(), kernels)


def _best(work: Callable[[], object], device: str, seconds: float) -> float:
    """Return the shortest time of one call, after one that does not count; at least one is timed."""
    _timed(work, device)
    best, ends = _timed(work, device), time.perf_counter() + seconds
    while time.perf_counter() < ends:
        best = min(best, _timed(work, device))
    return best


def _timed(work: Callable[[], object], device: str) -> float:
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize(device)
    return time.perf_counter() - began

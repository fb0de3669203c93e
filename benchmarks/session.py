"""A session: training in a process of its own, that goes on for a while when it is told to and stands still in between.

So several ways of training stand side by side, and each has its turn in every round: a machine whose speed drifts slows
all of them. Processes of their own, because threads of one process share what a program has for itself alone: memory's
arenas, and the cores on which OpenMP's threads wait awake.
"""

import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol

from benchmarks.workloads import Workload

# What a turn begins with does not count: caches fill, and a loader's workers have nothing ready yet.
RUN_IN_STEPS, RUN_IN_SHARE = 5, 0.15
JOINING = 10  # seconds


class Tick(Protocol):
    """What training calls after each step. rest: called where a turn ends, to stop what would go on by itself."""

    def __call__(self, images: int, rest: Callable[[], None] | None = None) -> None: ...


class Session:
    """One way of training a workload, in its steady state between its turns."""

    def __init__(self, workload: Workload, side: str, device: str, processes: int = 1, **options: Any) -> None:
        """Begin. side: a way of `_work`, options: its own. processes: of a study, each of them with one thread.

        start_up: the seconds from the dataset in memory to the end of the first step, of the last process.
        """
        context = get_context("spawn")
        pairs = [context.Pipe() for _ in range(processes)]
        self._pipes = [ours for ours, _ in pairs]
        threads = 1 if processes > 1 else None
        with _threads_of_openmp(threads):
            self._processes = [
                context.Process(target=_serve, args=(theirs, workload, side, device, threads, options))
                for _, theirs in pairs
            ]
            for process in self._processes:
                process.start()
        for _, theirs in pairs:
            theirs.close()
        self.start_up = max(self._answers())

    def turn(self, seconds: float) -> float:
        """Train for so many seconds; return the images a second, without the turn's first steps."""
        for pipe in self._pipes:
            pipe.send(seconds)
        return sum(self._answers())

    def close(self) -> None:
        """End the training."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(JOINING)
            if process.is_alive():
                process.kill()

    def _answers(self) -> list[float]:
        try:
            return [pipe.recv() for pipe in self._pipes]
        except EOFError:
            raise RuntimeError("a session's training ended; what it said stands above") from None


@contextmanager
def _threads_of_openmp(count: int | None) -> Iterator[None]:
    """Let processes started meanwhile have so many threads, as a study's workers do; None: as many as they like."""
    before = os.environ.get("OMP_NUM_THREADS")
    if count is not None:
        os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        if count is not None:
            os.environ.pop("OMP_NUM_THREADS")
            if before is not None:
                os.environ["OMP_NUM_THREADS"] = before


class _EndOfSession(BaseException):
    """Ends the training of a session that is closed."""


def _serve(
    pipe: Connection, workload: Workload, side: str, device: str, threads: int | None, options: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # so that compiling is timed as the first time
        from benchmarks.workloads import make

        task, work = make(workload, device, threads), _work(side)
        _warm_up()
        try:
            work(task, _Turns(pipe, device).tick, **options)
            raise RuntimeError(f"the training of {side} ended by itself")
        except _EndOfSession:
            pass


def _work(side: str) -> Callable[..., None]:
    """Return the function of a way of training; the libraries it needs are imported."""
    from benchmarks import peers, sides
    from benchmarks.vision import torchvision

    if side in ("reports", "reports_loader", "lightning"):
        torchvision()
    if side == "lightning":
        import pytorch_lightning  # noqa: F401
    if side == "skorch":
        import skorch  # noqa: F401
    ways = {"loader": sides.loader_alone, "step": sides.step_alone, "reports_loader": sides.reports_loader_alone}
    ways |= {"torch_step": functools.partial(sides.step_alone, native=False)}
    ways |= {"classlab": sides.classlab, "reports": sides.reports, "plain": sides.plain}
    ways |= {"lightning": peers.lightning, "skorch": peers.skorch}
    return ways[side]


def _warm_up() -> None:
    """Do once what the first training in a process does: load torch's optimizers."""
    import torch

    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()


class _Turns:
    """What a training process counts, and where it stands still."""

    def __init__(self, pipe: Connection, device: str) -> None:
        self._pipe, self._device = pipe, device
        self._began, self._images = time.perf_counter(), 0
        self._run_in = self._length = self._share = self._ends = 0.0
        self._is_first = True

    def tick(self, images: int, rest: Callable[[], None] | None = None) -> None:
        """Count a step; at a turn's end, tell its images a second and wait for the next."""
        self._images += images
        now = time.perf_counter()
        if self._is_first:
            self._is_first = False
            self._stand_still(self._now() - self._began, rest)
        elif self._run_in:
            self._run_in -= self._run_in > 1 or now >= self._share
            if self._run_in == 0:
                self._began, self._images = self._now(), 0
                self._ends = self._began + self._length
        elif now >= self._ends:
            self._stand_still(self._images / (self._now() - self._began), rest)

    def _stand_still(self, answer: float, rest: Callable[[], None] | None) -> None:
        if rest:
            rest()
        self._pipe.send(answer)
        try:
            self._length = self._pipe.recv()
        except EOFError:
            raise _EndOfSession from None
        self._run_in, self._share = RUN_IN_STEPS, time.perf_counter() + RUN_IN_SHARE * self._length

    def _now(self) -> float:
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

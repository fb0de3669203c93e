"""A session: training that goes on for a while when it is told to and stands still in between, in its steady state.

So several ways of training stand side by side in one process, and each has its turn in every round: a machine whose
speed drifts slows all of them.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

import torch

# What a turn begins with does not count: caches fill, and a loader's workers have nothing ready yet.
RUN_IN_STEPS, RUN_IN_SHARE = 5, 0.15


class Tick(Protocol):
    """What training calls after each step. rest: called where a turn ends, to stop what would go on by itself."""

    def __call__(self, images: int, rest: Callable[[], None] | None = None) -> None: ...


class _EndOfSession(BaseException):
    """Ends the training of a session that is closed."""


class Session:
    """Training in a thread of its own, of which at most one runs at a time."""

    def __init__(self, work: Callable[[Tick], None], device: str = "cpu") -> None:
        """Begin. work: trains without end and calls its argument, the Tick, after each step.

        start_up: the seconds to the end of the first step.
        """
        self._device, self._work = device, work
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._images = self._run_in = 0
        self._began = self._ends = time.perf_counter()
        self._seconds = 0.0
        self._closed, self._error = False, None
        self._thread = threading.Thread(target=self._run, daemon=True)
        began = time.perf_counter()
        self._thread.start()
        self._wait()
        self.start_up = time.perf_counter() - began

    def turn(self, seconds: float) -> float:
        """Train for so many seconds; return the images a second, without the turn's first steps."""
        self._run_in, self._share = RUN_IN_STEPS, time.perf_counter() + RUN_IN_SHARE * seconds
        self._length = seconds
        self._go.release()
        self._wait()
        return self._images / self._seconds

    def close(self) -> None:
        """End the training."""
        self._closed = True
        self._go.release()
        self._thread.join()

    def _wait(self) -> None:
        self._stopped.acquire()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            self._work(self._tick)
            raise RuntimeError("the training of a session ended by itself")
        except _EndOfSession:
            pass
        except BaseException as error:
            self._error = error
        self._stopped.release()

    def _tick(self, images: int, rest: Callable[[], None] | None = None) -> None:
        self._images += images
        now = time.perf_counter()
        if self._run_in:
            self._run_in -= self._run_in > 1 or now >= self._share
            if self._run_in == 0:
                self._began, self._images = self._now(), 0
                self._ends = self._began + self._length
        elif now >= self._ends:
            self._seconds = self._now() - self._began
            if rest:
                rest()
            self._stand_still()

    def _stand_still(self) -> None:
        threads = torch.get_num_threads()  # of which a part is common to the whole process
        self._stopped.release()
        self._go.acquire()
        if self._closed:
            raise _EndOfSession
        torch.set_num_threads(threads)

    def _now(self) -> float:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()

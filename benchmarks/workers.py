"""A study that is trained by processes, one a core with one thread each: all of them have their turn together."""

import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

JOINING = 10  # seconds


class Workers:
    """Processes, each with a session of its own; to be used as one Session."""

    def __init__(self, name: str, device: str, count: int) -> None:
        """Start them. start_up: the seconds until every one has ended its first step, torch's own start included."""
        began = time.perf_counter()
        context = get_context("spawn")
        pairs = [context.Pipe() for _ in range(count)]
        self._pipes = [ours for ours, _ in pairs]
        threads = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"  # as a study's workers have it
        try:
            self._processes = [
                context.Process(target=_serve, args=(theirs, name, device), daemon=True) for _, theirs in pairs
            ]
            for process in self._processes:
                process.start()
        finally:
            if threads is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = threads
        for _, theirs in pairs:
            theirs.close()
        for pipe in self._pipes:
            pipe.recv()
        self.start_up = time.perf_counter() - began

    def turn(self, seconds: float) -> float:
        """Let all train for so many seconds; return the images a second of all together."""
        for pipe in self._pipes:
            pipe.send(seconds)
        return sum(pipe.recv() for pipe in self._pipes)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(JOINING)


def _serve(pipe: Connection, name: str, device: str) -> None:
    from benchmarks.session import Session
    from benchmarks.sides import classlab
    from benchmarks.workloads import find, make

    task = make(find(name), device, threads=1)
    session = Session(lambda tick: classlab(task, tick), device)
    pipe.send(session.start_up)
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            session.close()
            return
        pipe.send(session.turn(seconds))

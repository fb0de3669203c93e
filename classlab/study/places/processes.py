"""In processes of one thread each, as many at a time as there are cores: what small networks gain most by."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from classlab import files
from classlab.lookup import HOME
from classlab.runs import store
from classlab.runs.events import Ended, Event, Failed, follow
from classlab.study.jobs import Job

SECONDS_BETWEEN_LOOKS = 0.5


def train(jobs: Sequence[Job], processes: int, log: Path) -> Iterator[Event | None]:
    """Train the jobs in `processes` workers, see study.places. What they write into the run folders is followed."""
    from classlab.training.fast import machine

    if any(job.device == "cpu" for job in jobs):
        machine.cached("cpu", threads=1)  # at rest: the workers would each measure, beside the others' training
    workers = Workers(jobs, log)
    threads = [threading.Thread(target=workers.attend, daemon=True) for _ in range(min(processes, len(jobs)))]
    for thread in threads:
        thread.start()
    try:
        ended: set[Path] = set()
        over = lambda: not any(thread.is_alive() for thread in threads)  # noqa: E731
        for event in follow([job.run for job in jobs], until=over, seconds=SECONDS_BETWEEN_LOOKS):
            for failure in workers.failures():
                if failure.run not in ended:
                    ended.add(failure.run)
                    yield failure
            if event is None or event.run not in ended or isinstance(event, Ended):
                yield event
            if isinstance(event, Ended | Failed):
                ended.add(event.run)
        yield from (failure for failure in workers.failures() if failure.run not in ended)
    finally:
        workers.stop()
    if workers.problems:
        raise workers.problems[0]


class Workers:
    """Processes that train jobs, each attended by a thread of this one, which hands it a job and waits for the answer.

    A thread a worker is the simplest that can be right: a worker that is killed ends one wait, and no other.
    """

    def __init__(self, jobs: Sequence[Job], log: Path) -> None:
        self.waiting, self.taking = list(jobs), threading.Lock()
        self.asked = {job.run for job in jobs}
        self.log = log
        self.failed: queue.SimpleQueue[Failed] = queue.SimpleQueue()
        self.failed_runs: set[Path] = set()
        self.running: list[subprocess.Popen[str]] = []
        self.problems: list[BaseException] = []
        self.stopping = threading.Event()

    def failures(self) -> Iterator[Failed]:
        """Yield the failures since the last call."""
        while not self.failed.empty():
            yield self.failed.get()

    def attend(self) -> None:
        """Take one job after the other and have it trained, until there are no more."""
        worker: subprocess.Popen[str] | None = None
        try:
            while (job := self._take()) is not None:
                if worker is None:
                    worker = _start(self.log)
                    self.running.append(worker)
                    if self.stopping.is_set():  # while it was started: stop() may not have seen it
                        return _stop(worker)
                problem = _ask(worker, job)
                if self.stopping.is_set():
                    return
                if problem is not None:
                    self.failed_runs.add(job.run)
                    self.failed.put(Failed(job.run, problem))
                if worker.poll() is not None:
                    worker = None
        except BaseException as error:
            self.problems.append(error)

    def _take(self) -> Job | None:
        """Return the first job that can begin, None where no more is to do."""
        while self.waiting and not self.stopping.is_set():
            with self.taking:
                job = next((job for job in self.waiting if self._can_begin(job)), None)
                if job is not None:
                    self.waiting.remove(job)
                    return job
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return None

    def _can_begin(self, job: Job) -> bool:
        if job.after is None or job.after not in self.asked:  # nobody here would ever end it
            return True
        return (job.after / store.SUMMARY).is_file() or job.after in self.failed_runs

    def stop(self) -> None:
        """End all processes: a run that one of them trains is left so that it can be resumed."""
        self.stopping.set()
        for worker in self.running:
            _stop(worker)


def _start(log: Path) -> "subprocess.Popen[str]":
    """Start a worker. -P keeps the working folder off its path: a reader's queue.py there is not Python's own.

    Where this process found classlab, the worker finds it too; the rest of the path comes with each job.
    """
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    where = os.pathsep.join([str(HOME.parent), *(part for part in known if part)])  # "" is the working folder
    with files.appending(log) as lines:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "classlab.study.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=lines, text=True, encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": where},
            start_new_session=True,  # Ctrl-C is this process's to hear
        )  # fmt: skip


def _ask(worker: "subprocess.Popen[str]", job: Job) -> str | None:
    """Hand a job over and wait; return None or what went wrong, also where the process itself was ended."""
    assert worker.stdin and worker.stdout, "workers are started with pipes"
    path = [str(Path(place).resolve()) for place in sys.path]
    document = {"experiment": job.experiment.model_dump(mode="json"), "options": job.options, "path": path}
    try:
        worker.stdin.write(json.dumps(document) + "\n")
        worker.stdin.flush()
        answer = worker.stdout.readline()
    except OSError:
        answer = ""
    if answer:
        return json.loads(answer)["failure"]
    code = worker.wait()
    ended = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return f"its process was ended {ended}; memory may have run out" if code == -9 else f"its process ended {ended}"


def _stop(worker: "subprocess.Popen[str]") -> None:
    """End a worker; it does so by itself when its standard input closes."""
    if worker.stdin:
        worker.stdin.close()
    try:
        worker.wait(10)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    if worker.stdout:
        worker.stdout.close()

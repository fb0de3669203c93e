"""Where runs are trained: in this process one by one, or in processes of one thread each."""

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from classlab import files
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.lookup import HOME
from classlab.runs import store
from classlab.study.plan import Entry, Planned
from classlab.study.worker import told

Failed = Callable[[Planned, str], None]
Ready = Callable[[Planned], bool]

SECONDS_BETWEEN_LOOKS = 0.5


def train_entry(
    entry: Entry,
    waiting: Sequence[Planned],
    experiments: Mapping[str, Experiment],
    folder: Path,
    jobs: int,
    failed: Failed,
    ready: Ready = lambda _: True,
) -> None:
    """Train the runs of an entry that are not finished, in the order given.

    waiting: those. experiments: variant -> its experiment. folder: the study's. jobs: processes at a time. failed:
    told of each run that could not be trained, with a sentence; what the reader's code raises ends its run alone.
    ready: whether a process may begin with a run, which may have to wait for one that stands before it.
    """
    if entry.place == "processes":
        _processes(entry, waiting, experiments, folder, min(jobs, len(waiting)), failed, ready)
    else:
        _one_by_one(entry, waiting, experiments, folder, failed)


def _one_by_one(
    entry: Entry, waiting: Sequence[Planned], experiments: Mapping[str, Experiment], folder: Path, failed: Failed
) -> None:
    from classlab.runs.execute import train

    for one in waiting:
        out = folder / Path(one.run).parents[1]
        try:
            train(
                experiments[one.variant], seed=one.seed, out=out, device=entry.device, threads=entry.threads,
                digest=one.digest, resume=True, verbose=False,
            )  # fmt: skip
        except Exception as error:
            _log(folder, f"{one.variant}, seed {one.seed}:\n{traceback.format_exc()}")
            failed(one, told(error))


def _processes(
    entry: Entry,
    waiting: Sequence[Planned],
    experiments: Mapping[str, Experiment],
    folder: Path,
    jobs: int,
    failed: Failed,
    ready: Ready,
) -> None:
    """Hand the runs to `jobs` workers, each a process; a thread of this one waits for each of them."""
    from classlab.training.fast import machine

    if entry.device == "cpu":
        machine.cached("cpu", threads=1)  # at rest: the workers would each measure, beside the others' training
    todo, taking = list(waiting), threading.Lock()
    workers: list[subprocess.Popen[str]] = []
    problems: list[BaseException] = []
    stopping = threading.Event()

    def take() -> Planned | None:
        """Return the first run that is ready, None where no more is to do."""
        while todo and not stopping.is_set():
            with taking:
                one = next((one for one in todo if ready(one)), None)
                if one is not None:
                    todo.remove(one)
                    return one
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return None

    def attend() -> None:
        worker: subprocess.Popen[str] | None = None
        try:
            while (one := take()) is not None:
                if worker is None:
                    worker = _start(folder)
                    workers.append(worker)
                problem = _ask(worker, _job(one, experiments[one.variant], entry, folder))
                if stopping.is_set():
                    return
                if problem is not None:
                    failed(one, problem)
                if worker.poll() is not None:
                    worker = None
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=attend, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # so that Ctrl-C is heard
    finally:
        stopping.set()
        for worker in workers:
            _stop(worker)
    if problems:
        raise problems[0]


def _job(one: Planned, experiment: Experiment, entry: Entry, folder: Path) -> str:
    document = {
        "experiment": experiment.model_dump(mode="json"),
        "seed": one.seed,
        "out": str(folder / Path(one.run).parents[1]),
        "device": entry.device,
        "threads": entry.threads,
        "digest": one.digest,
        "path": [str(Path(place).resolve()) for place in sys.path],
    }
    return json.dumps(document) + "\n"


def _start(folder: Path) -> "subprocess.Popen[str]":
    """Start a worker. -P keeps the working folder off its path: a reader's queue.py there is not Python's own.

    Where this process found classlab, the worker finds it too; the rest of the path comes with each job.
    """
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    where = os.pathsep.join([str(HOME.parent), *(part for part in known if part)])  # "" is the working folder
    with files.appending(folder / store.LOG) as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "classlab.study.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": where},
            start_new_session=True,  # Ctrl-C is this process's to hear
        )  # fmt: skip


def _ask(worker: "subprocess.Popen[str]", job: str) -> str | None:
    """Hand a job over and wait; return None or what went wrong, also where the process itself was ended."""
    assert worker.stdin and worker.stdout, "workers are started with pipes"
    try:
        worker.stdin.write(job)
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


def _log(folder: Path, text: str) -> None:
    with suppress(UserError):  # the log is for people; what failed is told all the same
        files.append(folder / store.LOG, text + "\n")

"""On a Ray cluster: each run on a core of some node, from which it comes back whole.

RAY_ADDRESS says which cluster, "auto" the one that this machine is part of; without it one is started here for as long
as the study trains. A node gets what a worker process gets, trains in a folder of its own and returns the run's files
through the object store. Only this process writes the study's folder, a run at a time. So losing the driver, a worker
or a node costs only the runs that were training.
"""

import importlib.util
import os
import tempfile
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files, limits, own_code
from classlab.data import cache
from classlab.errors import UserError, listing
from classlab.runs import store
from classlab.runs.events import Event, Failed, follow
from classlab.runs.preparation import names_in
from classlab.study.jobs import Job, sentence
from classlab.study.places import one_by_one
from classlab.terminal import errors
from classlab.version import __version__

if TYPE_CHECKING:
    from ray import ObjectRef

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_ANSWER = 300  # of a node that is asked what it is: its first Python has to start
MOST_LOST = 10  # times that a run may be lost with its worker or its node
RUNS_A_GPU = 4  # that share one
ON_THE_WAY = 1.25  # runs handed over for each that trains, so that no node waits for this process
ANY_PROCESSOR = "CLASSLAB_ANY_PROCESSOR"  # 1: nodes of every kind are used


def train(jobs: Sequence[Job], processes: int, log: Path) -> Iterator[Event | None]:
    """Train the jobs on the nodes of a cluster, see study.places. processes: of a cluster that is started here.

    Runs that start from another run's weights are trained here, one by one: those weights lie here.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("place: ray needs the package ray; install classlab[ray]")
    here = [job for job in jobs if job.after or job.experiment.training.start_from]
    away = [job for job in jobs if job not in here]
    if away:
        with (
            tempfile.TemporaryDirectory(prefix="classlab-code-") as code,
            _connected(processes, _environment(away, Path(code))) as nodes,
        ):
            yield from _Dispatch(away, nodes, log).events()
    yield from one_by_one.train(here, processes, log)


@dataclass(frozen=True)
class Nodes:
    """The nodes that are used: how many runs of one core they train at a time, and by which label they are chosen."""

    cores: int
    most_cores: int
    selector: dict[str, str]


@contextmanager
def _connected(processes: int, environment: dict[str, Any]) -> Iterator[Nodes]:
    """Connect to the cluster, or start one here; let go of it afterwards. Raises UserError where none answers."""
    import ray

    if ray.is_initialized():
        raise UserError("place: ray connects to Ray itself, and this process has done so already; ray.shutdown() first")
    _join(os.environ.get("RAY_ADDRESS"), processes, environment)
    try:
        yield _usable(_asked(ray.nodes()))
    except (ray.exceptions.RpcError, ray.exceptions.LocalRayletDiedError) as error:
        raise UserError(f"the Ray cluster stopped answering ({sentence(error)}); continue with --resume") from None
    finally:
        ray.shutdown()


def _environment(jobs: Sequence[Job], folder: Path) -> dict[str, Any]:
    """Return the runtime environment: the reader's own files that lie below the working folder, where they lie.

    folder: for their copies, which Ray sends to each node once.
    """
    sent = False
    for name in {name for job in jobs for name in names_in(job.experiment.model_dump(mode="json"))}:
        source = Path(name.rpartition(":")[0])
        below_here = source.suffix == ".py" and not source.is_absolute() and ".." not in source.parts
        if own_code.is_own_code(name) and below_here:
            with own_code.trusting():
                contents = own_code.contents(name)
            for below, content in contents.items():
                file = folder / source.parent / below
                files.make_folder(file.parent)
                files.write(file, content)
                sent = True
    return {"runtime_env": {"working_dir": str(folder)}} if sent else {}


def _join(address: str | None, processes: int, environment: dict[str, Any]) -> None:
    import ray

    options: dict[str, Any] = {
        **environment,
        "log_to_driver": False,
        "logging_level": "error",
        "configure_logging": True,
    }
    try:
        if address:
            ray.init(address=address, **options)
        else:
            ray.init(address="local", num_cpus=processes, include_dashboard=False, **options)
    except (ConnectionError, TimeoutError) as error:
        raise UserError(
            f"no Ray cluster answers at {address or 'this machine'} ({sentence(error)}); start one with `ray start "
            "--head`, or unset RAY_ADDRESS, and one is started here"
        ) from None
    except RuntimeError as error:
        if "ersion" not in str(error):
            raise
        raise UserError(f"the cluster at {address} has other versions than here: {_on_a_line(error)}") from None


def _on_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


def _asked(nodes: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], dict[str, str]]]:
    """Return each node that has a core, and what it says of itself. Raises UserError where one cannot train here's."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    alive = [node for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not alive:
        raise UserError("the Ray cluster has no node with a core; start one with `ray start`")
    ask = ray.remote(num_cpus=0, max_retries=0)(about)
    asked = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in alive
    ]
    ours, found = about(), []
    for node, reference in zip(alive, asked, strict=True):
        name = node["NodeName"]
        try:
            said = ray.get(reference, timeout=SECONDS_TO_ANSWER)
        except ray.exceptions.GetTimeoutError:
            raise UserError(f"the node {name} did not answer within {SECONDS_TO_ANSWER} s") from None
        except ray.exceptions.RayError as error:
            raise UserError(f"the node {name} cannot train: {_on_a_line(error)[-200:]}; is classlab there?") from None
        for what in ("classlab", "torch", "python"):
            if said[what] != ours[what]:
                raise UserError(
                    f"the node {name} has {what} {said[what]}, and here it is {ours[what]}: the same run would give "
                    "other bytes there; install the same"
                )
        found.append((node, said))
    return found


def about() -> dict[str, str]:
    """Return what decides the bytes of a run on this machine: versions and the kind of processor."""
    import platform

    import torch

    from classlab.training.fast import machine

    return {
        "classlab": __version__, "torch": torch.__version__, "python": platform.python_version(),
        "processor": machine.processor(),
    }  # fmt: skip


def _usable(nodes: Sequence[tuple[Mapping[str, Any], dict[str, str]]]) -> Nodes:
    """Return the nodes of one kind of processor: equal runs are equal bytes on one kind alone.

    The kind is this machine's where there are such nodes, for a study that was begun here goes on with the same bytes.
    """
    cores: dict[str, float] = {}
    for node, said in nodes:
        cores[said["processor"]] = cores.get(said["processor"], 0) + node["Resources"]["CPU"]
    ours = about()["processor"]
    kind = ours if ours in cores else max(cores, key=lambda name: cores[name])
    used = [node for node, said in nodes if said["processor"] == kind or os.environ.get(ANY_PROCESSOR) == "1"]
    left = len(nodes) - len(used)
    if len(cores) > 1 or kind != ours:
        which = f"{len(used)} nodes train, {kind}" if not left else f"{left} nodes of another kind stay idle: {kind}"
        errors.print(
            f"the cluster has processors of the kinds {listing(sorted(cores))}, and here it is {ours}; the same run "
            f"gives other last bits on each. {which}; {ANY_PROCESSOR}=1 uses all nodes",
            soft_wrap=True, markup=False,
        )  # fmt: skip
    selector = {"ray.io/node-id": f"in({', '.join(node['NodeID'] for node in used)})"} if left else {}
    each = [int(node["Resources"]["CPU"]) for node in used]
    return Nodes(sum(each), max(each), selector)


@dataclass
class _Dispatch:
    """Jobs on their way to the nodes and back. lost: how often each was lost."""

    jobs: Sequence[Job]
    nodes: Nodes
    log: Path
    pending: "dict[ObjectRef[Any], Job]" = field(default_factory=dict)
    lost: dict[Path, int] = field(default_factory=dict)

    def events(self) -> Iterator[Event | None]:
        """Train the jobs and yield what happens; whoever stops listening stops what is on the way."""
        import ray

        waiting, shared = deque(self.jobs), self._shared()
        most = max(1, round(ON_THE_WAY * self.nodes.cores / self.jobs[0].threads))
        task = ray.remote(max_retries=0)(train_away)
        try:
            while waiting or self.pending:
                while waiting and len(self.pending) < most:
                    job = waiting.popleft()
                    if job.threads > self.nodes.most_cores:
                        yield Failed(job.run, f"it takes {job.threads} cores, and no node has so many")
                        continue
                    sent = task.options(**self._needs(job)).remote(self._document(job), shared)
                    self.pending[sent] = job
                ready, _ = ray.wait(list(self.pending), num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
                if not ready:
                    yield None
                for reference in ready:
                    job = self.pending.pop(reference)
                    came = self._came(reference, job)
                    if came is None:
                        waiting.appendleft(job)
                    else:
                        yield from self._arrived(job, came)
                    del reference, came  # the object store holds a run until nobody names it
        finally:
            for reference in self.pending:
                with suppress(Exception):  # a cluster that is gone trains nothing
                    ray.cancel(reference, force=True)

    def _needs(self, job: Job) -> dict[str, Any]:
        cuda = {"num_gpus": 1 / RUNS_A_GPU} if job.device.startswith("cuda") else {}
        return {"num_cpus": job.threads, **cuda, "label_selector": self.nodes.selector or None}

    def _document(self, job: Job) -> dict[str, Any]:
        """Return what a worker process is handed, and the digests of the reader's own code."""
        document = job.experiment.model_dump(mode="json")
        options = {**job.options, "device": "cuda" if job.device.startswith("cuda") else job.device}
        named = {name for name in names_in(document) if own_code.is_own_code(name)}
        with own_code.trusting():
            code = {name: own_code.digests_of(own_code.contents(name)) for name in sorted(named)}
        return {"experiment": document, "options": options, "folder": "/".join(job.run.parts[-2:]), "code": code}

    def _shared(self) -> dict[str, Any]:
        """Return what a node needs once: the datasets that are in the cache here, and what was measured of its kind."""
        import ray

        from classlab.training.fast import machine

        names = {job.experiment.data.dataset.name for job in self.jobs}
        stored = {name: path for name in sorted(names) if (path := cache.stored(name))}
        data = {name: ray.put(files.read(path, limits.DATASET_BYTES)) for name, path in stored.items()}
        measured: dict[str, bytes] = {}
        for threads in {job.threads for job in self.jobs if job.device == "cpu"}:
            machine.cached("cpu", threads=threads)  # at rest: the nodes would each measure, beside others' training
            file = machine.place("cpu", threads)
            if file is not None and file.is_file():
                measured[file.name] = files.read(file, limits.MACHINE_BYTES)
        return {"data": data, "measured": measured}

    def _came(self, reference: "ObjectRef[Any]", job: Job) -> dict[str, Any] | None:
        """Return what came back of a run, None where it was lost on the way and is to be trained again."""
        import ray

        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            return {"failure": sentence(error.cause or error), "traceback": str(error)}
        except ray.exceptions.RuntimeEnvSetupError as error:
            return {"failure": f"its code could not be sent: {_on_a_line(error)}", "traceback": str(error)}
        except ray.exceptions.RayError as error:
            self.lost[job.run] = self.lost.get(job.run, 0) + 1
            if self.lost[job.run] < MOST_LOST:
                return None
            text = f"it was lost {MOST_LOST} times with its worker: {_on_a_line(error)[:200]}"
            return {"failure": text, "traceback": str(error)}

    def _arrived(self, job: Job, came: dict[str, Any]) -> Iterator[Event]:
        """Keep a run that came back, and yield what happened in it."""
        if came["failure"] is not None:
            with suppress(UserError):
                files.append(self.log, f"{job.experiment.name}, seed {job.seed}:\n{came['traceback']}\n")
            yield Failed(job.run, came["failure"])
            return
        store.receive(job.run, came["files"])
        yield from (event for event in follow([job.run]) if event is not None)


def train_away(job: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Train one run on a node; return its files, or the sentence and the traceback of what went wrong."""
    from classlab.runs.execute import train as train_run

    with tempfile.TemporaryDirectory(prefix="classlab-run-") as home:
        try:
            _provide(shared)
            _check_code(job["code"])
            options: dict[str, Any] = {**job["options"], "out": home}
            train_run(job["experiment"], **options, verbose=False)
            folder = Path(home) / job["folder"]
            return {"failure": None, "files": store.contents(folder)}
        except Exception as error:
            return {"failure": sentence(error), "traceback": traceback.format_exc()}


def _provide(shared: Mapping[str, Any]) -> None:
    """Put what this node lacks where classlab looks for it: a dataset once a node; its digest is checked when read."""
    import ray

    user = cache.user_folder()
    for name, content in shared["measured"].items():
        if user is not None and not (user / name).is_file():
            files.make_folder(user)
            files.write(user / name, content)
    for name, reference in shared["data"].items():
        if cache.stored(name) is None:
            home = cache.home()
            with cache.locked(home, name):
                if not cache.file(home, name).is_file():
                    files.write(cache.file(home, name), ray.get(reference))


def _check_code(code: Mapping[str, Mapping[str, str]]) -> None:
    """Raise UserError where the reader's own code is another one here than where the study is trained from."""
    for name, digests in code.items():
        with own_code.trusting():
            found = own_code.digests_of(own_code.contents(name))
        if found != digests:
            raise UserError(f"{name} is another file on this node (its SHA-256 differs); put the same there")

"""A study on a local Ray cluster of two nodes: the same bytes as one by one, whatever is lost on the way.

    python -m tests.study.cluster_campaign --kills 20
    python -m tests.study.cluster_campaign --only overhead --runs 1000

Four variants × three seeds on the digits: one by one, in processes, on the cluster; then with a node that is lost in
the middle, with a driver that is killed and resumed, and with workers killed at random moments. The driver is a process
of its own, which finds the cluster by RAY_ADDRESS.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from classlab.runs import store
from tests.study.search_campaign import TINY

STUDY = {
    "name": "four", "experiment": TINY, "seeds": 3,
    "sweep": {"grid": {"training.optimizer.learning_rate": [0.05, 0.1], "training.batch_size": [16, 32]}},
}  # fmt: skip
DRIVER = """
import json, resource, sys, time
import classlab as cl
began = time.process_time()
result = cl.study(json.loads(sys.argv[1]), out=sys.argv[2], resume=True, verbose=False)
runs, memory = len(result.rows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"runs": runs, "cpu": time.process_time() - began, "memory": memory}))
"""


def driver(place: str, out: Path, study: dict[str, Any] = STUDY, **environment: str) -> "subprocess.Popen[str]":
    """Start a study in a process of its own."""
    import json

    words = [sys.executable, "-c", DRIVER, json.dumps({**study, "place": place}), str(out)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})


def ended(out: Path) -> dict[Path, int]:
    """Return the runs that have ended, and when each was written."""
    return {file: file.stat().st_mtime_ns for file in out.rglob("summary.json") if ".arriving" not in str(file)}


def differences(first: Path, second: Path) -> list[str]:
    """Return what differs between two study folders: the results, and every file with weights or answers.

    Not what is fitted afterwards (calibration.safetensors): it is computed with as many threads as the process has.
    """
    kept = (store.LAST, store.BEST, store.WEIGHTS, store.PREDICTIONS)
    names = [file.relative_to(first) for file in first.rglob("*") if file.name in kept]
    names.append(Path("results.csv"))
    lacking = [name for name in names if not (second / name).is_file()]
    if lacking:
        return [f"{name} is missing" for name in lacking]
    return [str(name) for name in sorted(names) if (first / name).read_bytes() != (second / name).read_bytes()]


def workers(cluster: Any) -> list[int]:
    """Return the processes of this cluster in which a run is being trained."""
    raylets = {process.process.pid for node in cluster.list_all_nodes() for process in node.all_processes["raylet"]}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and "train_away" in (folder / "cmdline").read_text():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def waited(process: "subprocess.Popen[str]") -> str:
    """Return what a driver printed, once it has ended."""
    said, _ = process.communicate()
    return said.strip() if process.returncode == 0 else f"exit code {process.returncode}"


def lost_node(cluster: Any, out: Path, environment: dict[str, str]) -> None:
    """Lose a node once two runs have come back; another one comes."""
    process, node = driver("ray", out, **environment), cluster.worker_nodes.copy().pop()
    while len(ended(out)) < 2 and process.poll() is None:
        time.sleep(0.1)
    before = ended(out)
    cluster.remove_node(node, allow_graceful=False)
    cluster.add_node(num_cpus=1)
    print("  node lost after", len(before), "runs;", waited(process))
    print("  trained twice:", sum(ended(out)[file] != written for file, written in before.items()))


def killed_driver(cluster: Any, out: Path, environment: dict[str, str]) -> None:
    """Kill the driver once three runs have come back, and resume."""
    process = driver("ray", out, **environment)
    while len(ended(out)) < 3 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = ended(out)
    print("  driver killed after", len(before), "runs;", waited(driver("ray", out, **environment)))
    print("  trained twice:", sum(ended(out)[file] != written for file, written in before.items()))


def killed_workers(out: Path, cluster: Any, environment: dict[str, str], kills: int, seconds: float) -> int:
    """Kill a worker that trains at random moments, one in so many seconds in the mean; return how many were killed."""
    process, done, twice = driver("ray", out, **environment), 0, 0
    before: dict[Path, int] = {}
    while process.poll() is None:
        time.sleep(random.uniform(0, 2 * seconds))
        training = workers(cluster)
        if done < kills and training:
            os.kill(random.choice(training), signal.SIGKILL)
            done += 1
        now = ended(out)
        twice += sum(now.get(file) != written for file, written in before.items())
        before = now
    print(f"  {done} workers killed; {waited(process)}; trained twice: {twice}")
    return done


def overhead(out: Path, runs: int, environment: dict[str, str]) -> None:
    """Train many short runs, and print what they cost the driver."""
    study = {"name": "many", "experiment": TINY, "seeds": runs}
    began = time.monotonic()
    print("  ", waited(driver("ray", out, study, **environment)), f"{time.monotonic() - began:.0f} s by the clock")


def main() -> None:
    """Do what the command line asks for."""
    from ray.cluster_utils import Cluster

    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--every", type=float, default=2.0, help="seconds between kills: less than a run takes loses it"
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--only", nargs="*", default=["equal", "node", "driver", "workers", "overhead"])
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    environment = {"RAY_ADDRESS": cluster.address}
    with TemporaryDirectory() as home:
        folder = lambda name: Path(home) / name  # noqa: E731
        if set(asked.only) - {"overhead"}:
            print("one by one:", waited(driver("one by one", folder("one"))), flush=True)
        for name in asked.only:
            print(f"{name}:", flush=True)
            if name == "equal":
                print("  processes:", waited(driver("processes", folder("processes"))))
                print("  differing:", differences(folder("one") / "four", folder("processes") / "four") or "nothing")
                print("  two nodes:", waited(driver("ray", folder(name), **environment)))
            elif name == "node":
                lost_node(cluster, folder(name), environment)
            elif name == "driver":
                killed_driver(cluster, folder(name), environment)
            elif name == "workers":
                killed = 0
                while killed < asked.kills:  # study after study, until so many were killed
                    out = folder(f"{name}-{killed}")
                    killed += killed_workers(out, cluster, environment, asked.kills - killed, asked.every)
                    print(
                        "  differing from one by one:", differences(folder("one") / "four", out / "four") or "nothing"
                    )
                continue
            else:
                overhead(folder(name), asked.runs, environment)
                continue
            found = differences(folder("one") / "four", folder(name) / "four")
            print("  differing from one by one:", found or "nothing", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()

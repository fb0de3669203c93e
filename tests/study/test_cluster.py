"""The place ray: a run comes back whole and with the same bytes, what fails or is lost ends alone, sentences."""

import pytest

import classlab as cl
from classlab.errors import UserError
from classlab.experiment import load
from classlab.runs import store
from classlab.runs.events import Ended, Failed
from classlab.study.jobs import Job
from classlab.study.places import ray as place

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

TINY = {
    "name": "tiny", "data": {"dataset": "digits", "val_size": 100, "max_per_class": 40, "max_test_per_class": 10},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 2, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}  # fmt: skip
STUDY = {"name": "two", "experiment": TINY, "seeds": 2, "sweep": {"grid": {"training.batch_size": [32, 16]}}}
COMPARED = (store.LAST, store.BEST, store.WEIGHTS, store.PREDICTIONS, store.SPLIT, store.ENVIRONMENT, store.EXPERIMENT)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core on this machine."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", made.address)
        yield made
    made.shutdown()


def job(out, seed=0, **changes):
    experiment = load({**TINY, **changes}, trust=True)
    return Job(store.folder(out, experiment.name, seed, experiment.digest()), experiment, seed, "cpu", 1)


@pytest.mark.timeout(900)
def test_a_study_on_two_nodes_gives_the_bytes_of_one_trained_here(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nfrom helpers import WIDTH\n\n\ndef build(input_shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, classes))\n"
    )
    (tmp_path / "helpers.py").write_text("WIDTH = 6\n")
    study = {**STUDY, "sweep": {"variants": [{"name": "a"}, {"name": "own", "set": {"model": "mine.py:build"}}]}}
    folders = [
        cl.study({**study, "place": name}, out=tmp_path / name, verbose=False).path for name in ("one by one", "ray")
    ]
    assert (folders[0] / "results.csv").read_bytes() == (folders[1] / "results.csv").read_bytes()
    runs = [file.parent.relative_to(folders[0]) for file in folders[0].rglob(store.SUMMARY)]
    assert len(runs) == 4
    for run in runs:
        for name in COMPARED:
            assert (folders[0] / run / name).read_bytes() == (folders[1] / run / name).read_bytes(), name
    opened = cl.load_study(folders[1], trust=True)
    assert all(row["status"] == "finished" for row in opened.rows)
    assert all(run.summary["run"].endswith(run.path.name) for runs in opened.runs.values() for run in runs.values())


@pytest.mark.timeout(900)
def test_a_run_that_kills_its_worker_is_trained_again_a_few_times_and_then_failed(cluster, tmp_path, monkeypatch):
    (tmp_path / "dies.py").write_text(
        "import os, signal\nfrom torch import nn\n\n\ndef build(classes):\n"
        "    if 'ray' in open('/proc/self/cmdline').read():\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    monkeypatch.setattr(place, "MOST_LOST", 2)
    jobs = [job(tmp_path / "out", name="dies", model={"name": f"{tmp_path / 'dies.py'}:build"}), job(tmp_path / "out")]
    events = [event for event in place.train(jobs, 2, tmp_path / "log.txt") if isinstance(event, Ended | Failed)]
    outcomes = {event.run: event for event in events}
    assert isinstance(outcomes[jobs[1].run], Ended)
    assert "it was lost 2 times with its worker" in outcomes[jobs[0].run].sentence


def test_nodes_of_another_processor_stay_idle_unless_told(monkeypatch, capsys):
    ours = {"processor": "this", "torch": "2", "classlab": "0", "python": "3"}
    monkeypatch.setattr(place, "about", lambda: ours)
    nodes = [({"NodeID": name, "Resources": {"CPU": 4.0}}, {**ours, "processor": kind})
             for name, kind in (("a", "this"), ("b", "other"), ("c", "other"))]  # fmt: skip
    used = place._usable(nodes)
    assert used == place.Nodes(4, 4, {"ray.io/node-id": "in(a)"})
    assert "2 nodes of another kind stay idle" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv(place.ANY_PROCESSOR, "1")
    assert place._usable(nodes) == place.Nodes(12, 4, {})


def test_other_versions_and_a_cluster_that_does_not_answer_are_sentences(monkeypatch):
    def refusing(error):
        def init(**options):
            raise error

        return init

    monkeypatch.setattr(ray, "init", refusing(ConnectionError("ray client connection timeout")))
    with pytest.raises(UserError, match=r"no Ray cluster answers at 10\.0\.0\.1:6379 .*; start one with `ray start"):
        place._join("10.0.0.1:6379", 2, {})
    monkeypatch.setattr(
        ray, "init", refusing(RuntimeError("Version mismatch: The cluster was started with:\n Ray: 2.1"))
    )
    with pytest.raises(UserError, match="the cluster at auto has other versions than here: Version mismatch: The clu"):
        place._join("auto", 2, {})


def test_without_the_library_the_place_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(place.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"place: ray needs the package ray; install classlab\[ray\]"):
        list(place.train([job(tmp_path)], 1, tmp_path / "log.txt"))


def test_a_run_that_arrives_takes_the_place_of_what_was_begun_whole(tmp_path):
    path = tmp_path / "tiny" / "s0-11111111"
    (path / "old").mkdir(parents=True)
    store.receive(path, {"a.txt": b"1", "code/b.txt": b"2", store.SUMMARY: b'{"run": "elsewhere", "seed": 0}'})
    assert store.contents(path) == {
        "a.txt": b"1", "code/b.txt": b"2", store.SUMMARY: (path / store.SUMMARY).read_bytes()
    }  # fmt: skip
    assert str(path) in (path / store.SUMMARY).read_text() and list(path.parent.iterdir()) == [path]

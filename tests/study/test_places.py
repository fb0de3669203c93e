"""Places: a new one is one file; each yields what happens, and what fails ends its run alone."""

import importlib.util
import shutil

import pytest

import classlab as cl
from classlab import lookup
from classlab.errors import UserError
from classlab.experiment import load
from classlab.runs import store
from classlab.runs.events import Begun, Ended, EpochDone, Failed
from classlab.study import conduct, live_table
from classlab.study.declaration import load as load_study
from classlab.study.jobs import Job
from classlab.study.places import processes

QUICK = {
    "name": "quick", "data": {"dataset": "digits", "val_size": 100}, "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}  # fmt: skip
STUDY = {"name": "two", "experiment": QUICK, "seeds": 2, "sweep": {"grid": {"training.batch_size": [64, 32]}}}
BACKWARDS = '''"""In this process, the last run first."""

from classlab.study.places import one_by_one


def train(jobs, processes, log):
    """Train the jobs from the last to the first."""
    return one_by_one.train(jobs[::-1], processes, log)
'''


def job(out, seed=0, **changes):
    experiment = load({**QUICK, **changes})
    return Job(store.folder(out, experiment.name, seed, experiment.digest()), experiment, seed, "cpu", 1)


def needing(name):
    """Return the place as a parameter, which is skipped where its extra is not installed."""
    lacking = name == "ray" and importlib.util.find_spec("ray") is None
    return pytest.param(name, marks=pytest.mark.skipif(lacking, reason="the extra ray is not installed"))


@pytest.mark.parametrize("name", map(needing, lookup.names("place")))
def test_a_place_yields_what_happens_and_a_run_that_fails_ends_alone(name, tmp_path):
    place = lookup.find("place", name)
    broken = job(tmp_path, 5, name="broken", model={"name": "convnet", "filters": [4] * 9})
    jobs = [job(tmp_path, 0), broken, job(tmp_path, 1)]
    events = [event for event in place(jobs, 2, tmp_path / "log.txt") if event is not None]
    for job_ in (jobs[0], jobs[2]):
        kinds = [
            type(event) for event in events if event.run == job_.run and isinstance(event, Begun | EpochDone | Ended)
        ]
        assert kinds == [Begun, EpochDone, EpochDone, Ended]
    (failure,) = [event for event in events if isinstance(event, Failed)]
    assert failure.run == broken.run and "nothing of a 8×8 image is left" in failure.sentence
    assert "Traceback" in (tmp_path / "log.txt").read_text()


def test_a_job_waits_for_the_run_that_it_starts_from(tmp_path):
    first = job(tmp_path, 0)
    training = {**QUICK["training"], "start_from": str(first.run)}
    second = job(tmp_path, 0, name="second", training=training)
    second = Job(second.run, second.experiment, 0, "cpu", 1, after=first.run)
    events = [event for event in processes.train([second, first], 2, tmp_path / "log.txt") if isinstance(event, Ended)]
    assert {event.run for event in events} == {first.run, second.run}
    begun = [(folder / store.EXPERIMENT).stat().st_mtime_ns for folder in (first.run, second.run)]
    assert begun[1] > (first.run / store.SUMMARY).stat().st_mtime_ns > begun[0]


def test_a_place_whose_listener_stops_stops_too_and_its_runs_go_on(tmp_path):
    jobs = [job(tmp_path, seed) for seed in range(3)]
    events = processes.train(jobs, 2, tmp_path / "log.txt")
    next(event for event in events if isinstance(event, EpochDone))
    events.close()
    again = [event for event in processes.train(jobs, 2, tmp_path / "log.txt") if isinstance(event, Ended | Failed)]
    assert sorted(event.run for event in again) == sorted(job.run for job in jobs)
    assert all(isinstance(event, Ended) for event in again)


def test_ctrl_c_while_the_table_is_drawn_leaves_nothing_running(tmp_path, monkeypatch):
    def interrupted(events, *_):
        for event in events:
            yield event
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(live_table, "screen", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cl.study(STUDY, out=tmp_path)
    result = cl.study(STUDY, out=tmp_path, resume=True, verbose=False)
    assert {row["status"] for row in result.rows} == {"finished"}
    assert (result.path / "failures.json").read_text().strip() == "{}"


def test_a_run_that_nobody_trains_is_not_waited_for(tmp_path):
    second = job(tmp_path, 0)
    second = Job(second.run, second.experiment, 0, "cpu", 1, after=tmp_path / "nowhere" / "s0-11111111")
    (ended,) = [event for event in processes.train([second], 1, tmp_path / "log.txt") if isinstance(event, Ended)]
    assert ended.run == second.run


def test_a_new_place_is_one_file(tmp_path, monkeypatch):
    home = tmp_path / "classlab"
    shutil.copytree(lookup.HOME, home, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "study" / "places" / "backwards.py").write_text(BACKWARDS)
    import classlab.study.places

    lookup.names.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(lookup, "HOME", home)
        patch.setattr(classlab.study.places, "__path__", [str(home / "study" / "places")])
        assert "backwards" in lookup.names("place")
        result = cl.study({**STUDY, "place": "backwards"}, out=tmp_path / "studies", verbose=False)
        assert {entry.place for entry in result.plan.entries} == {"backwards"}
        assert all(row["status"] == "finished" for row in result.rows) and len(result.rows) == 4
    lookup.names.cache_clear()
    with pytest.raises(UserError, match="plans runs for the place 'backwards'; there are "):
        conduct.plan.read(result.path)


def test_a_place_that_does_not_exist_is_refused_with_a_suggestion():
    with pytest.raises(UserError, match=r"place: must be one of auto, .*; got 'proceses'; did you mean processes"):
        load_study({**STUDY, "place": "proceses"})

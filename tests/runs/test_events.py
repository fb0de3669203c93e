"""Events of a run in progress: the same from the process that trains and from its folder."""

import subprocess
import sys
import threading
import time

import classlab as cl
from classlab.runs import execute
from classlab.runs.events import Begun, Ended, EpochDone, Failed, Progress, follow

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 100},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 3, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


def test_a_run_yields_what_happens_in_order(tmp_path):
    asked = execute.ask(QUICK, out=tmp_path)
    events = [event for event in execute.events(asked) if not isinstance(event, Progress)]
    assert [type(event) for event in events] == [Begun, EpochDone, EpochDone, EpochDone, Ended]
    begun, *epochs, ended = events
    assert (begun.name, begun.seed, begun.epochs, begun.done) == ("quick", 0, 3, 0)
    assert [event.row["epoch"] for event in epochs] == [1, 2, 3]
    assert ended.summary == cl.load_run(asked.path).summary
    assert begun.images > 1000


def test_a_finished_run_yields_its_end_alone(tmp_path):
    cl.train(QUICK, out=tmp_path, verbose=False)
    (event,) = execute.events(execute.ask(QUICK, out=tmp_path))
    assert isinstance(event, Ended)


def test_a_folder_yields_what_the_process_that_trained_yielded(tmp_path):
    asked = execute.ask(QUICK, out=tmp_path)
    trained = [event for event in execute.events(asked) if not isinstance(event, Progress)]
    assert list(follow([asked.path], seconds=0)) == trained


def test_a_listener_that_stops_leaves_a_run_that_goes_on(tmp_path):
    asked = execute.ask(QUICK, out=tmp_path / "a")
    events = execute.events(asked)
    for event in events:
        if isinstance(event, EpochDone):
            break
    events.close()
    run = cl.train(QUICK, out=tmp_path / "a", resume=True, verbose=False)
    whole = cl.train(QUICK, out=tmp_path / "b", verbose=False)
    assert (run.path / "last.safetensors").read_bytes() == (whole.path / "last.safetensors").read_bytes()


def test_a_run_that_another_process_trains_is_followed_while_it_trains(tmp_path):
    folder = execute.ask(QUICK, out=tmp_path).path
    script = f"import classlab as cl; cl.train({QUICK!r}, out={str(tmp_path)!r}, verbose=False)"
    seen = []

    def listen():
        seen.extend(event for event in follow([folder], seconds=0.05) if event is not None)

    listener = threading.Thread(target=listen)
    listener.start()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    listener.join(30)
    assert [type(event) for event in seen] == [Begun, EpochDone, EpochDone, EpochDone, Ended]


def test_many_folders_are_followed_until_each_has_ended_and_a_damaged_one_fails(tmp_path):
    runs = [cl.train(QUICK, seed=seed, out=tmp_path, verbose=False) for seed in (0, 1)]
    (runs[1].path / "summary.json").write_text("{}")
    events = [event for event in follow([run.path for run in runs], seconds=0) if isinstance(event, Ended | Failed)]
    assert {type(event): event.run for event in events} == {Ended: runs[0].path, Failed: runs[1].path}
    assert "summary.json" in next(event.sentence for event in events if isinstance(event, Failed))


def test_following_ends_when_it_is_told_to_and_ticks_while_nothing_happens(tmp_path):
    began = time.monotonic()
    events = follow([tmp_path / "never"], until=lambda: time.monotonic() - began > 0.2, seconds=0.05)
    assert set(events) == {None}


def test_an_optimizer_of_the_reader_s_own_goes_on_whatever_it_keeps(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\n\n\ndef groups(parameters, learning_rate: float = 0.01):\n"
        "    parts = [[p for p in parameters if (p.ndim > 1) == wide] for wide in (False, True)]\n"
        "    return torch.optim.Adam([{'params': part} for part in parts], lr=learning_rate)\n"
    )
    training = {**QUICK["training"], "optimizer": {"name": f"{tmp_path / 'mine.py'}:groups"}}
    asked = execute.ask({**QUICK, "training": training}, out=tmp_path / "a")
    events = execute.events(asked)
    next(event for event in events if isinstance(event, EpochDone))
    events.close()
    run = cl.train({**QUICK, "training": training}, out=tmp_path / "a", resume=True, verbose=False)
    whole = cl.train({**QUICK, "training": training}, out=tmp_path / "b", verbose=False)
    assert (run.path / "last.safetensors").read_bytes() == (whole.path / "last.safetensors").read_bytes()

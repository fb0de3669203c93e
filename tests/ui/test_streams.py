"""What a page is told of runs that train: every row once, whatever happens to the server, the folder or the page."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from classlab.runs import store
from classlab.ui import states
from classlab.ui.listing import Listing, key_of
from classlab.ui.watch import Watch
from tests.ui.conftest import served

ROW = {"train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "learning_rate": 0.1}


def rows(count, seconds=0.5):
    return [{"epoch": epoch, **ROW, "seconds": seconds} for epoch in range(1, count + 1)]


class Growing:
    """A run's folder as a process that trains writes it."""

    def __init__(self, finished, folder, name="s0-11111111"):
        self.finished, self.path = finished, folder / "grow" / name
        self.path.mkdir(parents=True)
        for file in (store.EXPERIMENT, store.SPLIT, store.ENVIRONMENT):
            store.write(self.path / file, (finished / file).read_bytes())
        self.key = key_of(self.path)

    def grow(self, count, **changes):
        store.write_metrics(self.path / store.METRICS, [{**row, **changes} for row in rows(count)])

    def end(self, **changes):
        summary = json.loads((self.finished / store.SUMMARY).read_text())
        store.write_json(self.path / store.SUMMARY, {**summary, **changes})


@pytest.fixture
def growing(run, tmp_path):
    return Growing(run, tmp_path / "runs")


class Stream:
    """The events of an address, gathered by a thread until it is closed."""

    def __init__(self, page, path, last=None):
        self.events = []
        self.connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
        headers = {"Cookie": page.cookie, "Host": page.host, **({"Last-Event-ID": last} if last else {})}
        self.connection.request("GET", path, headers=headers)
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        assert self.response.status == 200 and self.response.getheader("Content-Type").startswith("text/event-stream")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        event = {}
        try:
            for line in self.response:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    event[name] = value
                    continue
                if "data" in event:
                    self.events.append({**event, "data": json.loads(event["data"]), "at": time.time()})
                event = {}
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass

    def wait(self, found, seconds=30):
        """Return the first event for which `found` holds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for event in list(self.events):
                if found(event):
                    return event
            time.sleep(0.02)
        raise AssertionError(f"not among {self.events}")

    def rows(self, run):
        """Return the epochs that a page has after these events."""
        epochs = []
        for event in self.events:
            if event["event"] == "rows" and event["data"]["run"] == run:
                news = event["data"]
                epochs = [] if news["anew"] else epochs[: news["from"]]
                epochs += [int(row["epoch"]) for row in news["rows"]]
        return epochs

    def close(self):
        with suppress(OSError):  # the reader waits for a line, and would be waited for
            self.socket.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def has(run, epoch):
    return lambda event: (
        event["event"] == "rows"
        and event["data"]["run"] == run
        and any(row["epoch"] == epoch for row in event["data"]["rows"])
    )


def status(run, wanted):
    return lambda event: event["event"] == "state" and event["data"]["key"] == run and event["data"]["status"] == wanted


def test_each_epoch_comes_as_it_is_done_and_its_id_is_the_row(growing):
    with served([growing.path.parent.parent]) as page:
        stream = Stream(page, f"/events/rows?run={growing.key}")
        stream.wait(status(growing.key, "waiting"))
        for epoch in (1, 2, 3):
            growing.grow(epoch)
            event = stream.wait(has(growing.key, epoch))
            assert event["id"] == str(epoch) and len(event["data"]["rows"]) == 1
        growing.end()
        state = stream.wait(status(growing.key, "finished"))["data"]
        assert state["test_accuracy"] is not None and state["contract"] == "kept"
        assert stream.rows(growing.key) == [1, 2, 3]
        stream.close()


def test_a_page_that_slept_is_told_what_it_does_not_have(growing):
    growing.grow(5)
    with served([growing.path.parent.parent]) as page:
        stream = Stream(page, f"/events/rows?run={growing.key}", last="3")
        event = stream.wait(has(growing.key, 5))
        assert [row["epoch"] for row in event["data"]["rows"]] == [4, 5] and event["data"]["from"] == 3
        stream.close()
        growing.end()  # while the page sleeps
        stream = Stream(page, f"/events/rows?run={growing.key}&after=5")
        stream.wait(status(growing.key, "finished"))
        assert stream.rows(growing.key) == []
        stream.close()


def test_a_server_that_is_started_again_misses_no_row(growing):
    growing.grow(2)
    with served([growing.path.parent.parent]) as page:
        port = page.port
        stream = Stream(page, f"/events/rows?run={growing.key}")
        last = stream.wait(has(growing.key, 2))["id"]
        stream.close()
    growing.grow(4)
    with served([growing.path.parent.parent], port=port) as again:
        again.cookie = page.cookie  # the page has its cookie still
        stream = Stream(again, f"/events/rows?run={growing.key}", last=last)
        assert [row["epoch"] for row in stream.wait(has(growing.key, 4))["data"]["rows"]] == [3, 4]
        stream.close()


def test_several_runs_are_one_stream_and_the_id_counts_each(growing, run):
    other = Growing(run, growing.path.parent.parent, "s1-11111111")
    growing.grow(2), other.grow(1)
    with served([growing.path.parent.parent]) as page:
        stream = Stream(page, f"/events/rows?run={growing.key}&run={other.key}")
        stream.wait(has(growing.key, 2)), stream.wait(has(other.key, 1))
        other.grow(2)
        assert stream.wait(has(other.key, 2))["id"] == "2,2"
        stream.close()


def test_a_deleted_folder_is_said_and_one_that_comes_back_is_another(growing, run):
    growing.grow(3)
    with served([growing.path.parent.parent]) as page:
        stream = Stream(page, f"/events/rows?run={growing.key}")
        stream.wait(has(growing.key, 3))
        shutil.rmtree(growing.path)
        stream.wait(lambda event: event["event"] == "gone")
        replaced = Growing(run, growing.path.parent.parent)
        replaced.grow(1)
        stream.wait(lambda event: event["event"] == "rows" and [row["epoch"] for row in event["data"]["rows"]] == [1])
        assert stream.rows(growing.key) == [1]
        stream.close()


def test_a_run_that_takes_anothers_place_comes_anew(growing):
    growing.grow(3)
    with served([growing.path.parent.parent]) as page:
        stream = Stream(page, f"/events/rows?run={growing.key}")
        stream.wait(has(growing.key, 3))
        store.write(growing.path / store.SPLIT, (growing.finished / store.SPLIT).read_bytes())  # it is begun anew
        growing.grow(4, train_loss=2.0)
        event = stream.wait(lambda event: event["event"] == "rows" and event["data"]["anew"])
        assert event["data"]["from"] == 0 and stream.rows(growing.key)[-1] == 4
        stream.close()


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (store.METRICS, "epoch,train_loss\n1,", "cells are wanted|is missing|must be"),
        (store.METRICS, "epoch,train_loss,learning_rate,seconds\n1,0.5", "4 cells are wanted, got 2"),
        (store.ENVIRONMENT, '{"seed": 0', "cannot be read"),
        (store.SUMMARY, '{"status": "fini', "cannot be read"),
        (store.EXPERIMENT, "name: [", ""),
    ],
)
def test_a_half_written_file_is_a_sentence_until_it_is_whole(growing, file, content, sentence):
    import re

    growing.grow(2)
    whole = (growing.path / file).read_bytes() if (growing.path / file).exists() else None
    with served([growing.path.parent.parent]) as page:
        (growing.path / file).write_text(content)
        stream = Stream(page, f"/events/rows?run={growing.key}")
        if sentence:
            problem = stream.wait(status(growing.key, "broken"))["data"]["problem"]
            assert re.search(sentence, problem) and file in problem
        if whole is None:
            (growing.path / file).unlink()
        else:
            (growing.path / file).write_bytes(whole)
        growing.grow(3)
        stream.wait(has(growing.key, 3))
        stream.wait(status(growing.key, "running"))
        stream.close()


def test_the_list_is_told_what_comes_changes_and_goes(growing, run):
    with served([growing.path.parent.parent]) as page:
        stream = Stream(page, "/events/runs")
        first = stream.wait(lambda event: event["event"] == "all")["data"]
        assert [state["key"] for state in first] == [growing.key]
        other = Growing(run, growing.path.parent.parent, "s1-11111111")
        stream.wait(lambda event: event["event"] == "changed" and event["data"][0]["key"] == other.key)
        growing.grow(1)
        stream.wait(lambda event: event["event"] == "changed" and any(state["done"] == 1 for state in event["data"]))
        shutil.rmtree(other.path)
        assert stream.wait(lambda event: event["event"] == "gone")["data"] == [other.key]
        stream.close()


def test_a_silent_run_says_so(growing):
    growing.grow(1)
    for file in growing.path.iterdir():
        os.utime(file, (time.time() - 3000, time.time() - 3000))
    (state,) = [states.read(place) for place in listed(growing)]
    assert state.status == "silent" and state.sentence.startswith("silent for 50 min 0 s: 1 of 3 epochs are done")
    growing.grow(2)
    (state,) = [states.read(place) for place in listed(growing)]
    assert state.status == "running" and state.sentence == "running: 2 of 3 epochs are done, about 0.5 s left"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_run_whose_disk_is_full_stops_with_a_sentence_and_is_silent_on_the_page(tmp_path):
    import resource

    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # the weights are larger

    words = ["run", "digits-quick", "--set", "training.epochs=3", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "classlab.cli.main", *words]
    done = subprocess.run(command, preexec_fn=no_room, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.search(r"^classlab: .*best.safetensors cannot be written: File too large\n\Z", done.stderr, re.MULTILINE)
    (path,) = tmp_path.glob("*/*")
    for file in path.iterdir():
        os.utime(file, (time.time() - 90, time.time() - 90))
    listing = Listing([tmp_path])
    listing.look()
    (state,) = map(states.read, listing.runs.values())
    assert state.status == "silent" and state.sentence.endswith("its process may have ended, and --resume goes on")


def listed(growing):
    listing = Listing([growing.path.parent.parent])
    listing.look()
    return [*listing.runs.values()]


def test_runs_of_last_year_on_a_disk_that_cannot_be_written_are_listed(run, tmp_path):
    copy = tmp_path / "old" / "quick" / "s0-22222222"
    shutil.copytree(run, copy)
    for path in (copy, *copy.iterdir()):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(copy.iterdir())
    with served([tmp_path / "old"]) as page:
        status_, runs = page.json("/api/runs")
        assert status_ == 200 and runs[0]["status"] == "finished"
        assert page.json(f"/api/sections/run/{runs[0]['key']}")[0] == 200
    assert sorted(copy.iterdir()) == before
    copy.chmod(0o755)


def test_nobody_listening_costs_no_look(growing):
    import asyncio

    async def count():
        watch = Watch(Listing([growing.path.parent.parent]))
        looks = 0

        def look():
            nonlocal looks
            looks += 1

        watch._look = look
        async with watch.listening():
            await asyncio.sleep(0.5)
        await asyncio.sleep(0.3)
        during = looks
        await asyncio.sleep(0.5)
        return during, looks

    during, after = asyncio.run(count())
    assert during >= 1 and after == during

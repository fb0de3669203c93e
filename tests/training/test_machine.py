import dataclasses
import json

import platformdirs
import pytest
import torch

from classlab.training.fast import machine


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache"))
    for name in ("SECONDS", "CALL_SECONDS", "TRIED_SECONDS"):
        monkeypatch.setattr(machine, name, 0.0)
    monkeypatch.setattr(machine, "COPIED", 1000)
    machine.cached.cache_clear()
    yield tmp_path / "cache"
    machine.cached.cache_clear()


def test_every_figure_is_positive_and_random_state_untouched(folder):
    before = torch.random.get_rng_state()
    measured = machine.measure()
    figures = [measured.fp32_gflops, measured.bf16_gflops, measured.copy_gb_per_second, measured.conv_bf16_ratio]
    assert all(figure > 0 for figure in figures)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_known_time_gives_the_known_figure(monkeypatch):
    monkeypatch.setattr(machine, "_best", lambda work, device, seconds: 0.5)
    assert machine._product("cpu", torch.float32) == 2 * machine.SMALLEST**3 / 0.5 / 1e9
    assert machine._copy("cpu") == 2 * 4 * machine.COPIED / 0.5 / 1e9


def test_measured_once_and_read_again(folder, monkeypatch):
    first = machine.cached()
    machine.cached.cache_clear()
    monkeypatch.setattr(machine, "measure", lambda device: pytest.fail("measured again"))
    assert machine.cached() == first


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"device": "cpu"}'])
def test_a_damaged_file_is_measured_again(folder, text):
    first = machine.cached()
    file = machine.place()
    file.write_text(text)
    machine.cached.cache_clear()
    assert dataclasses.asdict(machine.cached()) == json.loads(file.read_text())
    assert machine.cached().processor == first.processor


def test_a_folder_that_takes_no_file_costs_nothing_else(folder):
    folder.write_text("a file where the folder would be")
    assert machine.cached().fp32_gflops > 0


def test_another_number_of_threads_has_a_file_of_its_own(folder, monkeypatch):
    file = machine.place()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert machine.place() != file


def test_threads_pay_from_where_they_are_clearly_faster(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    counts = []
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    times = iter([1.0, 1.5, 1.0, 0.9, 1.0, 0.6])  # one thread, two threads, for 1, 2 and 4 images
    monkeypatch.setattr(machine, "_best", lambda work, device, seconds: next(times))
    assert machine._work_for_threads() == 4 * 4 * 16 * 16 * 9 * 14 * 14
    assert counts == [1, 2, 1, 2, 1, 2, 2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert machine._work_for_threads() == 0

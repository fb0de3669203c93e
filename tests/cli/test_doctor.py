import json
import shutil

import pytest
from typer.testing import CliRunner

from classlab.cli import doctor
from classlab.cli.main import app
from classlab.errors import Refused
from classlab.training import device, machine

MACHINE = machine.Machine(
    "cpu", "a processor", "2.13", 2, 200.0, 900.0, 47.0, 2.5, 40_000_000, 0.1, 2.0, "2026-11-21T08:00:00"
)


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    monkeypatch.setattr(machine, "cached", lambda device: MACHINE)
    monkeypatch.setattr(machine, "renew", lambda device: machine.Machine(**{**vars(MACHINE), "fp32_gflops": 111.0}))


def test_json_is_one_document_with_every_line():
    result = CliRunner().invoke(app, ["doctor", "--json"])
    document = json.loads(result.stdout)
    assert document["machine"]["fp32_gflops"] == 200
    names = [line["name"] for line in document["lines"]]
    assert names[:3] == ["python", "torch", "processor"]
    assert {"bf16", "speed", "compiler", "gpu", "disk", "datasets", "parts"} < set(names)
    assert all(line["status"] in {"ok", "note", "problem"} for line in document["lines"])


def test_words_name_each_line_and_measure_measures_again():
    assert "matrix product fp32 200" in CliRunner().invoke(app, ["doctor"]).stdout.replace("\n", " ")
    assert "fp32 111" in CliRunner().invoke(app, ["doctor", "--measure"]).stdout


def test_a_missing_compiler_is_a_note_with_what_to_do(monkeypatch):
    monkeypatch.setattr(device, "has_compiler", lambda: False)
    line = doctor._compiler()
    assert line.status == "note"
    assert line.todo == "install g++ or clang for them; nothing else needs it"


def test_a_measurement_of_a_busy_machine_says_so():
    busy = machine.Machine(**{**vars(MACHINE), "load": 500.0})
    assert doctor._speed(MACHINE).status == "ok"
    assert doctor._speed(busy).status == "note"
    assert "classlab doctor --measure when it is quiet" in doctor._speed(busy).todo


def test_bf16_that_is_slower_is_not_used(monkeypatch):
    monkeypatch.setattr(device, "has_bf16", lambda name: True)
    slow = machine.Machine(**{**vars(MACHINE), "conv_bf16_ratio": 0.5})
    assert "and not used" in doctor._bf16(slow).text
    assert "used for large steps" in doctor._bf16(MACHINE).text
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    monkeypatch.setattr(device, "cores", lambda: 4)
    assert doctor._threads(MACHINE).text == "2 from 40 million multiply-adds a step, below that one"
    monkeypatch.setattr(device, "cores", lambda: 2)
    assert "40 million multiply-adds a step (160 without convolutions), below" in doctor._threads(MACHINE).text


def test_a_full_disk_is_a_problem_and_exit_1(monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert isinstance(result.exception, Refused)
    assert str(result.exception) == "not as it should be: disk"
    assert "disk" in [line["name"] for line in json.loads(result.stdout)["lines"] if line["status"] == "problem"]


def test_a_missing_part_names_its_package(monkeypatch):
    monkeypatch.setattr(doctor, "PARTS", ("numpy", "no-such-part-of-classlab"))
    assert doctor._parts().todo == "pip install no-such-part-of-classlab"

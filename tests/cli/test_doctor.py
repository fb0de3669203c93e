import json
import os
import shutil

import pytest
from cost import within
from typer.testing import CliRunner

from classlab import experiment
from classlab.cli import doctor_command
from classlab.cli.main import app
from classlab.errors import Refused, UserError
from classlab.study import declaration
from classlab.training import settings
from classlab.training.fast import machine
from classlab.training.fast.native import library

MACHINE = machine.Machine(
    "cpu", "a processor", "2.13", 2, 200.0, 900.0, 47.0, 2.5, 40_000_000, 0.1, 2.0, "2026-11-21T08:00:00"
)


renew = machine.renew


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
    assert {"bf16", "speed", "native step", "gpu", "disk", "datasets", "parts"} < set(names)
    assert all(line["status"] in {"ok", "note", "problem"} for line in document["lines"])


def test_words_name_each_line_and_measure_measures_again():
    assert "matrix product fp32 200" in CliRunner().invoke(app, ["doctor"]).stdout.replace("\n", " ")
    assert "fp32 111" in CliRunner().invoke(app, ["doctor", "--measure"]).stdout


def test_schemas_are_written_for_an_editor_and_nothing_else_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cached", lambda device: pytest.fail("the machine was measured"))
    folder = tmp_path / "new" / "schemas"
    result = CliRunner().invoke(app, ["doctor", "--schemas", str(folder), "--json"])
    written = [folder / "experiment.schema.json", folder / "study.schema.json"]
    assert json.loads(result.stdout) == {"schemas": [str(path) for path in written]}
    assert [json.loads(path.read_bytes()) for path in written] == [experiment.schema(), declaration.schema()]
    said = CliRunner().invoke(app, ["doctor", "--schemas", str(folder)])
    assert said.exit_code == 0 and "yaml-language-server: $schema=FILE" in said.stderr
    (folder / "experiment.schema.json").unlink()
    (folder / "experiment.schema.json").symlink_to(tmp_path / "outside")
    told = CliRunner().invoke(app, ["doctor", "--schemas", str(folder)]).exception
    assert isinstance(told, UserError) and "is a link" in str(told)


def test_without_a_home_the_line_of_datasets_says_so_and_the_others_stay(monkeypatch):
    monkeypatch.delenv("CLASSLAB_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"~/.cache/{name}")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    lines = {line["name"]: line for line in json.loads(result.stdout)["lines"]}
    assert lines["datasets"]["status"] == "problem" and "there is no home folder" in lines["datasets"]["text"]
    assert "GB free for" in lines["disk"]["text"]
    assert isinstance(result.exception, Refused)


def test_a_device_as_home_is_a_line_and_no_traceback(monkeypatch):
    monkeypatch.delenv("CLASSLAB_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"/dev/null/.cache/{name}")
    assert doctor_command._datasets().text == "/dev/null/.cache/classlab/data cannot be written to"
    assert "GB free for /dev/null/.cache" in doctor_command._disk().text


def test_a_missing_compiler_is_a_note_with_what_to_do(monkeypatch):
    monkeypatch.setattr(library, "compiler", lambda: None)
    line = doctor_command._native()
    assert line.status == "note"
    assert line.todo.startswith("install gcc or clang, or pip install 'classlab[native]'")


def test_a_measurement_of_a_busy_machine_says_so():
    busy = machine.Machine(**{**vars(MACHINE), "load": 500.0})
    assert doctor_command._speed(MACHINE).status == "ok"
    assert doctor_command._speed(busy).status == "note"
    assert "classlab doctor --measure when it is quiet" in doctor_command._speed(busy).todo


def test_bf16_that_is_slower_is_not_used(monkeypatch):
    monkeypatch.setattr(settings, "has_bf16", lambda name: True)
    slow = machine.Machine(**{**vars(MACHINE), "conv_bf16_ratio": 0.5})
    assert "and not used" in doctor_command._bf16(slow).text
    assert "used for large steps" in doctor_command._bf16(MACHINE).text
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    monkeypatch.setattr(settings, "cores", lambda: 4)
    assert doctor_command._threads(MACHINE).text == "2 from 40 million multiply-adds a step, below that one"
    monkeypatch.setattr(settings, "cores", lambda: 2)
    assert "40 million multiply-adds a step (160 without convolutions), below" in doctor_command._threads(MACHINE).text


def test_a_full_disk_is_a_problem_and_exit_1(monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert isinstance(result.exception, Refused)
    assert str(result.exception) == "not as it should be: disk"
    assert "disk" in [line["name"] for line in json.loads(result.stdout)["lines"] if line["status"] == "problem"]


def test_a_missing_part_names_its_package(monkeypatch):
    monkeypatch.setattr(doctor_command, "PARTS", ("numpy", "no-such-part-of-classlab"))
    assert doctor_command._parts().todo == "pip install no-such-part-of-classlab"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file in which a measurement is kept, none of which takes any time here."""
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "measure", lambda device, threads=None: MACHINE)
    return machine.place()


HOSTILE = {
    "deep": "[" * 100_000,
    "long": "[" + "1," * 10_000_000 + "1]",
    "digits": '{"threads": ' + "9" * 5000 + "}",
    "no UTF-8": b"\xff",
    "text for a number": json.dumps({**vars(MACHINE), "load": "busy"}),
    "a list for a number": json.dumps({**vars(MACHINE), "seconds": [1]}),
    "a number for text": json.dumps({**vars(MACHINE), "measured_at": 5}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_measurement_of_another_form_is_none(name, kept):
    content = HOSTILE[name]
    kept.parent.mkdir()
    kept.write_bytes(content if isinstance(content, bytes) else content.encode())
    with within():
        assert machine._read(kept) is None


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_measurement_is_written_to_no_pipe_or_link_and_costs_nothing_else(kind, kept, tmp_path):
    kept.parent.mkdir()
    {"pipe": lambda: os.mkfifo(kept), "link": lambda: kept.symlink_to(tmp_path / "outside"), "folder": kept.mkdir}[
        kind
    ]()
    with within():
        assert machine._read(kept) is None
        assert renew("cpu") == MACHINE
    assert not (tmp_path / "outside").exists()


def test_what_was_kept_is_read_again(kept):
    kept.parent.mkdir()
    kept.write_text(json.dumps(vars(MACHINE)))
    assert machine._read(kept) == MACHINE
    kept.write_text(json.dumps({**vars(MACHINE), "load": None}))
    assert machine._read(kept).load is None

"""A run keeps the reader's own code: an edit changes no run, a run can be given away, and trust is asked for."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import classlab as cl
from classlab import own_code
from classlab.course.check import check
from classlab.errors import UserError
from classlab.experiment import Contract
from classlab.runs import execute, store

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "max_per_class": 20, "max_test_per_class": 5},
    "model": "net.py:Net",
    "training": {"epochs": 1, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}
NET = """
import torch.nn.functional as F
from torch import nn

import helpers
from blocks.dense import dense


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first, self.last = dense(64, helpers.WIDTH), dense(helpers.WIDTH, classes)

    def forward(self, images):
        return self.last(F.relu(self.first(images.flatten(1))))
"""
FILES = {
    "net.py": NET,
    "helpers.py": "WIDTH = 7\n",
    "blocks/dense.py": "from torch import nn\n\n\ndef dense(inputs, outputs):\n    return nn.Linear(inputs, outputs)\n",
}


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The reader's folder, in which the commands are given."""
    folder = tmp_path / "work"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    for name in ("helpers", "blocks", "blocks.dense"):  # of another test
        sys.modules.pop(name, None)
    return folder


def train(**changes):
    return cl.train({**QUICK, **changes}, out="runs", verbose=False)


def away(run, folder, monkeypatch):
    """Give a run away: another folder, another working folder, and nothing that was trusted before."""
    folder.mkdir()
    path = shutil.copytree(run.path, folder / "given")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(own_code, "_trusted", set())
    return path


def outputs(run, seed=0):
    import torch

    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return run.model()(images).numpy()


def change(path, work):
    """Change environment.json."""
    file = path / store.ENVIRONMENT
    document = json.loads(file.read_text())
    work(document)
    file.write_text(json.dumps(document))


EDITS = [
    ("net.py", "F.relu", "F.tanh"),
    ("helpers.py", "7", "9"),
    ("blocks/dense.py", "nn.Linear(inputs, outputs)", "nn.Linear(inputs, outputs, bias=False)"),
]


def test_the_code_is_copied_with_the_neighbours_that_it_imported(work):
    (work / "other.py").write_text("raise RuntimeError\n")
    run = train()
    kept = {file.relative_to(run.path / "code").as_posix() for file in (run.path / "code").rglob("*.py")}
    assert kept == set(FILES)
    assert all((run.path / "code" / name).read_text() == text for name, text in FILES.items())
    assert run.experiment.model.name == "net.py:Net" and "name: net.py:Net" in run.experiment.to_yaml()
    assert run.experiment.digest() == cl.load_experiment(run.experiment).digest()


@pytest.mark.parametrize(("name", "before", "after"), EDITS)
def test_an_edit_changes_no_run_that_is_there(work, name, before, after):
    run = train()
    expected = outputs(run)
    (work / name).write_text(FILES[name].replace(before, after))
    for again in (run, cl.load_run(run.path), cl.load_run(run.path, trust=True)):
        assert np.array_equal(outputs(again), expected)
    assert cl.load_run(run.path).layer_table.parameters == run.summary["parameters"]
    with pytest.raises(UserError, match=rf"was made before {name} was changed; --again makes a new run of it"):
        train()
    other = cl.train(QUICK, out="runs", again=True, verbose=False)
    assert not np.array_equal(outputs(other), expected) and np.array_equal(outputs(run), expected)


def test_a_run_that_is_given_away_opens_with_trust_alone(work, tmp_path, monkeypatch):
    run = train()
    expected = outputs(run)
    path = away(run, tmp_path / "elsewhere", monkeypatch)
    shutil.rmtree(work)
    for opened in (lambda: cl.load_run(path).model(), lambda: cl.load_run(path).experiment):
        with pytest.raises(own_code.Untrusted, match=r"experiment.yaml takes code from net.py:Net; .* unless --trust"):
            opened()
    given = cl.load_run(path, trust=True)
    assert np.array_equal(outputs(given), expected)
    assert given.report().is_file()
    assert not list((path / "code").rglob("__pycache__"))
    assert all(part.passed for part in check(path, Contract(max_parameters=10_000), trust=True).checks)


def test_code_of_the_same_names_elsewhere_is_not_taken_for_it(work, tmp_path, monkeypatch):
    run = train()
    expected = outputs(run)
    path = away(run, tmp_path / "elsewhere", monkeypatch)
    for name in FILES:
        (path.parents[0] / name).parent.mkdir(exist_ok=True)
        (path.parents[0] / name).write_text("raise RuntimeError('another one')\n")
    monkeypatch.syspath_prepend(str(path.parents[0]))
    mine = type(sys)("helpers")
    monkeypatch.setitem(sys.modules, "helpers", mine)
    assert np.array_equal(outputs(cl.load_run(path, trust=True)), expected)
    assert sys.modules["helpers"] is mine
    assert not any(isinstance(finder, own_code._Served) for finder in sys.meta_path)


def test_what_the_session_imported_itself_is_copied_too(work, monkeypatch):
    monkeypatch.syspath_prepend(str(work))
    import helpers

    run = train()
    assert (run.path / "code" / "helpers.py").is_file() and sys.modules["helpers"] is helpers
    del sys.modules["helpers"]


@pytest.mark.parametrize("name", FILES)
def test_a_copy_that_was_changed_is_not_run(work, name, tmp_path, monkeypatch):
    path = away(train(), tmp_path / "elsewhere", monkeypatch)
    (path / "code" / name).write_text(FILES[name] + f"\nopen({str(tmp_path / 'it-ran')!r}, 'w')\n")
    with pytest.raises(UserError, match=rf"code/{name} is not what the run was made with .* it is not run"):
        cl.load_run(path, trust=True).model()
    (path / "code" / name).unlink()
    with pytest.raises(UserError, match=rf"code/{name} is missing, and the run was made with it"):
        cl.load_run(path, trust=True).model()
    (tmp_path / "linked.py").write_text(FILES[name])
    (path / "code" / name).symlink_to(tmp_path / "linked.py")
    with pytest.raises(UserError, match=rf"code/{name} lies behind a link"):
        cl.load_run(path, trust=True).model()
    assert not (tmp_path / "it-ran").exists()


def test_what_was_added_to_a_copy_is_not_run(work, tmp_path, monkeypatch):
    (work / "net.py").write_text("try:\n    import faster\nexcept ImportError:\n    pass\n" + NET)
    run = train()
    expected = outputs(run)
    path = away(run, tmp_path / "elsewhere", monkeypatch)
    for name in ("faster", "json", "torch"):
        (path / "code" / f"{name}.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')\n")
    compiled = path / "code" / "__pycache__" / f"helpers.{sys.implementation.cache_tag}.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"not what the source says")
    assert np.array_equal(outputs(cl.load_run(path, trust=True)), expected) and not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    "place", ["../evil.py", "/tmp/evil.py", "a/../../evil.py", "C:evil.py", ".evil.py", "evil.txt"]
)
def test_a_copy_lies_in_its_run(work, tmp_path, monkeypatch, place):
    path = away(train(), tmp_path / "elsewhere", monkeypatch)

    def point_elsewhere(document):
        document["copies"]["net.py"]["file"] = place
        document["copies"]["net.py"]["digests"][place] = "0" * 64

    change(path, point_elsewhere)
    with pytest.raises(
        UserError,
        match=r"environment.json: copies.net.py.file must be the path of a .py file below the folder, without",
    ) as caught:
        cl.load_run(path, trust=True).model()
    assert "\n" not in str(caught.value)


def test_a_copy_takes_the_place_of_nothing_of_python(work, tmp_path, monkeypatch):
    path = away(train(), tmp_path / "elsewhere", monkeypatch)
    (path / "code" / "json.py").write_text("")

    def list_it(document):
        document["copies"]["net.py"]["digests"]["json.py"] = own_code.digests_of({"": b""})[""]

    change(path, list_it)
    with pytest.raises(UserError, match="has a copy of json, which is not the reader's own"):
        cl.load_run(path, trust=True).model()
    assert json.loads("1") == 1


def test_runs_of_before_open_and_say_what_was_edited(work, capsys):
    run = train()
    change(run.path, lambda document: document.pop("copies"))
    shutil.rmtree(run.path / "code")
    expected = outputs(cl.load_run(run.path, trust=True))
    assert capsys.readouterr().err == ""
    (work / "net.py").write_text(NET.replace("F.relu", "F.tanh"))
    assert not np.array_equal(outputs(cl.load_run(run.path, trust=True)), expected)
    assert "net.py was changed since" in capsys.readouterr().err


def test_files_of_one_name_from_two_folders(work):
    (work / "other").mkdir()
    (work / "other" / "net.py").write_text(
        "from helpers import FACTOR\n\n\ndef load():\n    from classlab.data.sources import digits\n\n"
        "    found = digits.load()\n    assert FACTOR == 2\n    return found\n"
    )
    (work / "other" / "helpers.py").write_text("FACTOR = 2\n")
    data = {**QUICK["data"], "dataset": "other/net.py:load"}
    run = train(data=data)
    assert (run.path / "code" / "2" / "helpers.py").is_file() or (run.path / "code" / "helpers.py").is_file()
    shutil.rmtree(work / "other")
    for name in FILES:
        (work / name).unlink()
    opened = cl.load_run(run.path)
    assert len(opened.dataset().test_labels) == 50 and opened.model() is not None


def test_an_import_within_a_function_finds_the_copy_too(work):
    late = NET.replace(
        "        super()", "        import helpers\n        from blocks import dense as lazily\n\n        super()"
    )
    (work / "net.py").write_text(late)
    run = train()
    for name in FILES:
        (work / name).unlink()
    opened = cl.load_run(run.path)
    assert opened.model() is not None and opened.model() is not None
    assert not any(isinstance(getattr(module, "__loader__", None), own_code._Served) for module in sys.modules.values())


def test_neighbours_with_a_dot_are_copied_and_used_too(work, tmp_path, monkeypatch):
    relative = NET.replace("import helpers", "from . import helpers").replace("from blocks", "from .blocks")
    (work / "net.py").write_text(relative)
    run = cl.train(QUICK, out="runs", verbose=False)
    kept = sorted(file.relative_to(run.path / "code").as_posix() for file in (run.path / "code").rglob("*.py"))
    assert kept == ["blocks/dense.py", "helpers.py", "net.py"]
    answers = run.model()(run.normalised(run.dataset().test_images[:5]))
    (work / "helpers.py").write_text("raise RuntimeError('edited')\n")
    away = shutil.copytree(run.path, tmp_path / "away" / run.path.name)
    shutil.rmtree(work / "blocks")
    monkeypatch.chdir(tmp_path)
    own_code._trusted.clear()
    with pytest.raises(UserError, match="takes code from"):
        cl.load_run(away).model()
    given = cl.load_run(away, trust=True)
    assert given.model()(given.normalised(given.dataset().test_images[:5])).equal(answers)


def test_data_beside_the_code_is_found_where_it_still_lies(work):
    (work / "net.py").write_text(
        NET + "\n\nfrom pathlib import Path\n\nassert Path(__file__).with_name('w.txt').is_file()\n"
    )
    (work / "w.txt").write_text("")
    run = train()
    (work / "helpers.py").write_text("WIDTH = 9\n")
    assert cl.load_run(run.path).model().first.out_features == 7


def test_a_run_that_was_cut_off_goes_on_with_the_same_code_alone(work):
    longer = {**QUICK, "training": {**QUICK["training"], "epochs": 3}}
    asked = execute.ask(longer, out="runs")
    happening = execute.events(asked)
    for event in happening:
        if type(event).__name__ == "EpochDone":
            break
    happening.close()
    (work / "helpers.py").write_text("WIDTH = 7  # the same\n")
    with pytest.raises(UserError, match=r"cannot go on: helpers.py changed since it was begun"):
        cl.train(longer, out="runs", resume=True, verbose=False)
    (work / "helpers.py").write_text(FILES["helpers.py"])
    done = cl.train(longer, out="runs", resume=True, verbose=False)
    assert done.summary["epochs"] == 3 and done.model() is not None


def test_a_study_is_given_away_and_does_not_mix_two_codes(work, tmp_path, monkeypatch):
    asked = {"name": "two", "experiment": {**QUICK, "protocol": {}}, "seeds": 2, "place": "one by one"}
    done = cl.study(asked, out="studies", verbose=False)
    (work / "helpers.py").write_text("WIDTH = 9\n")
    with pytest.raises(UserError, match=r"holds runs that were made before net.py was changed; give another name"):
        cl.study({**asked, "seeds": 3}, out="studies", verbose=False)
    given = tmp_path / "elsewhere"
    shutil.copytree(done.path, given / "two")
    shutil.rmtree(work)
    monkeypatch.chdir(given)
    monkeypatch.setattr(own_code, "_trusted", set())
    with pytest.raises(own_code.Untrusted):
        cl.load_study(given / "two").sentences()
    study = cl.load_study(given / "two", trust=True)
    assert study.sentences() and all(run.model() is not None for run in study.runs["quick"].values())


def test_an_environment_below_the_reader_s_folder_is_no_neighbour(work, monkeypatch):
    place = work / ".venv" / "lib"
    place.mkdir(parents=True)
    (place / "installed.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(place))
    (work / "net.py").write_text("import installed\n" + NET)
    run = train()
    assert "installed" in sys.modules and not (run.path / "code" / "installed.py").exists()
    cl.load_experiment({**QUICK, "model": "net.py:Net"})
    assert "installed" in sys.modules
    del sys.modules["installed"]


def test_the_command_line_asks_for_trust_and_another_process_runs_the_copy(work, tmp_path):
    run = train()
    (work / "net.py").write_text("raise RuntimeError('the new one')\n")
    program = (
        f"import classlab as cl; print(cl.load_run({str(run.path.resolve())!r}, trust=True).model().first.out_features)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, cwd=tmp_path)
    assert done.stdout.strip() == "7", done.stderr


def test_a_module_that_was_edited_since_is_said(tmp_path, capsys, monkeypatch):
    alone = NET.replace("import helpers\nfrom blocks.dense import dense\n", "dense = nn.Linear\n").replace(
        "helpers.WIDTH", "7"
    )
    for number, activation in enumerate(("relu", "tanh")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "installed_net.py").write_text(alone.replace("F.relu", f"F.{activation}"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "0")
    run = train(model="installed_net:Net")
    assert "installed_net" in cl.load_run(run.path, trust=True).environment["code"]
    capsys.readouterr()
    cl.load_run(run.path, trust=True).experiment  # noqa: B018
    assert "was changed" not in capsys.readouterr().err
    del sys.modules["installed_net"]
    monkeypatch.syspath_prepend(tmp_path / "1")
    cl.load_run(run.path, trust=True).experiment  # noqa: B018
    assert f"installed_net was changed since {run.path} was made" in capsys.readouterr().err
    del sys.modules["installed_net"]

"""Code of a reader's own runs where the reader named it, and nowhere else, whatever way its name comes in."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import classlab as cl
from classlab import own_code
from classlab.errors import UserError
from classlab.experiment import load, load_contract
from classlab.runs import store
from classlab.study import declaration as studies
from classlab.study.dry import dry_run
from classlab.study.sweep import variants
from classlab.yaml_text import to_yaml

PACKAGE = Path(cl.__file__).parent
CANARY = """
from pathlib import Path
Path({trace!r}).touch()


def build(input_shape=None, classes=None, **options):
    Path({trace!r}).touch()
    from classlab.models.perceptron import build as perceptron
    return perceptron(input_shape=input_shape, classes=classes)


load = build
"""
QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "max_per_class": 20, "max_test_per_class": 5},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 1, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


@pytest.fixture
def evil(tmp_path):
    """A file that leaves a trace wherever it is imported, and the trace."""
    trace = tmp_path / "it-ran"
    (tmp_path / "evil.py").write_text(CANARY.format(trace=str(trace)))
    return f"{tmp_path}/evil.py", trace


@pytest.fixture
def run(tmp_path):
    return cl.train(QUICK, out=tmp_path / "sent", verbose=False)


def named(run, change):
    """Write the run's experiment anew, changed."""
    file = run.path / store.EXPERIMENT
    fields = YAML(typ="safe").load(file.read_text())
    change(fields)
    file.write_text(to_yaml(fields))


def shell(*arguments, cwd=None, **environment):
    import os

    command = [sys.executable, "-P", "-m", "classlab.cli.main", *map(str, arguments)]
    where = {"PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **where, **environment})


PLACES = [
    lambda fields, name: fields["model"].update(name=name),
    lambda fields, name: fields["data"]["dataset"].update(name=name),
    lambda fields, name: fields["data"].update(augmentations=[{"name": name}]),
    lambda fields, name: fields["data"].update(expansion=[[{"name": name}]]),
    lambda fields, name: fields["training"].update(loss=name),
    lambda fields, name: fields["training"].update(optimizer={"name": name}),
    lambda fields, name: fields["training"].update(schedule={"name": name}),
    lambda fields, name: fields["training"].update(initialise={"name": name}),
    lambda fields, name: fields["contract"].update(dataset={"name": name}),
]


@pytest.mark.parametrize("place", PLACES)
def test_a_run_folder_runs_no_code_that_it_names(run, evil, place):
    source, trace = evil
    named(run, lambda fields: place(fields, f"{source}:build"))
    opened = cl.load_run(run.path)
    for work in (lambda: opened.experiment, opened.model, opened.report, lambda: opened.predict("nothing.png")):
        with pytest.raises(own_code.Untrusted, match=r"experiment.yaml takes code from .* unless --trust is given"):
            work()
    assert not trace.exists()


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:exec", "posix:system", "subprocess:run", "classlab.runs:store"]
)
def test_a_module_that_is_imported_already_is_no_more_trusted_than_another(run, name):
    named(run, lambda fields: fields["data"]["dataset"].update(name=name, command="true"))
    with pytest.raises(own_code.Untrusted, match=f"takes code from {name}"):
        _ = cl.load_run(run.path).experiment


def test_a_shipped_name_means_what_is_shipped_whatever_lies_beside(run, evil, tmp_path, monkeypatch):
    source, trace = evil
    for folder in (run.path, tmp_path):
        (folder / "under-20k").write_text(f"dataset: '{source}:load'\n")
        (folder / "under-20k.yaml").write_text(f"dataset: '{source}:load'\n")
    monkeypatch.chdir(tmp_path)
    named(run, lambda fields: fields.update(contract="under-20k"))
    assert cl.load_run(run.path).experiment.contract.max_parameters == 19_999
    assert load_contract("under-20k").max_parameters == 19_999
    (tmp_path / "dl-minor-1").write_text("title: mine\n")
    from classlab.course.rules import load as load_rules

    assert load_rules("dl-minor-1")[1].title != "mine"
    named(run, lambda fields: fields.update(contract="under-20k.yaml"))
    with pytest.raises(own_code.Untrusted, match=r"under-20k.yaml takes code from"):
        _ = cl.load_run(run.path).experiment
    assert not trace.exists()


STUDY = """
name: sent
experiment: {experiment}
seeds: 1
{rest}
"""
SETTINGS = [
    'set: {{" model": "{name}"}}',
    "set: {{'model=\"{name}\" #': 1}}",
    "set: {{model.name: '{name}'}}",
    "set: {{data.expansion: [[{{name: '{name}'}}]]}}",
    "set: {{data.expansion: !!pairs [[name, '{name}']]}}",
    "sweep: {{grid: {{training.loss: ['{name}']}}}}",
    "sweep: {{variants: [{{name: a, set: {{training.schedule: '{name}'}}}}]}}",
    "sweep: {{variants: [{{name: a, experiment: evil.yaml}}]}}",
    "contract: {{dataset: '{name}'}}",
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_study_folder_runs_no_code_that_it_names(evil, tmp_path, setting):
    source, trace = evil
    folder = tmp_path / "studies" / "sent"
    folder.mkdir(parents=True)
    (folder / "evil.yaml").write_text(to_yaml({**QUICK, "model": f"{source}:build"}))
    (folder / "quick.yaml").write_text(to_yaml(QUICK))
    text = STUDY.format(experiment="quick.yaml", rest=setting.format(name=f"{source}:build"))
    (folder / "study.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        cl.load_study(folder).sentences()
    assert "\n" not in str(caught.value)
    asked = {"name": "sent", "experiment": QUICK, "seeds": 1}
    for work in (cl.study, dry_run):  # a study of the reader's own, whose folder turns out to hold another one
        with pytest.raises(UserError):
            work(asked, out=folder.parent)
    assert not trace.exists()


def test_a_finished_run_in_the_way_runs_no_code(run, evil, tmp_path):
    source, trace = evil
    named(run, lambda fields: fields["model"].update(name=f"{source}:build"))
    with pytest.raises(UserError, match=r"holds another experiment than its name says .* --again makes a new run"):
        cl.train(QUICK, out=tmp_path / "sent", verbose=False)
    assert not trace.exists()
    assert cl.train(QUICK, out=tmp_path / "sent", again=True, verbose=False).path.name.endswith("-2")


def test_rules_run_no_code_that_their_experiments_name(evil, tmp_path):
    source, trace = evil
    rules = {
        "title": "t", "quantities": {"r": {"last_digits": 1}},
        "decisions": {"d": {"branches": [{"value": 1}]}},
        "experiments": {"one": {**{k: v for k, v in QUICK.items() if k != "name"}, "model": f"{source}:build"}},
    }  # fmt: skip
    (tmp_path / "rules.yaml").write_text(to_yaml(rules))
    done = shell("assign", tmp_path / "rules.yaml", "--born", "18/03/02", "--roll", "B1", cwd=tmp_path)
    assert done.returncode == 2 and "takes code from" in done.stderr and not trace.exists()
    done = shell("assign", tmp_path / "rules.yaml", "--born", "18/03/02", "--roll", "B1", "--trust", cwd=tmp_path)
    assert done.returncode == 0 and trace.exists()


def test_what_is_named_on_the_command_line_is_the_reader_s_own(evil, tmp_path):
    source, trace = evil
    fields = {**QUICK, "model": {"name": f"{source}:build"}}
    (tmp_path / "mine.yaml").write_text(to_yaml(fields))
    for command in (["inspect", "mine.yaml"], ["run", "mine.yaml"], ["data", "show", "--like", "mine.yaml"]):
        trace.unlink(missing_ok=True)
        done = shell(*command, cwd=tmp_path)
        assert done.returncode in (0, 1) and trace.exists(), (command, done.stderr)
    for command in ("run", "inspect", "study", "check"):
        assert "code that it names is run" in " ".join(shell(command, "--help", COLUMNS="200").stdout.split())


def test_a_reader_s_file_finds_its_neighbours_which_stand_last(tmp_path):
    for place, width in (("first", 3), ("second", 5)):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "helpers.py").write_text(f"WIDTH = {width}\n")
        (folder / "json.py").write_text("raise RuntimeError('not the one of Python')\n")
        (folder / "net.py").write_text(
            "import json\nfrom helpers import WIDTH\nfrom classlab.models.perceptron import build as other\n\n\n"
            "def build(input_shape, classes):\n    return other(input_shape, classes, widths=[WIDTH])\n"
        )
    for place, width in (("first", 3), ("second", 5)):
        experiment = load({**QUICK, "model": f"{tmp_path}/{place}/net.py:build"}, trust=True)
        network = experiment.model.call("model", input_shape=(1, 8, 8), classes=10)
        assert network[1].out_features == width
        assert str(tmp_path / place) not in sys.path


def test_a_file_that_was_edited_is_read_again_in_the_same_session(tmp_path):
    code = tmp_path / "mine.py"
    for width in (4, 6):
        code.write_text(
            "from classlab.models.perceptron import build as other\n\n\n"
            f"def build(input_shape, classes):\n    return other(input_shape, classes, widths=[{width}])\n"
        )
        done = cl.train({**QUICK, "model": f"{code}:build"}, out=tmp_path / str(width), verbose=False)
        assert done.model()[1].out_features == width


def test_workers_do_not_import_from_the_working_folder(tmp_path):
    for name in ("queue", "random", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')\nraise RuntimeError\n")
    (tmp_path / "two.yaml").write_text(to_yaml({"name": "two", "experiment": QUICK, "seeds": 2, "place": "processes"}))
    done = shell("study", "two.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    "name", [":x", "..:x", "x:", "a b:c", "evil.py:", "1x:y", "x:y z", "a..b:c", "\x1b:x", "x" * 300]
)
def test_names_that_are_none_get_one_sentence(name):
    with pytest.raises(UserError) as caught:
        load({**QUICK, "model": name}, trust=True)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_one_place_imports_a_reader_s_code():
    importing = re.compile(
        r"import_module|exec_module|spec_from_file|__import__|runpy|\bexec\(|\beval\(|pickle\.load|run_path"
    )
    found = {}
    for file in PACKAGE.rglob("*.py"):
        lines = [line for line in file.read_text().splitlines() if importing.search(line) and not _is_prose(line)]
        if lines:
            found[file.relative_to(PACKAGE).as_posix()] = lines
    # An export's script is imported in a process of its own, after the network itself was built, which asked for trust;
    # the format's file is found by its name among constants; and an engine of JavaScript is given the page's script.
    others = {"use/export/clean_process.py", "use/export/export.py", "use/export/javascript.py"}
    assert set(found) == {"__init__.py", "lookup.py", "own_code.py"} | others, found
    assert all("FORMATS[to]" in line for line in found["use/export/export.py"])
    assert all("engine.eval(" in line for line in found["use/export/javascript.py"])
    # The package's own names: constants, never a reader's.
    assert all("_PLACES" in line or "importlib.import_module(module)" in line for line in found["__init__.py"])
    assert all("importlib.import_module(_module_name(file.relative_to(HOME)" in line for line in found["lookup.py"]), (
        found["lookup.py"]
    )


def _is_prose(line):
    return line.strip().startswith(("#", '"""')) or ".eval()" in line


def test_nothing_is_imported_from_a_sent_folder_but_through_that_place(evil, tmp_path, run):
    source, trace = evil
    sent = tmp_path / "sent2"
    shutil.copytree(run.path, sent / "run")
    shutil.copy(source, sent / "evil.py")
    program = f"""
import sys
seen = []
def hook(event, arguments):
    if event == "exec" and {str(sent)!r} in str(getattr(arguments[0], "co_filename", "")):
        seen.append(arguments[0].co_filename)
sys.addaudithook(hook)
import classlab as cl
from classlab.errors import UserError
for work in (lambda r: r.experiment, lambda r: r.model(), lambda r: r.report()):
    try:
        work(cl.load_run({str(sent / "run")!r}))
    except UserError as error:
        print(error)
assert not seen, seen
"""
    text = (sent / "run" / store.EXPERIMENT).read_text().replace("name: perceptron", f"name: {sent}/evil.py:build")
    (sent / "run" / store.EXPERIMENT).write_text(text)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=sent / "run")
    assert done.returncode == 0 and done.stdout.count("takes code from") == 3, done.stderr
    assert not trace.exists()


def test_variants_are_read_once_with_trust_and_known_afterwards(evil):
    source, trace = evil
    study = studies.load({"name": "mine", "experiment": {**QUICK, "model": f"{source}:build"}, "seeds": 1}, trust=True)
    assert trace.exists() and variants(study)[0].experiment.model.name.endswith(":build")

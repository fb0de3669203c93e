"""What an experiment is known by: what it states, so that a new setting orphans no finished run."""

import json
import shutil
from pathlib import Path

import pydantic
import pytest

import classlab as cl
from classlab import experiment as experiments
from classlab import lookup
from classlab.course.check import check
from classlab.experiment import Contract, Experiment, digest, load
from classlab.report import document
from classlab.runs import store
from classlab.validation import Section

EARLIER = Path(__file__).parent / "runs" / "earlier"  # made by classlab before format 2: a run, one cut off, a study
PINNED = Path(__file__).with_name("defaults.json")
SMALL = {
    "name": "small",
    "data": {
        "dataset": "digits", "max_per_class": 6, "max_test_per_class": 3, "val_size": 10,
        "augmentations": [{"name": "shift", "pixels": 1}],
    },
    "model": {"name": "perceptron", "widths": [3]},
    "training": {"epochs": 2, "batch_size": 16, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
    "protocol": {"select": "best"},
    "contract": {"max_parameters": 300},
}  # fmt: skip
STUDY = {
    "name": "small-study", "experiment": {**SMALL, "contract": {}},
    "sweep": {"grid": {"training.batch_size": [16, 8]}}, "seeds": 2,
}  # fmt: skip


def defaults() -> dict:
    """Return the default of every setting, and of every option of what is shipped."""
    found = {}
    for section in (Experiment, *Section.__subclasses__()):
        if section.__module__ == experiments.__name__:
            fields = section.model_fields.items()
            found[section.__name__] = {key: _plain(field) for key, field in fields if not field.is_required()}
    for kind in sorted(set(experiments.KINDS.values())):
        for name in lookup.names(kind):
            fields = lookup.options_model(kind, lookup.find(kind, name)).model_fields.items()
            options = {key: _plain(field) for key, field in fields if not field.is_required()}
            found |= {f"{kind} {name}": options} if options else {}  # what has no option has nothing to pin
    return found


def _plain(field):
    value = field.get_default()
    return value.model_dump(mode="json") if isinstance(value, pydantic.BaseModel) else value


def test_the_format_number_goes_up_when_a_default_changes():
    """Add what is new to defaults.json. Where a default changed, raise experiment.FORMAT first."""
    pinned = json.loads(PINNED.read_text())
    now = json.loads(json.dumps(defaults()))
    assert pinned.pop("format") == experiments.FORMAT
    changed = {
        f"{group}.{key}": (value, now[group].get(key))
        for group, values in pinned.items()
        for key, value in values.items()
        if group in now and now[group].get(key) != value
    }
    assert not changed, "these defaults changed: raise classlab.experiment.FORMAT, and pin them again"
    assert now == pinned, "new settings or options: add them to tests/defaults.json"


@pytest.mark.parametrize("name", lookup.names("experiment"))
def test_what_holds_its_default_is_not_part_of_the_digest(name):
    experiment = load(name)
    fields = experiment.model_dump(mode="json")
    stated = experiments.stated(fields)
    assert digest(stated) == digest(fields) == experiment.digest()
    assert load(json.loads(json.dumps(stated))).digest() == experiment.digest()
    for key in ("protocol", "contract"):
        assert digest({**stated, key: fields[key]}) == experiment.digest()
    assert digest({**fields, "description": "another"}) == experiment.digest()


@pytest.mark.parametrize(
    "change",
    [
        ["training.epochs=3"], ["model.widths=[4]"], ["data.split_seed=1"], ["protocol.augment=all"], ["name=other"],
        ["contract.max_epochs=9"], ["training.optimizer.momentum=0.5"], ["data.augmentations=[]"],
    ],
)  # fmt: skip
def test_everything_else_is(change):
    assert load(SMALL, change).digest() != load(SMALL).digest()


def test_a_setting_that_comes_later_changes_no_digest():
    fields = load(SMALL).model_dump(mode="json")

    class Later(Contract):
        max_watts: float | None = None

    fields["contract"]["max_watts"] = None
    assert digest({**fields, "contract": {k: v for k, v in fields["contract"].items() if k != "max_watts"}}) == (
        load(SMALL).digest()
    )
    assert experiments._differing(fields["contract"], Later) == {"max_parameters": 300}


@pytest.fixture
def earlier(tmp_path):
    shutil.copytree(EARLIER, tmp_path / "earlier")
    return tmp_path / "earlier"


def test_a_finished_run_of_the_version_before_is_found_and_opened(earlier):
    run = cl.train(SMALL, seed=1, out=earlier / "runs", verbose=False)
    assert run.path.name == "s1-7838ec45" and len(store.runs_in(earlier / "runs")) == 1
    assert run.counted_again().counted.differences == ()
    assert run.report().is_file() and run.model()[1].out_features == 3
    checked = check(run.path, Contract(max_parameters=300))
    assert checked.passed, [one.sentence for one in checked.checks]


def test_a_run_that_the_version_before_left_goes_on_to_the_same_bytes(earlier):
    run = cl.train(SMALL, seed=1, out=earlier / "cut", resume=True, verbose=False)
    whole = earlier / "runs" / "small" / "s1-7838ec45"
    assert run.path.name == whole.name
    for name in (store.LAST, store.BEST):
        assert (run.path / name).read_bytes() == (whole / name).read_bytes()


def test_a_study_of_the_version_before_is_answered_compared_and_grows(earlier):
    folder = earlier / "studies"
    before = (folder / "small-study" / "results.csv").read_text()
    result = cl.study(STUDY, out=folder, verbose=False)
    assert {row["status"] for row in result.rows} <= {"finished", "did_not_learn"}
    result.write()
    assert (folder / "small-study" / "results.csv").read_text() == before
    assert len(cl.compare(folder / "small-study").rows) == 4
    summary = next(iter(result.folders.values()))[1] / store.SUMMARY
    for lost in (summary, summary.with_name(store.LAST)):
        lost.unlink()
    again = cl.study(STUDY, out=folder, resume=True, verbose=False)
    again.write()
    assert (folder / "small-study" / "results.csv").read_text() == before
    grown = cl.study({**STUDY, "seeds": 3}, out=folder, verbose=False)
    assert len(grown.rows) == 6 and all(row["status"] != "waiting" for row in grown.rows)


def test_a_population_that_the_version_before_left_half_trained_is_opened_and_goes_on(earlier, capsys):
    folder = earlier / "studies" / "small-study"
    whole = {file: file.read_bytes() for file in folder.glob("runs/*/*/last.safetensors")}
    table = (folder / "results.csv").read_text()
    plan = folder / "plan.json"
    plan.write_text(plan.read_text().replace('"processes"', '"population"'))
    (folder / "study.yaml").write_text((folder / "study.yaml").read_text().replace("place: auto", "place: population"))
    state = folder / "populations" / "s0-c835e8f1" / "population.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"what only the version before can read")
    for cut in sorted(folder.glob("runs/small/s*"))[:3]:
        for file in (store.SUMMARY, store.PREDICTIONS, store.LAST, "calibration.safetensors"):
            (cut / file).unlink()
    opened = cl.load_study(folder)
    assert [row["status"] for row in opened.rows].count("waiting") == 3 and opened.sentences()
    assert document.write(opened, out=earlier / "report.html").is_file()
    with pytest.raises(cl.UserError, match=r"1 of 4 runs are done\); continue with --resume"):
        cl.study({**STUDY, "place": "population"}, out=folder.parent, verbose=False)
    assert "population" not in capsys.readouterr().err
    result = cl.study({**STUDY, "place": "population"}, out=folder.parent, resume=True, verbose=False)
    said = capsys.readouterr().err
    assert said.count("3 runs in") == 1 and "were half-trained as a population" in said
    assert {file: file.read_bytes() for file in whole} == whole
    assert (folder / "results.csv").read_text() == table and len(result.rows) == 4
    assert '"population"' not in plan.read_text() and state.exists()
    cl.study(STUDY, out=folder.parent, resume=True, verbose=False)
    assert "population" not in capsys.readouterr().err


@pytest.mark.parametrize("file", ["plan.json"])
def test_a_number_of_another_format_is_told(earlier, file):
    path = earlier / "studies" / "small-study" / file
    path.write_text(path.read_text().replace('"format": 1', '"format": 7'))
    with pytest.raises(cl.UserError, match=r"format must be one of 1; got 7|format"):
        cl.load_study(path.parent).sentences()

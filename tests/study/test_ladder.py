"""The log of a search by hand: steps that build on each other, results in words, analyses that may be written later."""

import json

import pytest
import yaml
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError
from classlab.report.document import build
from classlab.statistics import holm, mcnemar
from classlab.study import declaration
from classlab.study.sweep import accumulated, variants

LADDER = {
    "name": "digits-ladder",
    "question": "Which step makes a small network on the digits better?",
    "experiment": {
        "name": "digits-ladder",
        "data": {"dataset": "digits", "val_size": 200},
        "model": {"name": "perceptron", "widths": [4]},
        "training": {
            "epochs": 1, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
        },
        "protocol": {"test_each_epoch": True},
    },
    "aim": {"max_parameters": 2000, "min_test_accuracy_percent": 80, "in_each_of_last_epochs": 1},
    "steps": [
        {"name": "narrow", "target": "A network that trains at all.", "analysis": "Too narrow to learn in one epoch."},
        {"name": "wide", "target": "More room.", "set": {"model.widths": [24]}},
        {"name": "wider", "set": {"model": {"name": "perceptron", "widths": [32]}}, "analysis": "  "},
        {"name": "longer", "target": "Twice the time.", "set": {"training.epochs": 2}},
    ],
    "seeds": 1,
    "place": "one by one",
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return cl.study(LADDER, out=tmp_path_factory.mktemp("studies"), jobs=1, verbose=False)


def changed(**fields):
    return {**json.loads(json.dumps(LADDER)), **fields}


def test_each_step_begins_where_the_one_before_ended():
    made = variants(declaration.load(LADDER))
    assert [step.experiment.model.options["widths"] for step in made] == [[4], [24], [32], [32]]
    assert [step.experiment.training.epochs for step in made] == [1, 1, 1, 2]
    steps = [
        declaration.Step(name="a", set={"model.widths": [4], "data.val_size": 9}),
        declaration.Step(name="b", set={"model": "squeeze"}),
        declaration.Step(name="c", experiment="digits-quick", set={"training.epochs": 3}),
    ]
    found = accumulated(steps)
    assert found[1].set == {"data.val_size": 9, "model": "squeeze"}  # the width of the model before is gone with it
    assert found[2].set == {"training.epochs": 3} and found[2].experiment["name"] == "digits-quick"


def test_the_result_is_told_in_words_that_the_runs_bear_out(done):
    logs = done.steps
    runs = [done.runs[log.name][0] for log in logs]
    for log, run in zip(logs, runs, strict=True):
        assert run.sentence() in log.result and f"{run.summary['parameters']:,} parameters" in log.result
        reached = run.summary["test_accuracy"] >= 0.8 and run.summary["parameters"] <= 2000
        assert ("aim reached" in log.result) == reached and ("aim not reached" in log.result) != reached
    assert "aim not reached: 2,410 parameters, at most 2,000 allowed" in logs[2].result  # 64·32 weights are more
    assert logs[0].against == "" and logs[0].believed is None and logs[0].changes == ()
    right = [run.logits().argmax(1) == run.labels() for run in runs]
    tests = [mcnemar(right[place + 1].tolist(), right[place].tolist()) for place in range(3)]
    for log, test, p in zip(logs[1:], tests, holm([test.p for test in tests]), strict=True):
        assert log.believed == (p < 0.05) and test.sentence in log.against
        assert f"after Holm's correction for 3 steps p = {p:.2g}" in log.against
        assert log.against.endswith("one seed each" if log.believed else "not to be believed yet")


def test_changes_are_a_difference_of_experiments(done):
    told = [[(change.setting, change.before, change.after) for change in log.changes] for log in done.steps]
    assert told == [
        [],
        [("model.widths", "[4]", "[24]")],
        [("model.widths", "[24]", "[32]")],
        [("training.epochs", "1", "2")],
    ]


def test_a_choice_by_another_name_is_one_change():
    steps = [{"name": "a"}, {"name": "b", "set": {"training.schedule": {"name": "step", "every_epochs": 2}}},
             {"name": "c", "set": {"data.augmentations": [{"name": "rotate", "degrees": 5}]}}]  # fmt: skip
    from classlab.study.ladder import changes

    made = variants(declaration.load(changed(steps=steps)))
    (schedule,) = changes(made[0], made[1])
    assert (schedule.setting, schedule.before) == ("training.schedule", "constant")
    assert schedule.after.startswith("step (every_epochs 2, ")
    (augmentations,) = changes(made[1], made[2])
    assert "rotate degrees 5" in augmentations.after and augmentations.before == "[]"


def test_an_analysis_is_written_later_and_nothing_trains_again(done):
    assert [log.analysis for log in done.steps] == [
        "Too narrow to learn in one epoch.",
        *["no analysis written yet"] * 3,
    ]
    assert done.steps[2].target == "no target written"
    before = {row["run"]: (done.path / row["run"] / "summary.json").stat().st_mtime_ns for row in done.rows}
    written = changed()
    written["steps"][1]["analysis"] = "Room was what it lacked."
    again = cl.study(written, out=done.path.parent, jobs=1, verbose=False)
    assert again.steps[1].analysis == "Room was what it lacked."
    assert {run: (done.path / run / "summary.json").stat().st_mtime_ns for run in before} == before
    fewer = changed(steps=written["steps"][:2])
    fewer["steps"][0]["analysis"] = "Narrow."
    assert [log.analysis for log in cl.study(fewer, out=done.path.parent, verbose=False).steps][:2] == [
        "Narrow.", "Room was what it lacked.",
    ]  # fmt: skip


def test_the_report_prints_the_ladder(done):
    document = build(cl.load_study(done.path))
    (section,) = [section for section in document.sections if section.title == "The steps"]
    table = next(block for block in section.blocks if getattr(block, "name", "") == "steps")
    assert [row[1] for row in table.rows] == ["narrow", "wide", "wider", "longer"]
    text = str(section.blocks)
    for part in ("No analysis is written yet of", "model.widths: [4] → [24]", "Against the step before", "More room."):
        assert part in text
    without = build(cl.load_run(done.path / done.rows[0]["run"]))
    assert "The steps" not in [section.title for section in without.sections]


def test_the_command_tells_the_steps(done, tmp_path):
    (tmp_path / "ladder.yaml").write_text(yaml.safe_dump(LADDER))
    told = CliRunner().invoke(app, ["study", str(tmp_path / "ladder.yaml"), "--out", str(done.path.parent)])
    assert told.exit_code == 0 and "step 2, wide: test accuracy" in " ".join(told.stdout.split())
    again = CliRunner().invoke(app, ["study", str(tmp_path / "ladder.yaml"), "--out", str(done.path.parent), "--json"])
    document = json.loads(again.stdout)
    assert [step["name"] for step in document["steps"]] == ["narrow", "wide", "wider", "longer"]
    assert document["steps"][1]["changes"] == [{"setting": "model.widths", "before": "[4]", "after": "[24]"}]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sweep": {"grid": {"training.epochs": [1, 2]}}}, "sweep.grid must be left out"),
        ({"steps": [{"name": "a"}, {"name": "b"}]}, "variants a and b are the same experiment"),
        ({"steps": [{"name": "a", "set": {"model.width": 3}}]}, "variant a: "),
        ({"steps": [{"name": "a", "goal": "x"}]}, "steps.0.goal is not a setting; steps.0 has: name, target"),
        ({"experiment": None}, "experiment is required where the first step, narrow, does not name one"),
        ({"steps": []}, "aim is what steps are to reach"),
    ],
)
def test_bad_input_is_one_sentence(fields, sentence):
    with pytest.raises(UserError) as raised:
        variants(declaration.load(changed(**fields)))
    assert sentence in str(raised.value) and "\n" not in str(raised.value)


def test_several_seeds_are_held_against_the_step_before(tmp_path):
    steps = LADDER["steps"][:2]
    result = cl.study(changed(steps=steps, seeds=3, name="three"), out=tmp_path, jobs=1, verbose=False)
    first, second = result.steps
    assert "3 seeds; 95 % interval of the mean" in first.result and "aim" in first.result
    assert "3 shared seeds" in second.against or "paired" in second.against
    assert second.believed in (True, False)


def test_the_shipped_ladder_has_ten_steps_and_ends_within_its_aim():
    study = declaration.load("mnist-ladder")
    made = variants(study)
    assert len(made) == 10 and all(step.target for step in study.steps)
    assert study.aim.max_parameters == 7999 and made[-1].experiment.training.epochs <= 15

"""`classlab check`: each rule kept and broken by a real run, and what a student who cheats would try."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import classlab as cl
from classlab.cli import main as shell
from classlab.errors import UserError
from classlab.runs import records, store
from classlab.yaml_text import parse_yaml, to_yaml

FIELDS = {
    "name": "tiny",
    "data": {"dataset": "digits", "val_size": 100},
    "model": {"name": "convnet", "filters": [8], "kernel": 3, "pool_after": [1], "widths": []},
    "training": {"epochs": 3, "batch_size": 64, "optimizer": {"name": "adam", "learning_rate": 0.01}},
}
NORMED = {**FIELDS, "name": "normed", "model": {"name": "squeeze", "width": 4}}
SGD = {"epochs": 2, "batch_size": 256, "optimizer": {"name": "sgd", "learning_rate": 0.1}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two seeds of one experiment."""
    out = tmp_path_factory.mktemp("runs")
    return [cl.train(FIELDS, seed=seed, out=out, verbose=False) for seed in (0, 1)]


@pytest.fixture
def copied(runs, tmp_path):
    """A run's folder, to be tampered with."""
    folder = tmp_path / "handed-in" / runs[0].path.name
    shutil.copytree(runs[0].path, folder)
    return folder


def check(tmp_path, *paths, **limits):
    (tmp_path / "limits.yaml").write_text(to_yaml(limits))
    words = ["check", *map(str, paths), "--contract", str(tmp_path / "limits.yaml"), "--json"]
    done = CliRunner().invoke(shell.app, words, catch_exceptions=False)
    document = json.loads(done.stdout)
    assert done.exit_code == (0 if document["passed"] else 1)
    return document


def broken(document):
    return [one["rule"] for run in document["runs"] for one in run["checks"] if not one["passed"]]


@pytest.mark.parametrize(
    ("rule", "kept", "not_kept"),
    [
        ("max_parameters", 10_000, 100),
        ("max_epochs", 3, 2),
        ("min_test_accuracy_percent", 50, 99.99),
        ("min_val_accuracy_percent", 50, 100),
        ("max_seconds", 1000, 0.001),
        ("dataset", "digits", "mnist"),
        ("must_contain.max_pool", ["max_pool"], None),
        ("must_contain.dropout", None, ["dropout"]),
        ("must_not_contain.dropout", ["dropout"], None),
        ("must_not_contain.linear", None, ["linear"]),
        ("layers.convolution", {"convolution": 1}, {"convolution": 2}),
        ("first_layer_filters", 8, 16),
    ],
)
def test_every_rule_is_kept_and_broken(runs, tmp_path, rule, kept, not_kept):
    key = rule.partition(".")[0]
    if kept is not None:
        document = check(tmp_path, runs[0].path, **{key: kept})
        assert document["passed"] and rule in [one["rule"] for one in document["runs"][0]["checks"]]
    if not_kept is not None:
        document = check(tmp_path, runs[0].path, **{key: not_kept})
        assert not document["passed"] and broken(document) == [rule]


def test_classes_are_a_rule(runs, tmp_path):
    assert check(tmp_path, runs[0].path, dataset="digits", classes=list(range(10)))["passed"]
    assert broken(check(tmp_path, runs[0].path, dataset="digits", classes=[0, 1])) == ["dataset"]


def test_what_is_measured_is_what_the_run_measured(runs, tmp_path):
    document = check(tmp_path, runs[0].path, min_test_accuracy_percent=1, min_val_accuracy_percent=1)
    (run,) = document["runs"]
    summary = runs[0].summary
    for key in ("test_correct", "test_total", "val_correct", "val_total", "parameters", "epochs"):
        assert run["measured"][key] == summary[key]
    assert run["notes"] == ["the contract names no dataset: measured on the 360 test images that digits gives here"]
    accuracy = next(one for one in run["checks"] if one["rule"] == "min_test_accuracy_percent")
    assert accuracy["margin"] == pytest.approx(100 * summary["test_accuracy"] - 1)


def test_words_give_every_rule_its_verdict_and_margin(runs, tmp_path):
    (tmp_path / "limits.yaml").write_text("max_parameters: 100\nmax_epochs: 2\nmin_test_accuracy_percent: 10\n")
    words = ["check", str(runs[0].path), "--contract", str(tmp_path / "limits.yaml")]
    done = CliRunner().invoke(shell.app, words, catch_exceptions=False)
    parameters = runs[0].summary["parameters"]
    assert done.exit_code == 1
    assert f"{parameters:,} parameters, at most 100 allowed: not kept (margin −{parameters - 100})" in done.stdout
    assert "3 epochs, at most 2 allowed: not kept (margin −1)" in done.stdout
    assert "at least 10 % wanted: kept (margin +" in done.stdout and "points)" in done.stdout
    assert "CONTRACT NOT KEPT: " in done.stdout


def test_words_say_how_many_runs_fail(runs, tmp_path):
    accuracies, limits = sorted(100 * run.summary["test_accuracy"] for run in runs), tmp_path / "limits.yaml"
    for limit, words in (
        (accuracies[0] - 1, f"CONTRACT KEPT: {limits}, by 2 of 2 runs, measured again"),
        (sum(accuracies) / 2, f"CONTRACT NOT KEPT: {limits}, by 1 of 2 runs; 1 fails, measured again"),
        (accuracies[1] + 1, f"CONTRACT NOT KEPT: {limits}, by 0 of 2 runs; 2 fail, measured again"),
    ):
        limits.write_text(f"min_test_accuracy_percent: {limit}\n")
        asked = ["check", *(str(run.path) for run in runs), "--contract", str(limits)]
        done = CliRunner().invoke(shell.app, asked, catch_exceptions=False)
        assert words in " ".join(done.stdout.split())


def test_the_help_holds_an_example():
    done = CliRunner().invoke(shell.app, ["check", "--help"])
    assert "Example: classlab check runs/mnist-20k/s0-1a2b3c4d --contract under-20k" in done.stdout


# Several seeds


def test_seeds_are_judged_together(runs, tmp_path):
    paths = [run.path for run in runs]
    mean = 100 * sum(run.summary["test_accuracy"] for run in runs) / 2
    assert check(tmp_path, *paths, seeds=2, min_test_accuracy_percent=mean - 0.01)["passed"]
    document = check(tmp_path, *paths, seeds=2, min_test_accuracy_percent=mean + 0.01)
    assert not document["passed"] and broken(document) == []
    assert check(tmp_path, paths[0].parent, seeds=[0, 1], min_test_accuracy_percent=50)["passed"]
    document = check(tmp_path, *paths, seeds=2, judged_by="lower_bound", min_test_accuracy_percent=mean - 0.01)
    assert "lower bound of the 95 % interval of the mean" in document["together"][0]["checks"][-1]["sentence"]
    assert not document["passed"]


def test_one_run_does_not_show_what_two_seeds_should(runs, copied, tmp_path):
    document = check(tmp_path, runs[0].path, seeds=2, min_test_accuracy_percent=50)
    assert [one["rule"] for one in document["together"][0]["checks"] if not one["passed"]] == ["seeds"]
    document = check(tmp_path, runs[0].path, copied, seeds=2, min_test_accuracy_percent=50)
    failed = [one["rule"] for one in document["together"][0]["checks"] if not one["passed"]]
    assert failed == ["different_weights", "seeds"]


def test_a_lucky_seed_trained_again_to_other_bits_is_seen(runs, copied, tmp_path):
    state = store.read_checkpoint(copied / store.LAST)
    state["model.conv1.bias"] *= 1 + 1e-6
    store.write_checkpoint(copied / store.LAST, state, {"experiment": copied.name.partition("-")[2], "seed": 0})
    for seeds in (2, [0, 1]):
        document = check(tmp_path, *[run.path for run in runs], copied, seeds=seeds, min_test_accuracy_percent=50)
        failed = [one for one in document["together"][0]["checks"] if not one["passed"]]
        assert [one["rule"] for one in failed] == ["seeds"]
        assert failed[0]["sentence"] == "2 runs with seed 0, and a seed counts once: not kept"


def test_a_run_under_a_contract_of_several_seeds_says_what_it_cannot_say(tmp_path):
    fields = {**FIELDS, "contract": {"seeds": 2, "min_test_accuracy_percent": 50, "max_epochs": 3}}
    (tmp_path / "tiny.yaml").write_text(to_yaml(fields))
    words = ["run", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "runs")]
    done = CliRunner().invoke(shell.app, words, catch_exceptions=False)
    assert done.exit_code == 0 and "CONTRACT KEPT SO FAR: tiny" in done.stdout
    assert (
        "at least 50 % test accuracy over 2 seeds, by the mean: one run cannot say; see classlab check" in done.stdout
    )


def test_a_run_on_another_dataset_than_its_contract_names_is_refused_before_training(tmp_path):
    with pytest.raises(cl.Refused, match=r"dataset digits, mnist wanted: not kept"):
        cl.train({**FIELDS, "contract": {"dataset": "mnist"}}, out=tmp_path, verbose=False)
    pair = (np.zeros((200, 1, 8, 8), np.uint8), np.arange(200) % 10)
    with pytest.raises(cl.Refused, match=r"images given in Python, digits wanted: not kept"):
        cl.train({**FIELDS, "contract": {"dataset": "digits"}}, data=pair, test=pair, out=tmp_path, verbose=False)


# What a student who cheats would try


def test_an_edited_summary_does_not_pass_and_is_told(copied, tmp_path):
    summary = json.loads((copied / store.SUMMARY).read_text())
    summary.update(test_accuracy=1.0, test_correct=360, epochs=1, parameters=10)
    summary["contract"] = {"passed": True, "checks": []}
    (copied / store.SUMMARY).write_text(json.dumps(summary))
    limits = {"dataset": "digits", "min_test_accuracy_percent": 99.99, "max_epochs": 2, "max_parameters": 100}
    document = check(tmp_path, copied, **limits)
    assert broken(document) == ["max_parameters", "max_epochs", "min_test_accuracy_percent"]
    assert document["runs"][0]["notes"][0].startswith("summary.json says test accuracy 1.0, the weights give ")


def test_edited_predictions_metrics_and_environment_change_no_verdict(copied, runs, tmp_path):
    _, labels = store.read_predictions(copied / store.PREDICTIONS)
    store.write_predictions(copied / store.PREDICTIONS, np.eye(10, dtype=np.float32)[labels], labels)
    (copied / store.METRICS).write_text("epoch,train_loss,val_accuracy,seconds\n1,0.0,1.0,0.1\n")
    environment = records.read_object(copied / store.ENVIRONMENT)
    store.write_json(copied / store.ENVIRONMENT, {**environment, "class_names": ["all"], "classes": 1})
    document = check(tmp_path, copied, min_test_accuracy_percent=99.99, min_val_accuracy_percent=100, max_epochs=2)
    assert broken(document) == ["max_epochs", "min_val_accuracy_percent", "min_test_accuracy_percent"]
    assert document["runs"][0]["measured"]["test_correct"] == runs[0].summary["test_correct"]
    assert "predictions.npz has 360 of 360 right, the weights give" in document["runs"][0]["notes"][-1]


def test_broken_result_files_are_told_and_change_no_verdict(copied, tmp_path):
    (copied / store.METRICS).write_text("epoch,seconds\n1,many\n")
    (copied / store.SUMMARY).write_text('{"test_accuracy": NaN}')
    (copied / store.PREDICTIONS).write_bytes(b"PK\x03\x04 no archive")
    document = check(tmp_path, copied, dataset="digits", min_test_accuracy_percent=50)
    assert document["passed"] and len(document["runs"][0]["notes"]) == 2
    assert broken(check(tmp_path, copied, max_seconds=100)) == ["max_seconds"]


def test_what_the_folder_says_is_printed_as_it_stands(copied, tmp_path):
    (copied / store.SUMMARY).write_text('{"test_accuracy": "[/x]"}')
    (tmp_path / "[").mkdir()
    odd = copied.rename(tmp_path / "[/y]")
    (tmp_path / "[/z].yaml").write_text("min_test_accuracy_percent: 1\n")
    words = ["check", str(odd), "--contract", str(tmp_path / "[/z].yaml")]
    done = CliRunner().invoke(shell.app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "summary.json says test accuracy [/x], the weights give" in done.stdout
    assert "/[/y], seed 0" in done.stdout and "/[/z].yaml, by the run" in done.stdout


def edit(folder, change):
    fields = parse_yaml((folder / store.EXPERIMENT).read_text(), "")
    change(fields)
    (folder / store.EXPERIMENT).write_text(to_yaml(fields))


@pytest.mark.parametrize(
    ("change", "also_broken"),
    [
        (lambda fields: fields["data"].update(normalise={"mean": [0.9], "std": [9.0]}), {"min_test_accuracy_percent"}),
        (lambda fields: fields["data"].update(max_test_per_class=3), {"dataset", "min_test_accuracy_percent"}),
        (lambda fields: fields["training"].update(epochs=1), set()),
        (lambda fields: fields["model"].update(filters=[16]), {"weights", "min_test_accuracy_percent"}),
    ],
    ids=["normalisation", "fewer test images", "epochs", "network"],
)
def test_an_edited_experiment_is_seen(copied, tmp_path, change, also_broken):
    edit(copied, change)
    document = check(tmp_path, copied, dataset="digits", min_test_accuracy_percent=60)
    assert set(broken(document)) == {"same_experiment"} | also_broken


def test_another_dataset_in_the_experiment_is_seen(copied, tmp_path):
    edit(copied, lambda fields: fields["data"].update(dataset={"name": "digits"}, classes=[0, 1, 2]))
    document = check(tmp_path, copied, dataset="digits", min_test_accuracy_percent=1)
    assert broken(document) == ["same_experiment", "dataset", "min_test_accuracy_percent"]


def test_the_weights_of_another_run_are_seen(copied, runs, tmp_path):
    shutil.copy(runs[1].path / store.LAST, copied / store.LAST)
    assert broken(check(tmp_path, copied, max_epochs=3)) == ["same_seed"]
    longer = cl.train({**FIELDS, "training": {**FIELDS["training"], "epochs": 4}}, out=tmp_path, verbose=False)
    shutil.copy(longer.path / store.LAST, copied / store.LAST)
    assert broken(check(tmp_path, copied, max_epochs=3)) == ["same_experiment", "max_epochs"]
    other = cl.train(NORMED, out=tmp_path, verbose=False)
    shutil.copy(other.path / store.LAST, copied / store.LAST)
    document = check(tmp_path, copied, min_test_accuracy_percent=1)
    assert broken(document) == ["same_experiment", "weights", "min_test_accuracy_percent"]
    assert "holds the weights of another network" in str(document)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_epochs_left_out_of_the_count_are_seen_in_the_steps(tmp_path, optimizer):
    fields = NORMED if optimizer == "adam" else {**NORMED, "training": SGD}
    run = cl.train(fields, out=tmp_path, verbose=False)
    epochs = run.summary["epochs"]
    state = store.read_checkpoint(run.path / store.LAST)
    state["losses"] = state["losses"][:1]
    store.write_checkpoint(run.path / store.LAST, state, {"experiment": run.experiment.digest(), "seed": 0})
    document = check(tmp_path, run.path, max_epochs=1)
    assert broken(document) == ["max_epochs"] and document["runs"][0]["measured"]["epochs"] == epochs > 1


def test_weights_that_are_not_finite_are_broken(copied, tmp_path):
    state = store.read_checkpoint(copied / store.LAST)
    state["model.conv1.bias"] *= np.nan
    store.write_checkpoint(copied / store.LAST, state, {"experiment": copied.name.partition("-")[2], "seed": 0})
    assert broken(check(tmp_path, copied, max_epochs=3)) == ["weights"]


def test_a_test_set_that_chose_the_epoch_is_told(tmp_path):
    run = cl.train({**FIELDS, "protocol": {"validate_on": "test", "select": "best"}}, out=tmp_path, verbose=False)
    document = check(tmp_path, run.path, dataset="digits", min_test_accuracy_percent=1)
    assert document["passed"]
    assert document["runs"][0]["notes"] == [
        "the test set chose the epoch, as the experiment's protocol asks: its accuracy is too high"
    ]


# What cannot be checked


def test_a_network_too_large_for_any_machine_is_told(copied, tmp_path):
    edit(copied, lambda fields: fields["model"].update(filters=[100_000, 100_000], pool_after=[1]))
    with pytest.raises(UserError, match=r"the network convnet .* parameters; at most 50,000,000 are built"):
        check(tmp_path, copied, max_epochs=3)


def test_runs_of_networks_given_in_python_cannot_be_checked(tmp_path):
    from torch import nn

    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    run = cl.train(FIELDS, model=module, out=tmp_path, verbose=False)
    with pytest.raises(UserError, match=r"was given its model in Python, so nobody can measure it from its folder"):
        check(tmp_path, run.path, max_epochs=3)


def test_foreign_code_is_refused_unless_trusted(copied, tmp_path):
    edit(copied, lambda fields: fields["model"].update(name="no_such_file.py:build"))
    with pytest.raises(UserError, match=r"takes code from no_such_file.py:build; .* unless --trust is given"):
        check(tmp_path, copied, max_epochs=3)


def test_among_many_a_broken_folder_does_not_stop_the_others(copied, runs, tmp_path):
    (copied / store.LAST).write_bytes(b"nothing")
    with pytest.raises(UserError, match="is not a whole safetensors checkpoint"):
        check(tmp_path, copied, max_epochs=3)
    document = check(tmp_path, runs[0].path.parent, copied.parent, max_epochs=3)
    assert [run["passed"] for run in document["runs"]] == [True, True, False]
    assert broken(document) == ["readable"]


def test_folders_without_runs_and_contracts_that_are_not_there(runs, tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        check(tmp_path, tmp_path / "nowhere", max_epochs=3)
    with pytest.raises(UserError, match="there is no contract named 'under-20'"):
        CliRunner().invoke(shell.app, ["check", str(runs[0].path), "--contract", "under-20"], catch_exceptions=False)

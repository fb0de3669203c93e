"""Runs through the Python face: what a run leaves behind, and that its bits depend on nothing but its declaration."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import classlab as cl
from classlab.runs import store

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 200, "augmentations": [{"name": "rotate", "degrees": 10}]},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 3, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
}


def changed(**sections):
    fields = json.loads(json.dumps(QUICK))
    for section, values in sections.items():
        fields.setdefault(section, {}).update(values)
    return fields


def train(fields, out, **options):
    return cl.train(fields, out=out, verbose=False, **options)


class WithDropout(nn.Module):
    """A module with a branch, randomness of its own and a parameter that no layer holds."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.2)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.last = nn.Linear(4, 3)

    def forward(self, images):
        x = torch.relu(self.norm(self.first(images)))
        x = x + self.drop(x) * self.scale
        return self.last(x.mean((2, 3)))


def three_classes(seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, 150)
    images = random.integers(0, 40, (150, 8, 8)).astype(np.uint8)
    images[np.arange(150), labels * 2] += 180
    return images, labels


def test_a_run_folder_holds_everything(tmp_path):
    run = train(QUICK, tmp_path)
    assert sorted(file.name for file in run.path.iterdir()) == sorted(
        [
            "experiment.yaml", "metrics.csv", "summary.json", "environment.json", "split.json", "best.safetensors",
            "last.safetensors", "weights.safetensors", "predictions.npz", "calibration.safetensors", "log.txt",
        ]
    )  # fmt: skip
    summary = run.summary
    logits, labels = run.predictions()
    assert summary["test_accuracy"] == (logits.argmax(1) == labels).mean()
    assert summary["test_interval"][0] < summary["test_accuracy"] < summary["test_interval"][1]
    assert summary["status"] == "finished" and summary["epochs"] == 3 and summary["selected_epoch"] == 3
    assert summary["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    assert list(run.history.columns) == [
        "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds",
    ]  # fmt: skip
    split = run.split()
    assert len(split["train"]) == 1237 and len(split["val"]) == 200
    assert not set(split["train"]) & set(split["val"])


def test_the_saved_experiment_is_the_experiment_and_its_weights_give_the_saved_logits(tmp_path):
    run = train(QUICK, tmp_path)
    again = cl.load_run(run.path)
    assert again.experiment == run.experiment
    data = again.dataset()
    images = (torch.from_numpy(data.test_images).float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        logits = again.model()(images)
    assert torch.allclose(logits, torch.from_numpy(run.predictions()[0]), rtol=1e-4, atol=1e-4)  # in other batches


def test_the_same_run_again_is_that_run_and_another_seed_is_another(tmp_path):
    run = train(QUICK, tmp_path)
    written = (run.path / store.SUMMARY).stat().st_mtime_ns
    assert train(QUICK, tmp_path).path == run.path
    assert (run.path / store.SUMMARY).stat().st_mtime_ns == written
    beside = train(QUICK, tmp_path, again=True)
    assert beside.path != run.path
    assert (beside.path / store.LAST).read_bytes() == (run.path / store.LAST).read_bytes()
    other = train(QUICK, tmp_path, seed=1)
    assert other.path.name.startswith("s1-")
    assert (other.path / store.LAST).read_bytes() != (run.path / store.LAST).read_bytes()


@pytest.mark.parametrize(
    "fields",
    [
        changed(),
        changed(training={"optimizer": "adam", "schedule": "one_cycle"}, protocol={"select": "best"}),
        changed(training={"optimizer": "adamw", "schedule": {"name": "plateau", "patience_epochs": 0}}),
        changed(training={"early_stopping": {"patience": 2}, "epochs": 4, "precision": "bf16"}),
    ],
    ids=["sgd", "adam-best", "adamw-plateau", "early-stopping"],
)
def test_a_run_cut_off_after_any_epoch_resumes_to_the_same_bytes(fields, tmp_path, monkeypatch):
    whole = train(fields, tmp_path / "whole")
    monkeypatch.setattr(store, "write_checkpoint", _cut_after(store.write_checkpoint, times=2))
    with pytest.raises(KeyboardInterrupt):
        train(fields, tmp_path / "cut")
    monkeypatch.undo()
    with pytest.raises(cl.UserError, match=r"is incomplete .* continue with --resume, or start over with --again"):
        train(fields, tmp_path / "cut")
    resumed = train(fields, tmp_path / "cut", resume=True)
    for name in (store.BEST, store.LAST):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert resumed.history.drop(columns="seconds").equals(whole.history.drop(columns="seconds"))


def test_a_run_made_again_and_cut_off_goes_on(tmp_path, monkeypatch):
    whole = train(QUICK, tmp_path)
    with pytest.raises(cl.UserError, match=r"there is no interrupted run of .*; --again alone makes a new one"):
        train(QUICK, tmp_path, again=True, resume=True)
    monkeypatch.setattr(store, "write_checkpoint", _cut_after(store.write_checkpoint, times=2))
    with pytest.raises(KeyboardInterrupt):
        train(QUICK, tmp_path, again=True)
    monkeypatch.undo()
    resumed = train(QUICK, tmp_path, again=True, resume=True)
    assert resumed.path.name == whole.path.name + "-2"
    assert (resumed.path / store.LAST).read_bytes() == (whole.path / store.LAST).read_bytes()


def test_a_run_of_changed_images_or_code_neither_goes_on_nor_passes_for_finished(tmp_path, monkeypatch):
    code, arrays = tmp_path / "mine.py", tmp_path / "mine.npz"
    code.write_text("from classlab.models.perceptron import build\n")
    images, labels = three_classes()
    np.savez(arrays, images=images, labels=labels)
    fields = changed(
        data={"dataset": {"name": "npz", "path": str(arrays)}, "val_size": 30}, model={"name": f"{code}:build"}
    )
    monkeypatch.setattr(store, "write_checkpoint", _cut_after(store.write_checkpoint, times=2))
    with pytest.raises(KeyboardInterrupt):
        train(fields, tmp_path / "cut")
    monkeypatch.undo()
    np.savez(arrays, images=images[1:], labels=labels[1:])
    with pytest.raises(cl.UserError, match=r"cannot go on: the images of mine changed since .* --again starts over"):
        train(fields, tmp_path / "cut", resume=True)
    np.savez(arrays, images=images, labels=labels)
    run = train(fields, tmp_path / "cut", resume=True)
    assert train(fields, tmp_path / "cut").path == run.path
    code.write_text("from classlab.models.perceptron import build  # changed\n")
    with pytest.raises(cl.UserError, match=r"was made before .*mine.py was changed; --again makes a new run of it"):
        train(fields, tmp_path / "cut")


def test_one_process_at_a_time_is_at_work_in_a_run_folder(tmp_path):
    run = train(QUICK, tmp_path)
    (run.path / store.SUMMARY).unlink()
    with store.alone(run.path), pytest.raises(cl.UserError, match=r"another process is at work in .*; wait for it"):
        train(QUICK, tmp_path, resume=True)
    assert train(QUICK, tmp_path, resume=True).status == "finished"
    assert list(run.path.parent.iterdir()) == [run.path]


def test_listing_a_run_that_was_cut_off_does_not_run_its_code(tmp_path, monkeypatch):
    trace, code = tmp_path / "it-ran", tmp_path / "mine.py"
    code.write_text("from classlab.models.perceptron import build\n")
    monkeypatch.setattr(store, "write_checkpoint", _cut_after(store.write_checkpoint, times=2))
    with pytest.raises(KeyboardInterrupt):
        train(changed(model={"name": f"{code}:build"}), tmp_path / "cut")
    monkeypatch.undo()
    (path,) = store.runs_in(tmp_path / "cut")
    code.unlink()
    moved = tmp_path / "theirs.py"
    moved.write_text(f"open({str(trace)!r}, 'w')\nraise RuntimeError\n")
    text = (path / store.EXPERIMENT).read_text()
    (path / store.EXPERIMENT).write_text(text.replace(str(code), str(moved)))
    assert cl.load_run(path).summary["status_sentence"] == "incomplete: 2 of 3 epochs are done"
    assert not trace.exists()


def _cut_after(write, times):
    calls = []

    def cut(path, *rest):
        calls.append(path)
        if len(calls) > times:
            raise KeyboardInterrupt
        write(path, *rest)

    return cut


def test_kill_in_the_middle_of_an_epoch_twice_then_resume_gives_the_same_bytes(tmp_path):
    settings = ["--set", "training.epochs=6", "--set", "training.batch_size=8"]
    whole = _shell("run", "digits-quick", *settings, "--out", tmp_path / "whole", "--json")
    assert whole.wait(240) in (0, 1)
    for rows in (1, 3):
        process = _shell("run", "digits-quick", *settings, "--out", tmp_path / "cut", "--resume")
        _wait_for_rows(tmp_path / "cut", rows, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        assert cl.load_run(_only(tmp_path / "cut")).status == "incomplete"
    assert _shell("run", "digits-quick", *settings, "--out", tmp_path / "cut", "--resume").wait(240) in (0, 1)
    for name in (store.BEST, store.LAST):
        assert (_only(tmp_path / "cut") / name).read_bytes() == (_only(tmp_path / "whole") / name).read_bytes()


def _shell(*words):
    command = [sys.executable, "-m", "classlab.cli.main", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _only(out: Path) -> Path:
    (path,) = store.runs_in(out)
    return path


def _wait_for_rows(out: Path, rows: int, process: subprocess.Popen) -> None:
    for _ in range(12_000):
        found = store.runs_in(out)
        if found and len(store.read_metrics(found[0] / store.METRICS)) >= rows:
            return
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    raise AssertionError("no epoch ended within two minutes")


def test_the_reader_s_own_module_and_arrays(tmp_path):
    data, test = three_classes(0), three_classes(1)
    fields = changed(training={"epochs": 8}, data={"val_size": 30, "augmentations": []})
    run = train(fields, tmp_path, model=WithDropout(), data=data, test=test)
    assert run.summary["test_total"] == 150 and run.summary["test_accuracy"] > 0.5
    assert cl.load_run(run.path).environment["given_in_python"] == ["data", "model"]
    with pytest.raises(cl.UserError, match="made with a module given in Python"):
        cl.load_run(run.path).model()
    with pytest.raises(cl.UserError, match="made with arrays given in Python"):
        cl.load_run(run.path).dataset()
    assert run.model()(torch.zeros(1, 1, 8, 8)).shape == (1, 3)


def test_a_run_begun_with_a_compiled_step_does_not_go_on(tmp_path):
    run = train(changed(training={"epochs": 2}), tmp_path)
    (run.path / store.SUMMARY).unlink()
    known = json.loads((run.path / store.ENVIRONMENT).read_text())
    store.write_json(run.path / store.ENVIRONMENT, {**known, "settings": {**known["settings"], "compiled": True}})
    with pytest.raises(
        cl.UserError, match="begun with a compiled step, which there is no more; --again makes a new run"
    ):
        train(changed(training={"epochs": 2}), tmp_path, resume=True)


def test_equal_seeds_give_equal_bytes_whatever_the_session_s_random_state(tmp_path):
    data, fields = three_classes(), changed(data={"val_size": 20})
    torch.manual_seed(1)
    first = train(fields, tmp_path / "a", model=WithDropout(), data=data)
    torch.manual_seed(2)
    torch.rand(7)
    module = WithDropout()
    state = torch.get_rng_state()
    second = train(fields, tmp_path / "b", model=module, data=data)
    assert torch.equal(torch.get_rng_state(), state)
    assert (first.path / store.LAST).read_bytes() == (second.path / store.LAST).read_bytes()
    assert first.path.name == second.path.name


def test_keep_starts_from_the_module_s_own_weights_and_leaves_the_module_alone(tmp_path):
    module = WithDropout()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    still = {"name": "sgd", "learning_rate": 0.0}
    fields = changed(data={"val_size": 20}, training={"initialise": "keep", "epochs": 1, "optimizer": still})
    run = train(fields, tmp_path, model=module, data=three_classes())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
        if "running" not in name and "tracked" not in name:
            assert torch.equal(run.model().state_dict()[name], before[name])


def test_colour_floats_and_labels_of_any_value(tmp_path):
    random = np.random.default_rng(0)
    labels = random.choice([3, 7, 40], 90)
    images = random.random((90, 6, 6, 3)) * 0.1 + (labels / 50)[:, None, None, None]
    run = train(changed(data={"val_size": 0, "augmentations": []}), tmp_path, data=(images, labels.tolist()))
    assert run.environment["class_names"] == ["3", "7", "40"] and run.environment["input_shape"] == [3, 6, 6]
    assert run.summary["val_accuracy"] is None and run.summary["test_total"] == 18
    assert run.experiment.protocol.validate_on == "none"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.zeros((5, 4, 4)), "data must be a pair (images, labels), got ndarray"),
        ((np.zeros((5, 4, 4)), np.zeros(4, int)), "data has 5 images but 4 labels"),
        ((np.zeros((5, 4)), np.zeros(5, int)), "data's images must have 3 or 4 dimensions"),
        ((np.zeros((5, 4, 4), np.int32), np.zeros(5, int)), "must be uint8 (0…255) or float (0…1), got int32"),
        ((np.full((5, 4, 4), np.nan), np.zeros(5, int)), "hold values that are not finite"),
        ((np.zeros((5, 4, 4)), np.zeros(5)), "labels must be whole numbers of shape (count,), got (5,) float64"),
    ],
)
def test_arrays_that_are_no_images_get_one_sentence(data, sentence, tmp_path):
    with pytest.raises(cl.UserError) as caught:
        train(QUICK, tmp_path, data=data)
    assert sentence in str(caught.value)


def test_a_contract_that_cannot_be_met_is_refused_before_training(tmp_path):
    fields = changed(contract={"max_parameters": 1000, "max_epochs": 2})
    with pytest.raises(cl.Refused) as caught:
        train(fields, tmp_path)
    assert str(caught.value) == (
        "quick is refused before training because its contract cannot be met: "
        "1,210 parameters, at most 1,000 allowed: not kept; 3 epochs, at most 2 allowed: not kept"
    )
    assert not list(tmp_path.iterdir())


def test_a_contract_not_kept_is_said_with_figures(tmp_path):
    run = train(changed(contract={"min_test_accuracy_percent": 100}, training={"epochs": 1}), tmp_path)
    assert run.summary["contract"]["passed"] is False
    (check,) = run.summary["contract"]["checks"]
    assert check["rule"] == "min_test_accuracy_percent" and "at least 100 % wanted: not kept" in check["sentence"]


def test_divergence_and_not_learning_are_results(tmp_path):
    wild = {"name": "sgd", "learning_rate": 1e30}
    run = train(changed(training={"optimizer": wild, "epochs": 5}), tmp_path)
    assert run.status == "diverged" and "the loss was not finite in epoch" in run.summary["status_sentence"]
    assert run.summary["contract"]["passed"] is False and run.summary["epochs"] < 5
    still = {"name": "sgd", "learning_rate": 0.0}
    run = train(changed(training={"optimizer": still, "epochs": 1}), tmp_path)
    assert run.status in ("did_not_learn", "finished")
    accuracy = run.summary["test_accuracy"]
    assert (run.status == "did_not_learn") == (run.summary["test_interval"][0] <= 0.1), accuracy


def test_best_selects_by_validation_accuracy_and_test_each_epoch_does_not(tmp_path):
    fields = changed(training={"epochs": 6}, protocol={"select": "best", "test_each_epoch": True})
    run = train(fields, tmp_path)
    best = run.history.val_accuracy.idxmax()
    assert run.summary["selected_epoch"] == run.history.epoch[best]
    assert run.summary["test_accuracy"] == run.history.test_accuracy[best]


def test_train_metrics_can_be_evaluated_again_at_the_epoch_s_end(tmp_path):
    fields = changed(protocol={"train_metrics": "re-evaluated"}, data={"augmentations": []})
    run = train(fields, tmp_path)
    data, index = run.dataset(), run.split()["train"]
    images = (torch.from_numpy(data.images[index]).float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        right = run.model()(images).argmax(1).numpy() == data.labels[index]
    assert run.history.train_accuracy.iloc[-1] == right.mean()


def test_an_output_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    with pytest.raises(cl.UserError, match=r"runs cannot be written to .* give another folder with --out"):
        train(QUICK, blocked / "runs")


def test_shapes_that_do_not_fit_are_caught_before_training(tmp_path):
    with pytest.raises(cl.UserError, match=r"its layer 0 \(Conv2d\) is given \(1, 8, 8\) and takes \(3, "):
        train(QUICK, tmp_path, model=nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 10)))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_cut_short_or_of_another_network_gets_one_sentence(tmp_path):
    run = train(QUICK, tmp_path)
    last = run.path / store.LAST
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(cl.UserError, match="is not a whole safetensors checkpoint"):
        run.model()
    other = train(changed(model={"widths": [8]}), tmp_path)
    last.write_bytes((other.path / store.LAST).read_bytes())
    with pytest.raises(cl.UserError, match=r"holds the weights of another network: .* is .* there, .* in the network"):
        run.model()


@pytest.mark.parametrize("content", [b"", b"epoch,train_loss\n1,many\n", b"epoch,train_loss\n1\n"])
def test_damaged_metrics_get_one_sentence(tmp_path, content):
    file = tmp_path / store.METRICS
    file.write_bytes(content)
    if content:
        with pytest.raises(cl.UserError, match=r"metrics.csv cannot be read, row 1: "):
            store.read_metrics(file)
    else:
        assert store.read_metrics(file) == []


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_damaged_predictions_get_one_sentence(tmp_path, keep):
    file = tmp_path / store.PREDICTIONS
    store.write_predictions(file, np.random.default_rng(0).normal(size=(50, 10)), np.arange(50) % 10)
    whole = file.read_bytes()
    file.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(cl.UserError, match=r"predictions.npz is damaged: "):
        store.read_predictions(file)


def test_mistakes_are_the_surest_wrong_answers(tmp_path):
    run = train(QUICK, tmp_path)
    logits, labels = run.predictions()
    table = run.mistakes(10_000)
    assert len(table) == (logits.argmax(1) != labels).sum()
    assert (table.true != table.predicted).all() and table.confidence.is_monotonic_decreasing
    assert "accuracy" in repr(run) and "<table>" in run._repr_html_()

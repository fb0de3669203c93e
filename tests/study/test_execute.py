"""Studies through the Python face: what is trained, what is kept, what a wrong run becomes."""

import csv
import json
import subprocess
import sys

import pytest

import classlab as cl
from classlab import statistics
from classlab.errors import Refused, UserError
from classlab.study import forecast


def study(fields, out, **options):
    return cl.study(fields, out=out, verbose=False, **options)


def written(result):
    return {file: file.stat().st_mtime_ns for file in result.path.rglob("summary.json")}


def rows(result):
    with (result.path / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def one_by_one(rates):
    """Studies in this process: a small step in a process of its own would only be slower to test."""
    rates["place"] = "one by one"


def test_a_study_answers_with_the_statistics_of_its_runs(rates, one_by_one, tmp_path):
    result = study(rates, tmp_path, seeds=3)
    assert [len(of) for of in result.runs.values()] == [3, 3]
    by_hand = {
        name: {seed: run.summary["test_accuracy"] for seed, run in of.items()} for name, of in result.runs.items()
    }
    alone = cl.train({**rates["experiment"]}, seed=1, out=tmp_path / "alone", verbose=False)
    assert by_hand["learning_rate=0.1"][1] == alone.summary["test_accuracy"]

    first, second = (statistics.Variant(name, values) for name, values in by_hand.items())
    (expected,) = statistics.compare([second], first, images=360)
    assert result.answer.comparisons == [expected]
    told = statistics.over_seeds(list(first.values.values()))
    table = result.table().iloc[0]
    assert (table["mean"], table["sd"], table["n"], table["low"]) == (told.mean, told.sd, 3, told.low)
    best = [run.history["val_accuracy"].max() for run in result.runs["learning_rate=0.1"].values()]
    last = [run.history["val_accuracy"].iloc[-1] for run in result.runs["learning_rate=0.1"].values()]
    assert table["best"] == pytest.approx(sum(best) / 3) and table["last"] == pytest.approx(sum(last) / 3)
    (worth,) = result.answer.background
    assert "learning_rate=0.1: " in worth and "by the 360 test images" in worth
    assert result.sentences() == [*(one.sentence for one in result.answer.variants), worth, expected.sentence]
    assert list(result.results.columns) == list(rows(result)[0]) and len(result.results) == 6
    assert [float(row["test_accuracy"]) for row in rows(result)[:3]] == list(first.values.values())
    assert "Which rate?" in result._repr_html_() and "2 variants, 6 of 6 runs done" in repr(result)
    for chart in (result.curves(), result.multiples(), result.dots(), result.curves("train_loss")):
        assert "learning_rate=0.01" in json.dumps(chart.to_dict())


def test_more_seeds_and_more_values_train_only_what_is_new(rates, one_by_one, tmp_path):
    first = study(rates, tmp_path)
    held = written(first)
    assert len(held) == 4
    assert study(rates, tmp_path).path == first.path and written(first) == held
    more = study(rates, tmp_path, seeds=3)
    assert len(written(more)) == 6 and held.items() <= written(more).items()
    held = written(more)
    rates["sweep"]["grid"]["training.optimizer.learning_rate"].append(0.001)
    wider = study(rates, tmp_path, seeds=3)
    assert len(written(wider)) == 9 and held.items() <= written(wider).items()
    assert len(rows(wider)) == 9 and [len(entry.runs) for entry in wider.plan.entries] == [4, 2, 3]
    # Asked for less, the folder stays what it has become; asked another question of the same runs, it answers that.
    assert len(study(rates, tmp_path, seeds=1).rows) == 9
    other = study(rates, tmp_path, seeds=3, set=["compare.metric=best_val_accuracy"])
    assert other.answer.metric == "best_val_accuracy" and len(written(wider)) == 9


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"set": ["training.epochs=3"]}, "holds another study: its variant learning_rate=0.01 is another experiment"),
        ({"seeds": [7]}, "grows by more variants and seeds, and the seed 0 is not in both studies"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"device": "gpu", "seeds": 3}, "there is no device 'gpu'"),
    ],
)
def test_another_study_in_the_same_folder_is_refused(rates, one_by_one, tmp_path_factory, change, sentence):
    out = tmp_path_factory.getbasetemp() / "refusals"
    study(rates, out)
    with pytest.raises(UserError) as caught:
        study(rates, out, **change)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_that_fails_diverges_or_does_not_learn_is_a_row_and_in_the_denominator(rates, one_by_one, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, fails):\n"
        "        super().__init__()\n        self.fails, self.last = fails, nn.Linear(64, 10)\n\n"
        "    def forward(self, images):\n        if self.training and self.fails:\n"
        "            raise RuntimeError('my own mistake\\nsecond line')\n"
        "        return self.last(images.flatten(1))\n\n\n"
        "def build(classes, fails: bool = False):\n    return Net(fails)\n"
    )
    rates["sweep"] = {
        "variants": [
            {"name": "sound"},
            {"name": "mine", "set": {"model": {"name": f"{mine}:build"}}},
            {"name": "fails", "set": {"model": {"name": f"{mine}:build", "fails": True}}},
            {"name": "explodes", "set": {"training.optimizer.learning_rate": 1e30}},
        ]
    }
    result = study(rates, tmp_path / "out")
    statuses = {one.name: one.statuses for one in result.answer.variants}
    assert statuses["sound"] == statuses["mine"] == {"finished": 2}
    assert statuses["fails"] == {"failed": 2} and statuses["explodes"] == {"diverged": 2}
    failed = [row for row in rows(result) if row["variant"] == "fails"]
    assert [row["sentence"] for row in failed] == ["failed: RuntimeError: my own mistake"] * 2
    assert "Traceback" in (result.path / "log.txt").read_text()
    exploded = next(one for one in result.answer.variants if one.name == "explodes")
    assert exploded.n == exploded.runs == 2 and "2 of 2 runs diverged and count" in exploded.note
    assert result.answer.notes == [
        "fails and sound cannot be compared: fails has no value (2 of 2 runs failed and have no accuracy to count)"
    ]
    assert [one.variant for one in result.answer.comparisons] == ["mine", "explodes"]
    # Asked again nothing happens; with resume the failed ones are tried again.
    log = (result.path / "log.txt").stat().st_size
    assert study(rates, tmp_path / "out").answer.notes == result.answer.notes
    assert (result.path / "log.txt").stat().st_size == log
    study(rates, tmp_path / "out", resume=True)
    assert (result.path / "log.txt").stat().st_size > log


def test_one_seed_each_is_compared_over_the_test_images(rates, one_by_one, tmp_path):
    result = study(rates, tmp_path, seeds=1)
    (comparison,) = result.answer.comparisons
    right = [result.right(name, 0).tolist() for name in ("learning_rate=0.01", "learning_rate=0.1")]
    assert comparison.p == statistics.mcnemar(*right).p and comparison.test == "exact McNemar test"
    assert "one seed each" in comparison.sentence and "these two networks" in comparison.sentence


def test_nothing_is_trained_where_any_variant_cannot_be(rates, tmp_path):
    broken = {**rates, "sweep": {"variants": [{"name": "sound"}, {"name": "crop", "set": {"model": "era_s6"}}]}}
    with pytest.raises(UserError, match="variant crop: "):
        study(broken, tmp_path)
    limited = {**rates, "set": {"contract": {"max_parameters": 10}}}
    with pytest.raises(Refused, match=r"variant learning_rate=0\.1: .* 1,210 parameters, at most 10 allowed"):
        study(limited, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_another_process_works_in_is_left_alone(rates, one_by_one, tmp_path):
    from filelock import FileLock

    (tmp_path / "rates").mkdir()
    with FileLock(tmp_path / "rates" / ".lock"), pytest.raises(UserError, match="another process is at work in"):
        study(rates, tmp_path)


def test_a_worker_that_is_killed_costs_its_run_and_not_the_study(rates, tmp_path, monkeypatch):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import os, signal\nfrom torch import nn\n\n\ndef build(classes, dies: bool = False):\n"
        "    if dies and os.environ.get('OMP_NUM_THREADS') == '1':\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    rates["sweep"] = {
        "variants": [
            {"name": "dies", "set": {"model": {"name": f"{mine}:build", "dies": True}}},
            {"name": "lives", "set": {"model": {"name": f"{mine}:build"}}},
        ]
    }
    result = study(rates, tmp_path / "out", seeds=1, jobs=1)
    assert [entry.place for entry in result.plan.entries] == ["processes"]
    dead, alive = result.rows
    assert dead["status"] == "failed" and "ended by signal 9; memory may have run out" in dead["sentence"]
    assert alive["status"] == "finished"


def test_the_room_may_be_called_once_it_is_imported():
    code = "import classlab as cl; a = cl.study; import classlab.study.sweep; print(callable(a), callable(cl.study))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["True"] * 2


def test_the_forecast_counts_steps_and_measures_a_moment(rates, monkeypatch):
    from classlab.study.declaration import load
    from classlab.study.sweep import variants

    made = variants(load(rates, ["training.epochs=10"]))
    work = forecast.check(made, "cpu")["learning_rate=0.1"]
    train_images = 1797 - 360 - 200
    assert (work.parameters, work.images, work.steps) == (1210, train_images, 10 * -(-train_images // 64))
    monkeypatch.setattr(forecast, "MEASURED_SECONDS", 0.02)
    times = forecast.times(made, "cpu", {})
    assert 0 < times["learning_rate=0.1"].seconds < 60
    assert {one.known_from for one in times.values()} == {"a short measurement"}
    assert {one.step for one in times.values()} == {"torch's step: the training is too short to build a native one"}
    native = variants(load(rates, ["training.native=true"]))
    assert "the native step, " in forecast.times(native, "cpu", {})["learning_rate=0.1"].step


def test_results_that_a_kill_left_behind_the_runs_are_written_when_the_study_is_asked_for_again(tmp_path):
    fields = {
        "name": "late", "seeds": 2,
        "experiment": {
            "name": "quick", "data": {"dataset": "digits", "val_size": 100},
            "model": {"name": "perceptron", "widths": [8]},
            "training": {"epochs": 1, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
        },
    }  # fmt: skip
    result = cl.study(fields, out=tmp_path, verbose=False)
    file = result.path / "results.csv"
    whole = file.read_bytes()
    file.write_bytes(whole.splitlines(keepends=True)[0])  # as it was before the last run ended
    cl.study(fields, out=tmp_path, resume=True, verbose=False)
    assert file.read_bytes() == whole

"""Rows and answers from metrics made up by hand."""

import csv
import math

import pytest
import scipy.stats

from classlab import metrics, statistics
from classlab.runs import store
from classlab.study import plan, results
from classlab.study.answer import answer, watched
from classlab.study.declaration import load
from classlab.study.result import STUDY, StudyResult
from classlab.study.results import row
from classlab.study.sweep import variants


def run(folder, accuracies, losses=None, status="finished", **summary):
    folder.mkdir(parents=True)
    losses = losses or [1.0] * len(accuracies)
    epochs = [
        {"epoch": n, "train_loss": 0.5, "val_accuracy": a, "val_loss": loss, "learning_rate": 0.1, "seconds": 1.0}
        for n, (a, loss) in enumerate(zip(accuracies, losses, strict=True), 1)
    ]
    store.write_metrics(folder / store.METRICS, epochs)
    whole = {
        "run": str(folder), "experiment": "made-up", "seed": 0, "status": status, "status_sentence": status,
        "epochs": len(epochs), "selected_epoch": len(epochs), "parameters": 7, "seconds": float(len(epochs)),
        "test_loss": 0.5, "test_accuracy": None, "test_interval": None, "contract": {"passed": True, "checks": []},
    }  # fmt: skip
    if "test_accuracy" in summary:
        right = round(100 * summary["test_accuracy"])
        summary |= {"test_correct": right, "test_total": 100, "test_interval": [0.0, 1.0]}
    store.write_json(folder / store.SUMMARY, {**whole, **summary})
    return folder


def test_a_row_holds_the_first_the_best_and_the_last_epoch_and_the_spread_of_the_last_five(tmp_path):
    found = row(
        run(tmp_path / "a", [0.2, 0.9, 0.5, 0.6, 0.9, 0.7, 0.8], [3, 2, math.nan, 1, 2, 2, 2], test_accuracy=0.8)
    )
    assert found["first_val_accuracy"] == 0.2 and found["last_val_accuracy"] == 0.8
    assert (found["best_val_accuracy"], found["best_val_accuracy_epoch"]) == (0.9, 2)
    assert found["spread_val_accuracy"] == pytest.approx(0.4)
    assert found["best_val_loss"] == 1 and found["test_accuracy"] == 0.8
    assert "best_test_accuracy" not in found and watched([found], "test_accuracy") == "val"


def test_runs_that_have_not_ended_say_so(tmp_path):
    assert row(tmp_path / "none")["status"] == "waiting"
    assert row(tmp_path / "none", "MemoryError: too large") == {
        "status": "failed", "sentence": "failed: MemoryError: too large",
    }  # fmt: skip
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / store.LAST).touch()
    assert row(tmp_path / "begun")["status"] == "incomplete"


def test_csv_reads_back_to_the_same_bits():
    text = results.to_csv([{"a": 0.1 + 0.2, "b": None, "c": 'x, "y"'}], ["a", "b", "c"])
    assert text == 'a,b,c\n0.30000000000000004,,"x, ""y"""\n'


def rows(values, metric="test_accuracy", statuses=None):
    statuses = statuses or ["finished"] * len(values)
    return [
        {"seed": seed, "status": status, metric: value, "test_total": 1000}
        for seed, (value, status) in enumerate(zip(values, statuses, strict=True))
    ]


def test_every_figure_of_an_answer_is_that_of_the_statistics():
    data = {"base": [0.91, 0.92, 0.90], "up": [0.94, 0.95, 0.93], "same": [0.91, 0.92, 0.91]}
    said = answer({name: rows(values) for name, values in data.items()}, "base", "test_accuracy")
    made = {name: statistics.Variant(name, dict(enumerate(values))) for name, values in data.items()}
    assert said.comparisons == statistics.compare([made["up"], made["same"]], made["base"], images=1000)
    estimates = [statistics.over_seeds(values, images=1000) for values in data.values()]
    assert [one.estimate for one in said.variants] == estimates


def test_a_difference_too_small_to_matter_is_tested_where_the_study_names_one():
    data = {"base": [0.910, 0.911, 0.912], "near": [0.911, 0.911, 0.911], "far": [0.94, 0.95, 0.93]}
    every = {name: rows(values) for name, values in data.items()} | {"lost": rows([None], statuses=["failed"])}
    said = answer(every, "base", "test_accuracy", within=0.5)
    made = {name: statistics.Variant(name, dict(enumerate(values))) for name, values in data.items()}
    near, far = (statistics.equivalence(made[name], made["base"], 0.005, images=1000) for name in ("near", "far"))
    assert said.equivalences == [near, far] and near.equivalent and not far.equivalent
    assert said.tested()[2:] == [near.sentence, far.sentence] and set(said.tested()) < set(said.sentences())
    assert "differ by less than 0.5 points" in near.sentence
    loss = answer({name: rows(data[name], "test_loss") for name in ("base", "near")}, "base", "test_loss", within=0.5)
    assert loss.equivalences[0].margin == 0.5
    none = answer({"base": rows([None], statuses=["failed"]), "a": rows([0.5])}, "base", "test_accuracy", within=0.5)
    assert none.equivalences == [] and answer(every, "base", "test_accuracy").equivalences == []


def test_a_diverged_run_without_a_value_counts_at_chance_and_a_loss_cannot():
    bad = rows([None, 0.5], statuses=["diverged", "finished"])
    said = answer({"base": rows([0.5, 0.6]), "bad": bad}, "base", "test_accuracy", chance=0.1)
    assert said.variants[1].estimate.mean == pytest.approx(0.3) and "counts at chance, 10.00 %" in said.variants[1].note
    lost = rows([None, 0.5], "test_loss", ["diverged", "finished"])
    said = answer({"base": rows([0.5, 0.6], "test_loss"), "bad": lost}, "base", "test_loss", chance=0.1)
    assert said.variants[1].n == 1 and "has no loss to count" in said.variants[1].note


def test_a_baseline_without_a_value_is_said():
    said = answer({"base": rows([None], statuses=["failed"]), "a": rows([0.5])}, "base", "test_accuracy")
    assert said.comparisons == [] and said.notes[0].startswith("a and base cannot be compared: base has no value")


def test_single_networks_are_corrected_for_their_number():
    def right(variant, seed):
        import numpy as np

        wrong = {"base": 0, "a": 8, "b": 30}[variant]
        return np.arange(1000) >= wrong

    data = {name: rows([value]) for name, value in (("base", 1.0), ("a", 0.992), ("b", 0.97))}
    said = answer(data, "base", "test_accuracy", right)
    a, b = said.comparisons
    assert a.p == pytest.approx(2 * 0.5**8) and a.p_adjusted == pytest.approx(a.p) and b.p_adjusted == 2 * b.p
    assert "these two networks differ" in a.sentence and "Holm's correction for 2 comparisons" in a.sentence


def test_the_spread_is_told_in_points():
    assert metrics.scale("spread_val_accuracy").value(0.0123) == "1.23 points"
    assert not metrics.scale("spread_val_accuracy").higher_is_better
    assert metrics.scale("best_val_loss") is statistics.LOSS


def test_equal_gaps_between_spreads_are_not_taken_to_be_without_a_spread_of_their_own():
    metric = "spread_val_accuracy"
    data = {"base": [0.02, 0.04], "wider": [0.03, 0.05]}
    every = {name: [{**one, "val_total": 100} for one in rows(values, metric)] for name, values in data.items()}
    (comparison,) = answer(every, "base", metric).comparisons
    # Each spread is a difference of two counts and each gap one of two spreads: four times a variance of step² / 12.
    t = 0.01 / math.sqrt(4 * 0.01**2 / 12 / 2)
    assert comparison.p == pytest.approx(2 * scipy.stats.t.sf(t, 1)) and not comparison.different
    lost = answer({name: rows(values, "test_loss") for name, values in data.items()}, "base", "test_loss").comparisons
    assert lost[0].p < 0.001


def test_the_mean_of_equal_accuracies_is_not_taken_to_be_certain():
    (told,) = answer({"base": rows([0.9, 0.9, 0.9])}, "base", "test_accuracy").variants
    half = scipy.stats.t.ppf(0.975, 2) / (1000 * math.sqrt(12) * math.sqrt(3))
    assert (told.estimate.low, told.estimate.high) == pytest.approx((0.9 - half, 0.9 + half))


def test_a_setting_named_as_what_came_of_a_run_keeps_a_column_of_its_own(tmp_path, quick):
    stops = {**quick, "training": {**quick["training"], "early_stopping": {"patience": 1}}}
    study = load({"name": "long", "experiment": stops, "sweep": {"grid": {"training.epochs": [8, 9]}}, "seeds": 1})
    made = variants(study)
    runs = tuple(plan.Planned(one.name, 0, plan.run_folder(one, 0)) for one in made)
    plan.write(tmp_path, plan.Plan((plan.Entry("processes", 1, "cpu", runs),)))
    (tmp_path / STUDY).write_text(study.to_yaml(), encoding="utf-8")
    for one in runs:
        run(tmp_path / one.run, [0.5, 0.4, 0.3])
    assert [one.name for one in made] == ["epochs=8", "epochs=9"]
    result = StudyResult(tmp_path)
    result.write()
    header, *lines = csv.reader((tmp_path / "results.csv").read_text(encoding="utf-8").splitlines())
    assert len(set(header)) == len(header)
    read = [dict(zip(header, line, strict=True)) for line in lines]
    assert [(one["training.epochs"], one["epochs"]) for one in read] == [("8", "3"), ("9", "3")]
    assert result.results["training.epochs"].tolist() == ["8", "9"]


def test_values_in_two_heaps_are_told_apart():
    bad = rows([0.1, 0.6, 0.62], statuses=["did_not_learn", "finished", "finished"])
    said = answer({"base": bad}, "base", "test_accuracy").variants[0].sentence
    assert said.startswith("base: 44.00 %, ") and "; the 2 that learned: 61.00 %, " in said
    assert "(1 of 3 runs did not learn and counts with its own value; " in said

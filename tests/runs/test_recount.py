"""A summary that somebody edited: the figures are counted again, and what differs is said."""

import json
import shutil

import pytest

import classlab as cl
from classlab import statistics
from classlab.report import document
from classlab.runs import store

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 200},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 4, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
    "contract": {"max_parameters": 1000, "min_test_accuracy_percent": 99},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return cl.train(QUICK, out=tmp_path_factory.mktemp("recount"), verbose=False)


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made.path, tmp_path / made.path.name)
    return cl.load_run(tmp_path / made.path.name)


def forge(run, **changes):
    summary = json.loads((run.path / store.SUMMARY).read_text())
    (run.path / store.SUMMARY).write_text(json.dumps({**summary, **changes}))


def test_an_honest_summary_is_contradicted_by_nothing(copied):
    counted = copied.counted_again()
    assert counted.counted.differences == ()
    assert counted.summary == copied.summary


def test_the_report_counts_again_and_says_what_was_forged(copied):
    passed = {"rule": "min_test_accuracy_percent", "limit": 99.0, "measured": 99.17, "passed": True, "sentence": "kept"}
    forge(
        copied, test_accuracy=0.9917, test_correct=357, test_interval=[0.97, 0.999], parameters=12, seconds=1.5,
        val_accuracy=1.0, contract={"passed": True, "checks": [passed], "open": []},
    )  # fmt: skip
    outputs, labels = copied.predictions()
    correct = int((outputs.argmax(1) == labels).sum())
    counted = copied.counted_again()
    assert counted.summary["test_correct"] == correct
    assert tuple(counted.summary["test_interval"]) == statistics.wilson(correct, len(labels))
    assert counted.summary["contract"]["passed"] is False
    told = "\n".join(counted.counted.differences)
    for words in (
        f"gives 357 for the number of test images classified correctly; predictions.npz gives {correct}",
        "gives 1.5 for the seconds of training; metrics.csv gives",
        "gives 1 for the validation accuracy; metrics.csv gives",
        "says 12 parameters; the network has", "says the contract is kept; by these figures it is not kept",
    ):  # fmt: skip
        assert words in told
    shown = "".join(str(block) for section in document.build(copied).sections[:1] for block in section.blocks)
    assert "Contract not kept" in shown and "99.17" not in shown
    assert "summary.json gives 357 for the number of test images" in shown


def test_a_summary_that_hides_a_run_that_did_not_learn_is_found_out(copied):
    outputs, labels = copied.predictions()
    outputs[:] = 0
    store.write_predictions(copied.path / store.PREDICTIONS, outputs, labels)
    counted = copied.counted_again()
    assert counted.status == "did_not_learn" and any("the status" in text for text in counted.counted.differences)


def test_studies_and_comparisons_count_again_too(tmp_path):
    fields = {**QUICK, "contract": {}}
    result = cl.study({"name": "two", "experiment": fields, "seeds": 2}, out=tmp_path, jobs=1, verbose=False)
    folder = next(iter(result.folders.values()))[0]
    forge(cl.load_run(folder), test_accuracy=1.0, test_correct=360, test_interval=[0.99, 1.0])
    again = cl.load_study(result.path)
    assert again.rows[0]["test_accuracy"] < 1 and len(again.rows[0]["differences"]) == 1
    sentence = next(text for text in again.sentences() if "summary.json gives" in text)
    assert "seed 0: summary.json gives 360 for the number of test images classified correctly" in sentence
    assert sentence in cl.compare(result.path).sentences()
    runs = next(section for section in document.build(again).sections if section.title == "Runs")
    assert any("summary.json gives" in str(block) for block in runs.blocks)


def test_a_run_without_its_answers_is_told_as_its_summary_has_it(copied):
    (copied.path / store.PREDICTIONS).unlink()
    assert copied.counted_again().summary["test_accuracy"] == copied.summary["test_accuracy"]

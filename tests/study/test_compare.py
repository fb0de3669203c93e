"""Runs side by side: what differs, what is refused, and that two hundred are read quickly."""

import json
import resource
import shutil

import numpy as np
import pytest
from torch import nn

import classlab as cl
from classlab import statistics
from classlab.errors import UserError
from classlab.runs import records, recount, store
from classlab.study.compare import compare


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick):
    """Two variants of two seeds, and a run of another test set."""
    out = tmp_path_factory.mktemp("runs")
    runs = {}
    for rate in (0.1, 0.02):
        fields = json.loads(json.dumps(quick))
        fields["training"]["optimizer"]["learning_rate"] = rate
        for seed in (0, 1):
            runs[rate, seed] = cl.train(fields, seed=seed, out=out, verbose=False).path
    fields["data"]["max_test_per_class"] = 5
    runs["other"] = cl.train(fields, out=out / "other", verbose=False).path
    return runs


def test_runs_of_one_experiment_are_one_variant_and_only_what_differs_is_told(trained):
    compared = compare([trained[0.1, 0], trained[0.02, 0], trained[0.1, 1], trained[0.02, 1]])
    assert compared.differences == {
        "training.optimizer.learning_rate": {"learning_rate=0.1": "0.1", "learning_rate=0.02": "0.02"}
    }
    assert {name: list(of) for name, of in compared.folders.items()} == {
        "learning_rate=0.1": [0, 1], "learning_rate=0.02": [0, 1],
    }  # fmt: skip
    (comparison,) = compared.answer.comparisons
    assert comparison.test == "paired t test" and compared.baseline == "learning_rate=0.1"
    assert compare(trained[0.1, 0], trained[0.1, 1]).differences == {}


def test_networks_given_in_python_are_told_apart_by_their_digests(quick, tmp_path):
    narrow, wide = (nn.Sequential(nn.Flatten(), nn.Linear(64, n), nn.ReLU(), nn.Linear(n, 10)) for n in (4, 16))
    runs = [cl.train(quick, model=model, out=tmp_path, verbose=False) for model in (narrow, wide)]
    digests = [run.path.name.partition("-")[2] for run in runs]
    compared = compare(*runs)
    assert list(compared.differences["given in Python"].values()) == [f"model {digest}" for digest in digests]
    plain = compare(runs[0], cl.train(quick, out=tmp_path, verbose=False))
    assert list(plain.differences["given in Python"].values()) == [f"model {digests[0]}", "nothing"]


def test_one_seed_each_is_compared_over_the_images_on_which_they_disagree(trained):
    compared = compare(cl.load_run(trained[0.1, 0]), cl.load_run(trained[0.02, 0]))
    first, second = (store.read_predictions(trained[rate, 0] / store.PREDICTIONS) for rate in (0.1, 0.02))
    answers = first[0].argmax(1), second[0].argmax(1)
    differ = np.flatnonzero(answers[0] != answers[1])
    found = compared.disagreements()
    assert sorted(one["index"] for one in found) == differ.tolist()
    assert all(one["true"] == first[1][one["index"]] for one in found)
    assert all(one["first"] == answers[0][one["index"]] for one in found)
    assert [one["sure"] for one in found] == sorted((one["sure"] for one in found), reverse=True)
    (comparison,) = compared.answer.comparisons
    p = statistics.mcnemar((answers[1] == first[1]).tolist(), (answers[0] == first[1]).tolist()).p
    assert comparison.p == p
    assert json.loads(json.dumps(compared.to_json()))["disagreements"]["count"] == len(differ)


def test_what_cannot_be_compared_gets_one_sentence(trained, tmp_path):
    with pytest.raises(UserError, match="runs tested on the same images can be compared"):
        compare(trained[0.1, 0], trained["other"])
    moved = tmp_path / trained[0.1, 0].name
    shutil.copytree(trained[0.1, 0], moved)
    with pytest.raises(UserError, match="are the same experiment with the same seed; a seed counts once"):
        compare(trained[0.1, 0], moved)
    told = records.read_object(moved / store.ENVIRONMENT)
    told["dataset"]["name"] = "mnist"
    store.write_json(moved / store.ENVIRONMENT, told)
    with pytest.raises(UserError, match=r"runs of one dataset can be compared; .* is of digits, .* of mnist"):
        compare(trained[0.1, 1], moved)
    with pytest.raises(UserError, match="there is no folder"):
        compare(tmp_path / "nowhere")
    with pytest.raises(UserError, match="metric must be one like test_accuracy"):
        compare(trained[0.1, 0], metric="tset")
    with pytest.raises(UserError, match="compare needs runs"):
        compare()
    with pytest.raises(UserError, match="between two variants; got 1"):
        compare(trained[0.1, 0]).disagreements()


def test_renamed_folders_of_experiments_that_differ_in_much_are_all_compared(trained, tmp_path, shell):
    text = (trained[0.1, 0] / store.EXPERIMENT).read_text(encoding="utf-8")
    changed = text.replace("learning_rate: 0.1\n", "learning_rate: 0.2\n").replace("momentum: 0.9", "momentum: 0.5")
    changed = changed.replace("batch_size: 64", "batch_size: 32").replace("degrees: 10", "degrees: 20")
    for student, experiment in (("ada", text), ("bo", changed)):
        for folder in (tmp_path / student, tmp_path / "class" / student / "run"):
            shutil.copytree(trained[0.1, 0], folder)
            (folder / store.EXPERIMENT).write_text(experiment, encoding="utf-8")
    assert list(compare(tmp_path / "ada", tmp_path / "bo").folders) == ["quick ada", "quick bo"]
    compared = compare(tmp_path / "class")
    assert list(compared.folders) == ["quick run #1", "quick run #2"] and len(compared.rows) == 2
    done = shell("compare", tmp_path / "class")
    assert "momentum" in done.stdout and "only the seeds differ" not in done.stdout


def test_a_network_that_draws_can_stand_beside_one_that_names_classes(trained, quick, tmp_path, shell):
    training = {**quick["training"], "loss": "reconstruction"}
    fields = {**quick, "name": "draws", "model": {"name": "autoencoder", "widths": [16]}, "training": training}
    drawn = cl.train(fields, out=tmp_path, verbose=False).path
    compared = compare(trained[0.1, 0], drawn)
    assert compared.metric == "test_accuracy" and "disagreements" not in compared.to_json()
    done = shell("compare", trained[0.1, 0], drawn)
    assert done.returncode == 0 and "no value" in done.stdout and "different answers" not in done.stdout, done.stderr
    document = json.loads(shell("compare", trained[0.1, 0], drawn, "--json").stdout)
    assert [one["n"] for one in document["variants"]] == [1, 0]
    with pytest.raises(UserError, match="reconstructs images and names no class"):
        compared.disagreements()


def test_two_hundred_runs_are_listed_and_compared_within_two_seconds_of_work(trained, tmp_path, shell):
    """Ten variants of twenty seeds, made from one run: the files are those of a real one, the accuracies made up."""
    text = (trained[0.1, 0] / store.EXPERIMENT).read_text(encoding="utf-8")
    for variant in range(10):
        for seed in range(20):
            folder = tmp_path / "runs" / "quick" / f"s{seed}-{variant:08x}"
            shutil.copytree(trained[0.1, 0], folder)
            changed = text.replace("learning_rate: 0.1\n", f"learning_rate: 0.{variant + 1}1\n")
            (folder / store.EXPERIMENT).write_text(changed, encoding="utf-8")
            for name in (store.SUMMARY, store.ENVIRONMENT):
                document = {**records.read_object(folder / name), "seed": seed}
                if name == store.SUMMARY:
                    labels = store.read_labels(folder / store.PREDICTIONS)
                    correct = len(labels) - 40 + 2 * variant + seed * 7 % 20
                    answers = np.where(np.arange(len(labels)) < correct, labels, (labels + 1) % 10)
                    store.write_predictions(folder / store.PREDICTIONS, np.eye(10, dtype=np.float32)[answers], labels)
                    document |= {"status": "finished", **recount.accuracy(correct, len(labels))}
                store.write_json(folder / name, document)

    def seconds(*words):
        best = float("inf")
        for _ in range(4):
            # Of the processor's time, for other tests may keep the machine busy.
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = shell(*words)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            assert done.returncode == 0, done.stderr
            if best < 2:
                break
        return best, done.stdout

    for words in (("runs", tmp_path / "runs"), ("compare", tmp_path / "runs")):
        took, said = seconds(*words)
        assert took < 2, f"classlab {words[0]} took {took:.1f} s"
    assert "learning_rate=0.11" in said and "20 shared seeds" in " ".join(said.split())

"""The files of a run folder that somebody may have edited: each fault gets one sentence, and stops nothing else."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import classlab as cl
from classlab.errors import UserError
from classlab.runs import records, store

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 100},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 3, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cl.train(QUICK, out=tmp_path_factory.mktemp("records"), verbose=False)


@pytest.fixture(scope="module")
def documents(run):
    return {name: json.loads((run.path / name).read_text()) for name in (store.SUMMARY, store.ENVIRONMENT, store.SPLIT)}


READ = {
    store.SUMMARY: records.read_summary,
    store.ENVIRONMENT: records.read_environment,
    store.SPLIT: records.read_split,
}


def test_what_a_run_writes_is_read_back_as_it_is(run, documents):
    for name, read in READ.items():
        assert read(run.path / name) == documents[name]


@pytest.mark.parametrize(
    ("name", "key", "value", "sentence"),
    [
        (store.SUMMARY, "test_accuracy", "good", r"summary.json: test_accuracy must be a number; got 'good'"),
        (store.SUMMARY, "test_accuracy", 1.5, r"summary.json: test_accuracy must be at most 1; got 1.5"),
        (store.SUMMARY, "status", "great", r"summary.json: status must be one of finished, diverged, did_not_learn"),
        (store.SUMMARY, "test_interval", [0.1], r"summary.json: test_interval must have at least 2 entries"),
        (store.SUMMARY, "test_interval", None, r"test_accuracy and test_interval stand together"),
        (store.SUMMARY, "seconds", -1.0, r"summary.json: seconds must be at least 0; got -1.0"),
        (store.SUMMARY, "contract", [], r"summary.json: contract must be a group of settings"),
        (store.SUMMARY, "epochs", 2.5, r"summary.json: epochs must be a whole number; got 2.5"),
        (store.ENVIRONMENT, "seed", True, r"environment.json: seed must be a whole number; got true"),
        (store.ENVIRONMENT, "class_names", ["0"], r"class_names must be 10 names, as classes says; got 1"),
        (store.ENVIRONMENT, "input_shape", [1, 8], r"environment.json: input_shape must have at least 3 entries"),
        (store.ENVIRONMENT, "settings", {}, r"environment.json: settings.device is required and was not given"),
        (store.SPLIT, "train", [-1], r"split.json: train.0 must be at least 0; got -1"),
    ],
)
def test_each_fault_gets_one_sentence(documents, tmp_path, name, key, value, sentence):
    (tmp_path / name).write_text(json.dumps({**documents[name], key: value}))
    with pytest.raises(UserError, match=sentence) as caught:
        READ[name](tmp_path / name)
    assert "class '" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{" * 100_000, b'{"a": NaN}', b"\xff", b'{"a": ' + b"9" * 5000 + b"}", b"null"]
)
def test_what_is_no_json_object_gets_one_sentence(tmp_path, content):
    (tmp_path / store.SUMMARY).write_bytes(content)
    with pytest.raises(UserError) as caught:
        records.read_object(tmp_path / store.SUMMARY)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([]), st.just({}),
    st.just([[[]]]), st.just(10**30), st.just("\x1b[2J[bold]"), st.just({"name": "os:system"}),
)  # fmt: skip


@given(st.data())
def test_a_damaged_record_is_read_or_refused(documents, tmp_path_factory, data):
    name = data.draw(st.sampled_from(sorted(documents)))
    document = copy.deepcopy(documents[name])
    keys = sorted(document)
    document[data.draw(st.sampled_from(keys))] = data.draw(ODD)
    folder = tmp_path_factory.mktemp("odd")
    (folder / name).write_text(json.dumps(document))
    try:
        READ[name](folder / name)
    except UserError as error:
        assert "\n" not in str(error)


def test_escapes_and_markup_are_shown_as_text(documents, tmp_path):
    document = {**documents[store.SUMMARY], "status_sentence": "\x1b]0;owned\x07[red]\u202e"}
    (tmp_path / store.SUMMARY).write_text(json.dumps(document))
    read = records.read_summary(tmp_path / store.SUMMARY)
    assert read["status_sentence"] == "\\x1b]0;owned\\x07[red]\\u202e"


def test_a_row_that_was_lost_is_said_before_training(tmp_path, monkeypatch):
    calls = []
    whole = store.write_checkpoint

    def cut(path, *rest):
        calls.append(path)
        if len(calls) > 4:
            raise KeyboardInterrupt
        whole(path, *rest)

    monkeypatch.setattr(store, "write_checkpoint", cut)
    with pytest.raises(KeyboardInterrupt):
        cl.train(QUICK, out=tmp_path, verbose=False)
    monkeypatch.undo()
    (path,) = store.runs_in(tmp_path)
    lines = (path / store.METRICS).read_text().splitlines()
    (path / store.METRICS).write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    before = (path / store.LAST).read_bytes()
    with pytest.raises(UserError, match=r"metrics.csv has no row of epoch 1, and last.safetensors counts 2 epochs: "):
        cl.train(QUICK, out=tmp_path, resume=True, verbose=False)
    assert (path / store.LAST).read_bytes() == before
    (path / store.METRICS).write_text("\n".join(lines) + "\n")
    assert cl.train(QUICK, out=tmp_path, resume=True, verbose=False).summary["epochs"] == 3


def test_two_processes_that_end_one_run_agree(run, monkeypatch):
    """Another process ends the run between this one's first look and its lock: it is returned as it is."""
    from classlab.runs import execute

    real = type(run.path).exists
    seen = []

    def late(path):
        if path.name == store.SUMMARY and len(seen) < 2:
            seen.append(path)
            return False
        return real(path)

    monkeypatch.setattr(type(run.path), "exists", late)
    monkeypatch.setattr(execute, "conclude", lambda *_: pytest.fail("evaluated the test set twice"))
    assert cl.train(QUICK, out=run.path.parents[1], verbose=False).path == run.path
    assert len(seen) == 2

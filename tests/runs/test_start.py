"""Starting from the weights of another run: all of them or a part, frozen or trained further."""

import shutil
from pathlib import Path

import pytest
import torch

import classlab as cl
from classlab.errors import UserError
from classlab.experiment import load
from classlab.runs import store

EARLIER = Path(__file__).parent / "earlier" / "encoder"  # made by classlab before format 2
DATA = {"dataset": "digits", "max_per_class": 6, "max_test_per_class": 3, "val_size": 10}
TRAINING = {"epochs": 1, "batch_size": 16, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
AUTOENCODER = {
    "name": "small-autoencoder", "data": DATA, "model": {"name": "autoencoder", "widths": [6, 3]},
    "training": {**TRAINING, "loss": "reconstruction"},
}  # fmt: skip
CLASSIFIER = {
    "name": "small-on-encoder", "data": DATA,
    "model": {"name": "encoder_classifier", "widths": [6, 3], "hidden": [4]},
    "training": {**TRAINING, "initialise": "he_normal"},
}  # fmt: skip


def started(folder, **options):
    """The classifier, starting from the encoder of a run."""
    start = {"run": str(folder), "layers": "encoder"} | options
    return {**CLASSIFIER, "training": {**CLASSIFIER["training"], "start_from": start}}


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    return cl.train(AUTOENCODER, out=tmp_path_factory.mktemp("runs"), verbose=False)


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("select", ["last", "best"])
def test_a_part_starts_from_the_selected_weights_and_a_frozen_one_stays(tmp_path, freeze, select):
    protocol = {"select": select}
    training = {**AUTOENCODER["training"], "epochs": 3}
    first = cl.train({**AUTOENCODER, "training": training, "protocol": protocol}, out=tmp_path, verbose=False)
    run = cl.train(started(first.path, freeze=freeze), out=tmp_path, verbose=False)
    before, after = first.model().encoder, run.model().encoder
    same = [torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert all(same) if freeze else not any(same)
    assert all(parameter.requires_grad != freeze for parameter in after.parameters())
    assert run.model()[1].weight.requires_grad


def test_a_whole_network_goes_on_from_another_run_s_weights(tmp_path):
    plain = {**CLASSIFIER, "name": "plain", "model": {"name": "perceptron", "widths": [5]}}
    first = cl.train(plain, out=tmp_path, verbose=False)
    slow = {**TRAINING, "optimizer": {"name": "sgd", "learning_rate": 1e-12}, "start_from": str(first.path)}
    second = cl.train({**plain, "name": "second", "training": slow}, seed=7, out=tmp_path, verbose=False)
    for a, b in zip(first.model().parameters(), second.model().parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_rest_is_drawn_as_if_the_part_were_not_there(tmp_path, autoencoder):
    """The numbers of a run of the version before: the same bytes, though its experiment was written another way."""
    held = next((EARLIER / "runs" / "small-on-encoder").glob("s1-*"))
    shutil.copytree(EARLIER / "runs" / "small-autoencoder", tmp_path / "runs" / "small-autoencoder")
    first = next((tmp_path / "runs" / "small-autoencoder").iterdir())
    run = cl.train(started(first, freeze=True), seed=1, out=tmp_path / "other", verbose=False)
    ours, theirs = (store.read_checkpoint(path / store.LAST) for path in (run.path, held))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if name.startswith("model."))


def test_a_run_of_the_version_before_is_found_and_opened(tmp_path, monkeypatch):
    shutil.copytree(EARLIER / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    first = next(Path("runs/small-autoencoder").iterdir())
    run = cl.train(started(first, freeze=True), seed=1, out="runs", verbose=False)
    assert run.path.name == "s1-4cb623c8" and len(store.runs_in("runs")) == 2
    assert run.experiment.training.start_from.layers == "encoder" and run.experiment.training.start_from.freeze
    assert run.model()
    page = run.report().read_text()
    assert "the layers encoder of runs/small-autoencoder/" in page and "frozen" in page
    assert "It needs the run runs/small-autoencoder/" in page
    written = {**CLASSIFIER, "model": {**CLASSIFIER["model"], "encoder": str(first), "freeze": True}}
    assert load(written) == load(started(first, freeze=True))


def test_digests_of_the_version_before_are_known():
    """Printed by that version, in both of its formats."""
    second = load(started("runs/small-autoencoder/s0-545c00f4", freeze=True))
    assert second.earlier_digests()[0] == "9d391297"
    assert load(started("runs/small-autoencoder/s0-78c47940", freeze=True)).earlier_digests()[1] == "4cb623c8"
    fresh = load({**CLASSIFIER, "name": "small-fresh"})
    assert (fresh.digest(), fresh.earlier_digests()) == ("da8567e4", ["37c13cc8"])


def test_the_same_run_elsewhere_gives_the_same_digest_and_another_one_another():
    here, there = (load(started(f"{place}/a/s0-11111111")).digest() for place in ("runs", "/elsewhere/runs"))
    assert here == there != load(started("runs/a/s1-11111111")).digest()
    assert here != load(started("runs/a/s0-11111111", freeze=True)).digest()


def test_weights_that_changed_since_are_not_gone_on_from(tmp_path, monkeypatch):
    first = cl.train(AUTOENCODER, out=tmp_path, verbose=False)
    experiment = started(first.path)
    experiment["training"]["epochs"] = 3
    whole = store.write_checkpoint
    calls = []

    def cut(path, *rest):
        calls.append(path)
        if len(calls) > 2:
            raise KeyboardInterrupt
        whole(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_checkpoint", cut)
        with pytest.raises(KeyboardInterrupt):
            cl.train(experiment, out=tmp_path, verbose=False)
    state = store.read_checkpoint(first.checkpoint)
    state["model.encoder.linear1.weight"] += 1
    store.write_checkpoint(first.checkpoint, state, {})
    with pytest.raises(UserError, match="the weights that it started from changed since it was begun"):
        cl.train(experiment, out=tmp_path, resume=True, verbose=False)


@pytest.mark.parametrize(
    ("model", "start", "sentence"),
    [
        ({"widths": [7, 3]}, {}, r"the encoder of .* is another one .* linear1\.weight is \(6, 64\) there, \(7, 64\)"),
        ({"widths": [6, 3, 2]}, {}, r"linear3\.weight is absent there"),
        ({}, {"layers": "encodr"}, r"has no layers named encodr.*did you mean encoder.* it has encoder, linear1"),
        ({}, {"run": "/nowhere"}, r"training.start_from must be a run folder, and /nowhere holds no experiment.yaml"),
        ({}, {"run": ""}, r"training.start_from.run"),
        ({"widths": [2, 1]}, {}, r"the encoder of .* is another one .* \(6, 64\) there, \(2, 64\) here"),
        ({}, {"frezze": True}, r"start_from.frezze is not a setting; did you mean training.start_from.freeze"),
        ({}, {"layers": None, "freeze": True}, r"freeze needs layers"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(autoencoder, tmp_path, model, start, sentence):
    experiment = started(autoencoder.path, **start)
    experiment["model"] = {**experiment["model"], **model}
    with pytest.raises(UserError, match=sentence):
        cl.train(experiment, out=tmp_path, verbose=False)


def test_a_run_that_has_not_ended_is_not_started_from(autoencoder, tmp_path):
    shutil.copytree(autoencoder.path, tmp_path / "a")
    (tmp_path / "a" / store.SUMMARY).unlink()
    with pytest.raises(UserError, match=r"has no summary\.json: that run did not finish"):
        cl.train(started(tmp_path / "a"), out=tmp_path / "runs", verbose=False)


def test_what_the_version_before_wrote_can_be_changed_in_either_spelling():
    before = {**CLASSIFIER, "model": {**CLASSIFIER["model"], "encoder": "runs/a/s0-11111111", "freeze": True}}
    assert load(before, ["training.start_from=runs/b/s0-22222222"]).training.start_from.run == "runs/b/s0-22222222"
    assert not load(before, ["training.start_from.freeze=false"]).training.start_from.freeze
    assert load(before, ["training.start_from=null"]).training.start_from is None
    other = load(before, ["model.encoder=runs/b/s0-22222222"]).training.start_from
    assert (other.run, other.layers, other.freeze) == ("runs/b/s0-22222222", "encoder", True)
    assert not load(load(before), ["model.freeze=false"]).training.start_from.freeze
    short = {**CLASSIFIER, "training": {**CLASSIFIER["training"], "start_from": "runs/a/s0-11111111"}}
    frozen = ["training.start_from.layers=encoder", "training.start_from.freeze=true"]
    assert load(short, frozen).training.start_from.freeze
    study = {"name": "two", "experiment": before, "seeds": 1, "sweep": {"grid": {"model.freeze": [True, False]}}}
    from classlab.study.declaration import load as load_study
    from classlab.study.sweep import variants

    frozen = [variant.experiment.training.start_from.freeze for variant in variants(load_study(study))]
    assert frozen == [True, False]


def test_a_start_that_no_version_before_could_say_has_no_digest_of_theirs():
    plain = {**CLASSIFIER, "name": "plain", "model": {"name": "perceptron", "widths": [5]}}
    begun = {**plain, "training": {**plain["training"], "start_from": "runs/a/s0-11111111"}}
    assert load(begun).earlier_digests() == [] and load(plain).earlier_digests()


def test_freezing_a_fresh_encoder_is_refused():
    with pytest.raises(UserError, match=r"model encoder_classifier: freeze needs training.start_from"):
        load({**CLASSIFIER, "model": {**CLASSIFIER["model"], "freeze": True}})


def test_a_cut_checkpoint_is_said(autoencoder, tmp_path):
    shutil.copytree(autoencoder.path, tmp_path / "a")
    file = tmp_path / "a" / "last.safetensors"
    whole = file.read_bytes()
    for broken in (whole[:-10], whole[:5], b"", b"\x80\x04\x95pickle", whole[:200]):
        file.write_bytes(broken)
        with pytest.raises(UserError, match="is not a whole safetensors checkpoint"):
            cl.train(started(tmp_path / "a"), out=tmp_path / "runs", verbose=False)
    file.unlink()
    with pytest.raises(UserError, match=r"has no last\.safetensors: that run did not finish"):
        cl.train(started(tmp_path / "a"), out=tmp_path / "runs", verbose=False)

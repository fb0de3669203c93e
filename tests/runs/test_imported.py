"""Weights from elsewhere: matched, evaluated, marked as not trained here; hostile files refused with a sentence."""

import collections
import io
import os
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError
from classlab.runs.store import METRICS

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 200},
    "model": {"name": "squeeze", "width": 4},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "adam", "learning_rate": 0.01}, "native": False},
    "contract": {"max_parameters": 5000, "max_epochs": 5, "min_test_accuracy_percent": 5},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return cl.train(QUICK, seed=0, out=tmp_path_factory.mktemp("runs"), verbose=False)


@pytest.fixture(scope="module")
def weights(trained):
    return trained.built().state_dict()


@pytest.fixture(scope="module")
def imported(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    torch.save(weights, folder / "mine.pth")
    return cl.import_weights(folder / "mine.pth", QUICK, out=folder)


def classlab(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_it_answers_as_the_network_that_the_weights_came_from(trained, imported):
    np.testing.assert_allclose(imported.logits(), trained.logits(), atol=1e-4)
    assert imported.summary["test_correct"] == trained.summary["test_correct"]
    assert imported.summary["val_correct"] == trained.summary["val_correct"]


def test_what_is_not_known_is_not_judged(imported, tmp_path):
    epochs = next(check for check in imported.summary["contract"]["checks"] if check["rule"] == "max_epochs")
    assert epochs["measured"] is None and not epochs["passed"]
    assert imported.imported == "mine.pth" and len(imported.history) == 0 and not (imported.path / METRICS).exists()
    (tmp_path / "five.yaml").write_text("max_epochs: 5\n")
    done = classlab("check", imported.path, "--contract", tmp_path / "five.yaml", "--json")
    assert "epochs not measured" in done.stdout


def test_the_same_file_is_the_same_run_and_never_the_trained_one(trained, imported, weights, tmp_path):
    assert imported.path.name.startswith("imported-") and imported.path.name != trained.path.name
    before = (imported.path / "summary.json").stat().st_mtime_ns
    again = cl.import_weights(imported.path.parents[1] / "mine.pth", QUICK, out=imported.path.parents[1])
    assert again.path == imported.path and (imported.path / "summary.json").stat().st_mtime_ns == before


def test_every_face_takes_it_and_says_so(trained, imported, tmp_path):
    page = imported.report(tmp_path / "report.html").read_text()
    assert "Imported, not trained here" in page and "The file does not show how" in page and "Batch size" not in page
    assert imported.predict(imported.dataset().test_images[:2])[0].name is not None
    assert "imported" in classlab("runs", imported.path.parents[1]).stdout
    said = classlab("compare", imported.path, trained.path).stdout
    assert "imported from mine.pth" in said and "trained here" in said
    refused = classlab("rerun", imported.path, "--out", tmp_path / "again").exception
    assert isinstance(refused, UserError) and "was imported from mine.pth and not trained here" in str(refused)
    assert imported.export("safetensors", tmp_path / "out").proof.agreeing == 360


def forms(weights):
    yield "plain", weights
    yield "wrapped", {f"module.{name}": value for name, value in weights.items()}
    yield "twice", {f"_orig_mod.module.{name}": value for name, value in weights.items()}
    yield "checkpoint", {"epoch": 7, "model_state_dict": weights, "optimizer_state_dict": {"lr": 0.1}}
    yield "double", {name: value.double() if value.is_floating_point() else value for name, value in weights.items()}
    yield "no counters", {name: value for name, value in weights.items() if "num_batches" not in name}
    yield "other names", {name.replace("conv", "features.").replace("norm", "bn"): v for name, v in weights.items()}
    yield "numbers alone", {f"p{place}": v for place, v in enumerate(weights.values()) if v.is_floating_point()}


@pytest.mark.parametrize("place", range(8))
def test_state_dicts_as_programs_write_them(place, trained, weights, tmp_path):
    name, state = list(forms(weights))[place]
    file = tmp_path / f"{name}.pt"
    torch.save(state, file)
    run = cl.import_weights(file, QUICK, out=tmp_path)
    assert run.summary["test_correct"] == trained.summary["test_correct"]
    assert bool(run.environment["imported"]["names"]) == (name in ("other names", "numbers alone"))


def test_safetensors_and_the_older_form_of_torch(trained, weights, tmp_path):
    save_file(weights, tmp_path / "w.safetensors")
    torch.save(weights, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("w.safetensors", "old.pt"):
        run = cl.import_weights(tmp_path / name, QUICK, out=tmp_path)
        assert run.summary["test_correct"] == trained.summary["test_correct"]


def changed(weights, **changes):
    return {**weights, **{name.replace("__", "."): value for name, value in changes.items()}}


def without(weights, name):
    return {other: value for other, value in weights.items() if other != name}


WRONG = {
    "a missing tensor": (lambda w: without(w, "conv2.weight"), "holds no conv2.weight, which the network has"),
    "one too many": (lambda w: changed(w, extra__weight=torch.zeros(3)), "holds extra.weight, which the network has n"),
    "another shape": (
        lambda w: changed(w, linear__weight=torch.zeros(10, 5)),
        "linear.weight is 10 × 5, in the network it is 10 × 4",
    ),
    "whole numbers": (lambda w: changed(w, linear__bias=torch.ones(10, dtype=torch.int64)), "bias holds torch.int64"),
    "not a number": (lambda w: changed(w, linear__bias=torch.full((10,), float("nan"))), "bias holds numbers that are"),
    "infinite": (lambda w: changed(w, norm1__running_var=torch.full((4,), float("inf"))), "running_var holds numbers"),
    "a misspelt name": (
        lambda w: {**without(w, "linear.bias"), "linear.biass": w["linear.bias"], "more": torch.zeros(1)},
        "holds no linear.bias, which the network has; did you mean linear.biass",
    ),
    "no weights": (lambda w: {"epoch": 3}, "holds no weights by their names"),
    "a list": (lambda w: list(w.values()), "holds no weights by their names"),
    "another order": (
        lambda w: {f"p.{name.rpartition('.')[2]}.{place}": v for place, (name, v) in enumerate(reversed(w.items()))},
        "holds no conv1.weight, which the network has",
    ),
    "a view of much": (
        lambda w: changed(w, linear__weight=torch.zeros(1).expand(200_000, 200_000)),
        "describes tensors of 160,000,",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_weights_that_do_not_fit(kind, weights, tmp_path):
    make, sentence = WRONG[kind]
    torch.save(make(dict(weights)), tmp_path / "w.pt")
    with pytest.raises(UserError, match=sentence):
        cl.import_weights(tmp_path / "w.pt", QUICK, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Runs:
    def __init__(self, what) -> None:
        self.what = what

    def __reduce__(self):
        return self.what


class Net(torch.nn.Linear):
    pass


def archive(content, *more):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        out.writestr("w/data.pkl", content)
        for name, data, packed in more:
            out.writestr(name, data, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return stream.getvalue()


def hostile(folder):
    """Yield what a file holds, and what is said of it."""
    command = (os.system, (f"touch {folder / 'ran'}",))
    for protocol in (0, 2, 4):
        yield pickle.dumps({"w": Runs(command)}, protocol), "names code that would be run to read it"
        yield archive(pickle.dumps(Runs(command), protocol)), "names code that would be run to read it"
    yield archive(pickle.dumps(Runs((getattr, ("a", "upper"))), 2)), "names code that would be run"
    yield archive(pickle.dumps(collections.Counter("ab"), 2)), "(holds a whole module|names code)"
    yield archive(pickle.dumps(Runs((eval, ("1",))), 4)), "names code|cannot be read as weights"
    yield archive(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n."), "cannot be read as weights"
    yield archive(b"\x80\x02}q\x00.", ("w/data/0", b"\0" * 9_000_000, True)), "is packed, which torch's files are not"
    yield archive(b"\x80\x02" + b"N0" * 1_100_000 + b"N."), "has more than 2,000,000 instructions"
    yield archive(b"\x80\x02]q\x00" + b"(" * 50_000 + b"."), "cannot be read as weights|is damaged"
    yield b"PK\x03\x04" + b"\0" * 100, "is damaged"
    yield b"", "is damaged, or no file of torch's"
    yield b"\x80\x02", "is damaged, or no file of torch's"
    yield b"<html>404</html>", "is damaged, or no file of torch's"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        out.writestr("readme.txt", "no weights")
    yield stream.getvalue(), "none of torch's: it holds no data.pkl"


@pytest.mark.parametrize("place", range(18))
def test_hostile_files_run_nothing(place, tmp_path):
    content, sentence = list(hostile(tmp_path))[place]
    (tmp_path / "w.pt").write_bytes(content)
    started = []
    watching = True
    sys.addaudithook(lambda event, args: started.append(event) if watching and event == "os.system" else None)
    with pytest.raises(UserError, match=sentence):
        cl.import_weights(tmp_path / "w.pt", QUICK, out=tmp_path / "out")
    watching = False
    assert not started and not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_a_whole_module_is_told_from_its_weights(tmp_path):
    torch.save(Net(3, 3), tmp_path / "net.pt")
    with pytest.raises(
        UserError, match=r"holds a whole module .*Net.*torch.save\(model.state_dict\(\), 'weights.pt'\)"
    ):
        cl.import_weights(tmp_path / "net.pt", QUICK, out=tmp_path)


@settings(max_examples=30)
@given(cut=st.integers(0, 20_000), byte=st.integers(0, 255), end=st.booleans())
def test_a_damaged_file_gets_a_sentence(cut, byte, end, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    torch.save(weights, folder / "w.pt")
    content = bytearray((folder / "w.pt").read_bytes())
    place = min(cut, len(content) - 1)
    content = content[:place] if end else content[:place] + bytes([byte]) + content[place + 1 :]
    (folder / "w.pt").write_bytes(content)
    try:
        cl.import_weights(folder / "w.pt", QUICK, out=folder)  # a byte of a number may be any
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 700


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.pt", "--experiment", "digits-quick"], "there is no file nowhere.pt"),
        (["notes.txt", "--experiment", "digits-quick"], r"must be a file of weights: .safetensors, .pt.*got .txt"),
        (["folder.pt", "--experiment", "digits-quick"], "is not a regular file"),
        (["nowhere.pt", "--experiment", "digit-quick"], "did you mean digits-quick"),
    ],
)
def test_slips(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.pt").mkdir()
    done = classlab("import", *words)
    with pytest.raises(UserError, match=sentence):
        raise done.exception


def test_the_command(weights, tmp_path):
    torch.save(weights, tmp_path / "w.pt")
    done = classlab(
        "import", tmp_path / "w.pt", "--experiment", "digits-quick", "--set", "model.width=4", "--out", tmp_path
    )
    assert done.exit_code == 1 and "test accuracy" in done.stdout  # digits-quick wants 97 %
    assert "weights of w.pt, not trained here" in done.stdout

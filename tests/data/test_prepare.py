"""Datasets without the network: the cached and packaged as they are, a stand-in of the same form for the others."""

import socket

import numpy as np
import pytest

from classlab import lookup, own_code
from classlab.data import cache, fetch
from classlab.data.dataset import Dataset
from classlab.data.loading import NOT_FETCHED, prepare
from classlab.errors import UserError
from classlab.experiment import Data


@pytest.fixture(autouse=True)
def no_cache_and_no_network(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(fetch, "_fetch", refuse)


def plan(name="mnist", **more):
    return Data.model_validate({"dataset": name, **more})


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_what_would_have_to_be_fetched_is_stood_in_for(name):
    stand_in = prepare(plan(name), fetch=False)
    facts = {"mnist": (1, 28, 28, 60_000), "fashion-mnist": (1, 28, 28, 60_000), "cifar10": (3, 32, 32, 50_000)}[name]
    assert (*stand_in.input_shape, len(stand_in.images)) == facts
    assert (len(stand_in.test_images), stand_in.source, stand_in.name) == (10_000, NOT_FETCHED, name)
    assert np.bincount(stand_in.labels).tolist() == [facts[3] // 10] * 10
    assert np.bincount(stand_in.test_labels).tolist() == [1000] * 10
    assert stand_in.images.dtype == np.uint8 and stand_in.images.max() == 0


def test_the_plan_is_applied_to_a_stand_in():
    cut = plan(classes=[3, 5], labels="renumber", max_per_class=70, max_test_per_class=20)
    stand_in = prepare(cut, fetch=False)
    assert np.bincount(stand_in.labels).tolist() == [70, 70]
    assert np.bincount(stand_in.test_labels).tolist() == [20, 20]
    assert stand_in.class_names == ("3", "5")
    with pytest.raises(UserError, match="mnist has no class 'x'"):
        prepare(plan(classes=["x", "1"]), fetch=False)


def test_what_is_packaged_cached_or_the_reader_s_own_is_itself(tmp_path, monkeypatch):
    assert prepare(plan("digits"), fetch=False).source == "scikit-learn"
    arrays = np.ones((4, 1, 28, 28), np.uint8), np.arange(4), np.ones((2, 1, 28, 28), np.uint8), np.arange(2)
    monkeypatch.setattr(fetch, "checked", lambda arrays, *_: arrays)
    monkeypatch.setattr(cache, "digest", lambda *arrays: lookup.find("dataset", "mnist").__globals__["DIGEST"])
    (tmp_path / "cache").mkdir()
    cache.write(cache.file(tmp_path / "cache", "mnist"), arrays, "a test")
    assert len(prepare(plan(), fetch=False).images) == 4
    np.savez(tmp_path / "mine.npz", images=np.zeros((20, 8, 8), np.uint8), labels=np.arange(20) % 2)
    assert len(prepare(plan({"name": "npz", "path": str(tmp_path / "mine.npz")}), fetch=False).images) == 16


def test_a_folder_that_holds_nothing_is_told_and_stood_in_for(tmp_path, capsys):
    stand_in = prepare(plan({"name": "mnist", "folder": str(tmp_path)}), fetch=False)
    assert stand_in.source == NOT_FETCHED
    assert "holds no file named train-images" in capsys.readouterr().err


def test_a_reader_s_own_function_that_asks_for_a_published_dataset_is_told(tmp_path):
    (tmp_path / "own.py").write_text("from classlab.data.sources.mnist import load\n\ndef make():\n    return load()\n")
    with (
        own_code.trusting(),
        pytest.raises(UserError, match=r"make asks for one that is not in the cache; `classlab data"),
    ):
        prepare(plan(f"{tmp_path}/own.py:make"), fetch=False)


def made(**changes):
    images, labels = np.zeros((6, 1, 4, 4), np.uint8), np.arange(6) % 2
    fields = {"name": "own", "images": images, "labels": labels, "test_images": images, "test_labels": labels}
    fields |= {"class_names": ("a", "b"), "mean": (0.0,), "std": (1.0,), "source": "a test", **changes}
    return Dataset(**fields)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"class_names": ("a",)}, "returned 1 class_names; they must name at least two classes"),
        ({"class_names": ()}, "returned 0 class_names; they must name at least two classes"),
        ({"images": np.zeros((6, 1, 0, 4), np.uint8)}, "each image must have a channel, a row and a column at least"),
        ({"images": np.zeros((6, 0, 4, 4), np.uint8)}, "each image must have a channel, a row and a column at least"),
        ({"images": np.zeros((0, 1, 4, 4), np.uint8), "labels": np.zeros(0, int)}, "own has no training images"),
        ({"test_images": np.zeros((0, 1, 4, 4), np.uint8), "test_labels": np.zeros(0, int)}, "own has no test images"),
    ],
)
def test_datasets_made_by_hand_that_hold_nothing_are_told(changes, sentence, tmp_path, monkeypatch):
    (tmp_path / "own_data.py").write_text("make = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    import own_data  # pyrefly: ignore[missing-import]

    own_data.make = lambda: made(**changes)
    with own_code.trusting(), pytest.raises(UserError, match=sentence):
        prepare(plan("own_data:make"))


def test_a_dataset_that_is_fetched_is_asked_for():
    with pytest.raises(AssertionError, match="the network was asked"):
        prepare(plan())

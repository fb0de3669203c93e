"""The published datasets themselves, and what the five reports make of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from classlab import experiment, lookup
from classlab.data.dataset import Dataset
from classlab.data.expansion import expansion
from classlab.data.loading import prepare, statistics
from classlab.data.splits import split
from classlab.errors import UserError

PUBLISHED = [name for name in lookup.names("dataset") if name not in {"folder", "npz"}]


def module(name):
    return sys.modules[lookup.find("dataset", name).__module__]


def load(name):
    try:
        return lookup.find("dataset", name)()
    except UserError as error:
        pytest.skip(f"no source of {name} can be reached here: {error}")


def test_the_datasets_of_the_reports_are_there():
    assert set(PUBLISHED) >= {"cifar10", "digits", "fashion-mnist", "mnist"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_dataset_is_what_its_file_says(name):
    dataset, known = load(name), module(name)
    assert isinstance(dataset, Dataset)
    assert dataset.name == name
    assert dataset.digest == known.DIGEST
    assert dataset.input_shape == known.SHAPE
    assert {"train": len(dataset.images), "test": len(dataset.test_images)} == known.SIZES
    assert (dataset.class_names, dataset.mean, dataset.std) == (known.CLASS_NAMES, known.MEAN, known.STD)
    assert (dataset.licence, dataset.citation) == (known.LICENCE, known.CITATION)
    for images, labels in ((dataset.images, dataset.labels), (dataset.test_images, dataset.test_labels)):
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert np.array_equal(np.unique(labels), np.arange(len(dataset.class_names)))
    for channel, (mean, std) in enumerate(zip(dataset.mean, dataset.std, strict=True)):
        pixels = dataset.images[:, channel]
        assert pixels.mean() / 255 == pytest.approx(mean, abs=6e-5)
        assert pixels.astype(np.float32).std() / 255 == pytest.approx(std, abs=6e-5)


@pytest.mark.parametrize(
    ("name", "first", "first_test", "test_counts"),
    [
        ("mnist", [5, 0, 4, 1, 9], [7, 2, 1, 0, 4], [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
        ("fashion-mnist", [9, 0, 0, 3, 0], [9, 2, 1, 1, 6], [1000] * 10),
        ("cifar10", [6, 9, 9, 4, 1], [3, 8, 8, 0, 6], [1000] * 10),
        ("digits", [0, 1, 2, 4, 5], None, [36] * 10),
    ],
)
def test_labels_are_the_known_ones(name, first, first_test, test_counts):
    dataset = load(name)
    assert dataset.labels[:5].tolist() == first
    assert first_test is None or dataset.test_labels[:5].tolist() == first_test
    assert np.bincount(dataset.test_labels).tolist() == test_counts


def test_digits_are_scikit_learn_s_and_no_image_is_lost():
    from sklearn.datasets import load_digits

    dataset, published = load("digits"), load_digits()
    ours = np.concatenate([dataset.images, dataset.test_images])[:, 0]
    labelled = sorted(zip(ours.reshape(-1, 64).tolist(), [*dataset.labels, *dataset.test_labels], strict=True))
    theirs = np.rint(published.images * 255 / 16).astype(int).reshape(-1, 64)
    assert labelled == sorted(zip(theirs.tolist(), published.target, strict=True))


def test_report_3_s_split():
    plan = experiment.load("prml-mlp").data
    load(plan.dataset.name)
    facts = statistics(prepare(plan), plan)
    assert facts["sizes"] == {"train": 48_000, "val": 12_000, "test": 10_000}
    assert facts["copies"] == 1
    assert facts["expanded_train"] == 48_000


def test_report_4_s_data():
    plan = experiment.load("fashion-cnn").data
    whole = load(plan.dataset.name)
    dataset = prepare(plan)
    facts = statistics(dataset, plan)
    assert facts["sizes"] == {"train": 30_000, "val": 0, "test": 5_000}
    assert facts["expanded_train"] == 120_000
    odd = {"Trouser", "Dress", "Sandal", "Sneaker", "Ankle boot"}
    for row in facts["classes"]:
        expected = (6_000, 1_000) if row["class"] in odd else (0, 0)
        assert (row["train"], row["test"]) == expected
    assert len(dataset.class_names) == 10
    assert np.array_equal(dataset.images, whole.images[whole.labels % 2 == 1])
    assert np.array_equal(dataset.labels, whole.labels[whole.labels % 2 == 1])

    copies = expansion(plan.expansion, plan.expansion_seed)
    pixels = torch.from_numpy(dataset.images)
    labels = copies.labels(torch.from_numpy(dataset.labels))
    assert labels.shape == (120_000,)
    assert torch.bincount(labels).tolist() == [0, 24_000] * 5
    for image in (0, 17_123, 29_999):
        places = image + 30_000 * torch.arange(4)
        kinds = copies.images(pixels, places)
        assert kinds.shape == (4, 1, 28, 28)
        assert torch.equal(kinds[0], pixels[image] / 255)
        assert torch.equal(kinds[1], kinds[0].flip(2))
        for clean, noisy in ((kinds[0], kinds[2]), (kinds[1], kinds[3])):
            noise = noisy - clean  # N(0, 1), of 784 pixels, and nothing cut off
            assert abs(noise.mean()) < 0.2 and abs(noise.std() - 1) < 0.1 and noisy.min() < -1 < 2 < noisy.max()
        assert labels[places].tolist() == [dataset.labels[image]] * 4


def test_a_split_of_a_subset_is_a_split_of_what_is_left():
    plan = experiment.load("fashion-cnn", ["data.val_size=0.2", "data.stratified=true"]).data
    load(plan.dataset.name)
    dataset = prepare(plan)
    train, val = split(dataset.labels, plan.val_size, plan.split_seed, plan.stratified)
    assert np.bincount(dataset.labels[val]).tolist() == [0, 1200] * 5
    assert statistics(dataset, plan)["expanded_train"] == 4 * len(train) == 96_000


MEASURED = """
{work}
status = open("/proc/self/status").read()
print(1024 * int(status.partition("VmHWM:")[2].split()[0]))
"""
REPORT_4 = """
import torch
from classlab import experiment
from classlab.data.expansion import expansion
from classlab.data.loading import prepare
plan = experiment.load("fashion-cnn").data
dataset = prepare(plan)
copies, pixels = expansion(plan.expansion, plan.expansion_seed), torch.from_numpy(dataset.images)
for part in torch.randperm(120_000).split(1000):
    copies.images(pixels, part)
"""
LOAD = "from classlab import lookup\nlookup.find('dataset', {name!r})()"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory a process took")
@pytest.mark.parametrize(
    ("names", "work", "limit"),
    [
        (["fashion-mnist"], REPORT_4, 1.5e9),
        (["cifar10"], LOAD.format(name="cifar10"), 1e9),
        (["mnist"], LOAD.format(name="mnist"), 0.5e9),
    ],
)
def test_memory(names, work, limit):
    for name in names:
        load(name)
    command = [sys.executable, "-c", MEASURED.format(work=work)]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert int(printed) < limit

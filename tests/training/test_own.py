"""The reader's own loss, schedule, optimizer, augmentation and dataset: a wrong return gets one sentence."""

import pytest

import classlab as cl

OWN = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from classlab.data.arrays import from_arrays
from classlab.data.dataset import Dataset


def each(outputs, targets):
    return F.cross_entropy(outputs, targets, reduction="none")


def python_number(outputs, targets):
    return F.cross_entropy(outputs, targets).item()


def good(outputs, targets):
    return F.cross_entropy(outputs, targets)


def nothing(step):
    print(step)


def a_list(parameters):
    return list(parameters)


def halved(images, generator):
    return images[:, :, ::2, ::2]


def doubled(images, generator):
    return images.double()


def pair():
    return np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2


def numbered(last=1, count=20, side=8, kind="uint8", trained=20):
    images, labels = np.arange(1280, dtype=np.uint8).reshape(20, 1, 8, 8), np.arange(20) % 2
    other, given = np.zeros((20, 1, side, side), kind), np.append(labels[1:], last)[:count]
    images, labels = images[:trained], labels[:trained]
    return Dataset("mine", images, labels, other, given, ("no", "yes"), (0.5,), (0.2,), "a test")


def frozen(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes)).requires_grad_(False)
"""
LATE = """
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from classlab.data.affine import AffineMaps


def dimmed(images: Tensor, generator) -> Tensor:
    return images * 0.5


def turned(images: Tensor, generator) -> AffineMaps | None:
    from classlab.data.augmentations import rotate

    return rotate(images, generator, degrees=10.0)
"""


def run(tmp_path, section, key, value, **training):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "late.py").write_text(LATE)
    if isinstance(value, str):
        value = {"name": value}
    if key == "augmentations":
        value = [value]
    fields = {
        "name": "own",
        "data": {"dataset": "digits", "max_per_class": 10},
        "model": {"name": "perceptron", "widths": [8]},
        "training": {"epochs": 1, "batch_size": 20, "optimizer": "adam", "compile": False} | training,
    }
    if key is None:
        fields[section] = value
    else:
        fields[section][key] = value
    return cl.train(fields, out=tmp_path / "runs", verbose=False)


TENSOR = "the mean over the batch, a tensor of no dimension"
IMAGES = "images of the shape and type that it was given, or None"


@pytest.mark.parametrize(
    ("section", "key", "name", "sentence"),
    [
        ("training", "loss", "each", rf"the loss NAME must return {TENSOR}; it returned \(20,\) torch.float32"),
        ("training", "loss", "python_number", f"the loss NAME must return {TENSOR}; it returned float"),
        ("training", "schedule", "nothing", "the schedule NAME must return a number, .*; it returned NoneType"),
        ("training", "optimizer", "a_list", "the optimizer NAME must return a torch.optim.Optimizer; it returned list"),
        ("data", "augmentations", "halved", rf"the augmentation NAME must return {IMAGES} .* \(\d+, 1, 4, 4\)"),
        ("data", "augmentations", "doubled", rf"the augmentation NAME must return {IMAGES} .* torch.float64"),
        ("data", "dataset", "pair", "the dataset NAME must return a Dataset, as .*from_arrays makes it; .* tuple"),
        ("model", None, "frozen", "the model has no parameter to train: every one has requires_grad off, or there is"),
    ],
)
def test_what_an_own_function_returns_is_told_with_its_name(section, key, name, sentence, tmp_path):
    with pytest.raises(cl.UserError, match=sentence.replace("NAME", f".*own.py:{name}")):
        run(tmp_path, section, key, f"{tmp_path}/own.py:{name}")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"last": 2}, "test_labels with a 2; with 2 class_names they go from 0 to 1"),
        ({"last": -1}, "test_labels with a -1; with 2 class_names they go from 0 to 1"),
        ({"count": 7}, r"test_labels \(7,\) int64; they must be an array of whole numbers, one for each of 20 images"),
        ({"side": 6}, r"test_images \(20, 1, 6, 6\) uint8; they must be like its images, \(20, 1, 8, 8\) uint8"),
        ({"kind": "int64"}, r"test_images .* int64; they must be an array of uint8 or float32, \(count, channels,"),
    ],
)
def test_a_dataset_that_does_not_agree_with_itself_is_told(options, sentence, tmp_path):
    with pytest.raises(cl.UserError, match=rf"^the dataset .*own.py:numbered returned {sentence}"):
        run(tmp_path, "data", "dataset", {"name": f"{tmp_path}/own.py:numbered", **options})


def test_a_dataset_without_training_images_is_told(tmp_path):
    with pytest.raises(cl.UserError, match=r"^mine has no training images; give it some"):
        run(tmp_path, "data", "dataset", {"name": f"{tmp_path}/own.py:numbered", "trained": 0})


def test_own_functions_that_return_what_they_should_train_as_the_shipped_ones_do(tmp_path):
    own = run(tmp_path, "training", "loss", f"{tmp_path}/own.py:good")
    shipped = run(tmp_path, "training", "loss", "cross_entropy")
    assert (own.path / "last.safetensors").read_bytes()[-2000:] == (shipped.path / "last.safetensors").read_bytes()[
        -2000:
    ]
    assert own.summary["test_loss"] == shipped.summary["test_loss"]
    assert run(tmp_path, "data", "dataset", f"{tmp_path}/own.py:numbered").summary["test_total"] == 20


@pytest.mark.parametrize("name", ["dimmed", "turned"])
def test_an_augmentation_whose_annotations_exist_only_while_type_checking_is_of_its_kind(name, tmp_path):
    assert run(tmp_path, "data", "augmentations", f"{tmp_path}/late.py:{name}").summary["epochs"] == 1

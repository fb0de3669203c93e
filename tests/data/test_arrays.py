"""The reader's own arrays and .npz files."""

import numpy as np
import pytest
import torch

from classlab import lookup
from classlab.data.arrays import from_arrays
from classlab.errors import UserError

load = lookup.find("dataset", "npz")


def images(count=40, shape=(1, 8, 8)):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


LABELS = np.arange(40) % 4


@pytest.mark.parametrize("form", [np.asarray, torch.from_numpy, np.ndarray.tolist])
def test_arrays_tensors_and_lists_mean_the_same(form):
    kept = images() if form is np.ndarray.tolist else form(images())
    dataset = from_arrays((kept, form(LABELS)), (kept[:8], form(LABELS[:8])))
    assert np.array_equal(dataset.images, images())
    assert np.array_equal(dataset.labels, LABELS)
    assert len(dataset.test_images) == 8
    assert dataset.mean[0] == pytest.approx((images() / 255).mean())
    assert dataset.std[0] == pytest.approx((images() / 255).std())


def test_channels_may_be_first_last_or_none():
    colour = images(shape=(3, 8, 8))
    test = colour[:4], LABELS[:4]
    for given, held_out in (
        ((colour, LABELS), test),
        ((colour.transpose(0, 2, 3, 1), LABELS), (test[0].transpose(0, 2, 3, 1), test[1])),
    ):
        assert np.array_equal(from_arrays(given, held_out).images, colour)
    assert from_arrays((images()[:, 0], LABELS)).input_shape == (1, 8, 8)


def test_without_a_test_set_a_fifth_of_every_class_becomes_one():
    dataset = from_arrays((images(), LABELS))
    assert np.bincount(dataset.test_labels).tolist() == [2] * 4
    assert np.bincount(dataset.labels).tolist() == [8] * 4


def test_other_labels_become_classes_in_sorted_order():
    dataset = from_arrays((images(), LABELS * 10 - 5), (images()[:4], LABELS[:4] * 10 - 5))
    assert dataset.class_names == ("-5", "5", "15", "25")
    assert np.array_equal(dataset.labels, LABELS)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (images(), r"data must be a pair \(images, labels\), got ndarray"),
        ((images(), LABELS[:5]), "data has 40 images but 5 labels"),
        ((images(), LABELS / 2), "data's labels must be whole numbers"),
        ((images().astype(np.int32), LABELS), "data's images must be uint8"),
        ((np.zeros((40, 5)), LABELS), "data's images must have 3 or 4 dimensions"),
        (
            (images(shape=(8, 8, 4)), LABELS),  # red, green, blue and how transparent
            r"data's images must have 1 or 3 channels, first or last: .*; got \(40, 8, 8, 4\)",
        ),
        ((images(2), LABELS[:2]), "^test_share 0.2 of 2 images is none; give a larger fraction"),
        ((np.full((40, 8, 8), np.nan), LABELS), "data's images hold values that are not finite"),
        ((images(), LABELS * 0), "the labels must hold at least two classes, got 1"),
        ((images(shape=(1, 0, 8)), LABELS), r"data's images must have at least one pixel, .*; got \(40, 1, 0, 8\)"),
        ((images(shape=(8, 0)), LABELS), r"data's images must have at least one pixel"),
        ((images(0), LABELS[:0]), r"data's images must have at least one pixel, and there must be some"),
        ((np.zeros((0,)), LABELS), "data's images must have 3 or 4 dimensions"),
        (([[1, 2], [3]], LABELS), "data's images cannot be made an array"),
        ((images(), [[0], [1, 2]]), "data's labels cannot be made an array"),
        ((np.full((40, 8, 8), 1e300), LABELS), "data's images hold values that are not finite"),
        ((np.full((40, 8, 8), "x"), LABELS), "data's images must be uint8"),
        ((np.full((40, 8, 8), 1j), LABELS), "data's images must be uint8"),
        ((images().astype(object), LABELS), "data's images must be uint8 .* got object"),
        ((images(), LABELS.astype(str)), "data's labels must be whole numbers"),
        ((images(1), LABELS[:1]), "data must hold at least two images, got 1"),
    ],
)
def test_arrays_that_do_not_serve_are_told(data, sentence):
    with pytest.raises(UserError, match=sentence):
        from_arrays(data)


@pytest.mark.parametrize(
    "names",
    [
        ("images", "labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_under_every_name_in_use(names, save, tmp_path):
    parts = images(), LABELS[:, None], images(12), LABELS[:12, None]
    save(tmp_path / "mine.npz", **dict(zip(names, parts, strict=True)))
    dataset = load(str(tmp_path / "mine.npz"))
    assert dataset.name == "mine"
    assert np.array_equal(dataset.images, images())
    assert np.array_equal(dataset.labels, LABELS)
    assert len(dataset.test_images) == 12
    save(tmp_path / "half.npz", **dict(zip(names[:2], parts[:2], strict=True)))
    assert len(load(str(tmp_path / "half.npz"), test_share=0.5).test_images) == 20


def test_npz_keeps_memory_order_and_byte_order(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.asfortranarray(images()), labels=LABELS.astype(">i4"))
    np.savez(tmp_path / "b.npz", images=images(), labels=LABELS)
    assert load(str(tmp_path / "a.npz")).digest == load(str(tmp_path / "b.npz")).digest


def test_npz_files_that_do_not_serve_are_told(tmp_path):
    np.savez(tmp_path / "other.npz", pictures=images(), answers=LABELS)
    with pytest.raises(
        UserError,
        match=r"holds answers, pictures; wanted are images, labels, test_images, test_labels; x_train.*"
        r"\(the last two may be missing\)",
    ):
        load(str(tmp_path / "other.npz"))
    with pytest.raises(UserError, match=r"there is no file .*missing.npz"):
        load(str(tmp_path / "missing.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match=r"text.npz is damaged: it is not a complete .npz file"):
        load(str(tmp_path / "text.npz"))

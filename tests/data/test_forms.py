"""The same images in every form give the same arrays, and a pickle can do nothing but hold them."""

import functools
import pickle

import forms
import numpy as np
import pytest

from classlab.data import cifar, idx
from classlab.data.bounded_files import BadFile
from classlab.data.dataset import digest
from classlab.data.fetch import checked
from classlab.data.pickles import read_batch

read_cifar = functools.partial(cifar.read_folder, per_batch=forms.PER_BATCH)
WRITERS = {
    "IDX": (functools.partial(forms.write_idx), idx.folder_reader()),
    "gzipped IDX": (functools.partial(forms.write_idx, packed=True), idx.folder_reader()),
    "PNG sheets": (forms.write_sheets, read_cifar),
    "archive of Python 2's pickles": (forms.write_archive, read_cifar),
    **{
        f"batches pickled with protocol {number}": (functools.partial(forms.write_batches, protocol=number), read_cifar)
        for number in range(6)
    },
}


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_of_the_same_images_gives_the_same_digest(form, tmp_path):
    parts = forms.arrays()
    write, read = WRITERS[form]
    write(tmp_path, parts)
    assert digest(*read(tmp_path)) == digest(*parts)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", [".", "MNIST/raw"])
def test_grey_idx_files_in_torchvision_s_layout_too(layout, packed, tmp_path):
    parts = forms.arrays(channels=1, side=28)
    (tmp_path / layout).mkdir(parents=True, exist_ok=True)
    forms.write_idx(tmp_path / layout, parts, packed)
    read = idx.folder_reader("MNIST/raw")(tmp_path)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(read, parts, strict=True))
    assert [array.dtype for array in read] == [np.uint8, np.int64, np.uint8, np.int64]


def test_digest_tells_shape_type_and_content_apart_and_not_memory_order():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    others = [images.reshape(2, 4, 3), images.astype(np.int64), images + 1]
    assert len({digest(images), *(digest(other) for other in others)}) == 4
    assert digest(images) == digest(np.asfortranarray(images))
    assert digest(images.astype("<i8")) == digest(images.astype(">i8"))


class Runs:
    """Pickles as a call of whatever function it is given."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def touches(path):
    import os

    return [
        Runs(os.system, f"touch {path}"),
        Runs(eval, f"open({str(path)!r}, 'w')"),
        Runs(exec, f"open({str(path)!r}, 'w')"),
    ]


IMAGES, LABELS = np.arange(24, dtype=np.uint8).reshape(2, 12), [7, 300]
BATCH = {b"labels": LABELS, b"data": IMAGES}


def read(value, protocol=2):
    """The two images of 12 bytes and the labels that a pickle of `value` names."""
    images, labels = read_batch(pickle.dumps(value, protocol=protocol), 2, 12, "batch")
    return np.frombuffer(images, np.uint8).reshape(2, 12), labels


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("which", range(3))
def test_a_pickle_that_tries_to_run_code_runs_nothing(which, protocol, tmp_path):
    attack = touches(tmp_path / "ran")[which]
    for value in (attack, [attack], {b"data": attack, b"labels": LABELS}, {b"data": [attack], b"labels": attack}):
        with pytest.raises(BadFile, match=r"^batch holds no array of 2 × 12 bytes named 'data'$"):
            read(value, protocol)
    for value in ({b"batch_label": attack, **BATCH}, {**BATCH, b"filenames": attack}, {**BATCH, "more": [attack]}):
        images, labels = read(value, protocol)
        assert np.array_equal(images, IMAGES) and labels == LABELS
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value",
    [
        *(np.arange(3.0), np.array(["a"], dtype=object), np.float64(1.5), {1, 2}, 1.5, print, None, [], "data"),
        *({b"data": IMAGES[:1]}, {b"data": np.arange(12.0)}, {b"datum": IMAGES}, {b"data": {b"labels": IMAGES}}),
    ],
)
def test_a_pickle_of_anything_else_is_told(value):
    for protocol in range(6):
        with pytest.raises(BadFile, match=r"^batch holds no array of 2 × 12 bytes named 'data'$"):
            read(value, protocol)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"hello",
        b"\x80\x02}q\x01(",
        b"(((((((((.",
        b"t.",
        b"\x80\x02K\x01K\x02.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a text of 2^63 bytes
        b"\x80\x02T\xff\xff\xff\x7f.",
        b"\x80\x02K\x01r\xff\xff\xff\xff.",  # a place in the memo that would ask for 64 GB
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.",
        b"h\x07.",
        b"(" * 100_000 + b".",
        b"]" * 50_000 + b"a" * 49_999 + b".",
        pickle.dumps(BATCH)[:-1],
        pickle.dumps({b"data": "\u0100" * 24}),  # text of as many characters, which no bytes are
    ],
)
def test_a_damaged_pickle_is_told_in_one_sentence(content):
    with pytest.raises(BadFile, match=r"^batch (is damaged: it is not a complete pickle|holds no array of [^\n]*)$"):
        read_batch(content, 2, 12, "batch")


def test_images_and_labels_come_back_whatever_their_order_and_the_names_beside_them():
    others = {b"batch_label": b"batch 1 of 5", b"filenames": [b"a.png", b"labels.png"]}
    for value in ({**BATCH, **others}, {**others, **BATCH}, {"data": IMAGES, "labels": LABELS}):
        for protocol in range(6):
            images, labels = read(value, protocol)
            assert np.array_equal(images, IMAGES) and labels == LABELS


def test_an_array_of_another_type_with_as_many_bytes_is_told_by_its_digest(tmp_path):
    parts = forms.arrays()
    forms.write_batches(tmp_path, parts)
    batch = {b"data": np.zeros((forms.PER_BATCH, 384)), b"labels": [0] * forms.PER_BATCH}
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(batch))
    with pytest.raises(BadFile, match="holds other images or labels than the known ones"):
        checked(read_cifar(tmp_path), digest(*parts), "batch")

"""The same images in every form give the same arrays, and a pickle can do nothing but hold them."""

import functools
import pickle

import forms
import numpy as np
import pytest

from classlab.data import cifar, idx
from classlab.data.bounded_files import BadFile
from classlab.data.dataset import digest
from classlab.data.pickles import read_pickle

read_cifar = functools.partial(cifar.read_folder, per_batch=forms.PER_BATCH)
WRITERS = {
    "IDX": (functools.partial(forms.write_idx), idx.folder_reader()),
    "gzipped IDX": (functools.partial(forms.write_idx, packed=True), idx.folder_reader()),
    "PNG sheets": (forms.write_sheets, read_cifar),
    "archive of Python 2's pickles": (forms.write_archive, read_cifar),
    **{
        f"batches pickled with protocol {number}": (functools.partial(forms.write_batches, protocol=number), read_cifar)
        for number in (2, 3, 4)
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


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("which", range(3))
def test_a_pickle_that_tries_to_run_code_is_refused_and_nothing_runs(which, protocol, tmp_path):
    marker = tmp_path / "ran"
    for value in (touches(marker)[which], {b"data": touches(marker)[which]}, [touches(marker)[which]]):
        with pytest.raises(BadFile, match=r"^batch is (refused: it (asks for|uses)|damaged)") as told:
            read_pickle(pickle.dumps(value, protocol=protocol), "batch")
        assert "\n" not in str(told.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.arange(3.0), "holds an array of type 'f8'"),
        (np.array(["a"], dtype=object), "holds an array of type 'O8'"),
        (np.float64(1.5), "asks for 'numpy"),
        ({1, 2}, "asks for '|uses the instruction EMPTY_SET"),
        (1.5, "uses the instruction BINFLOAT"),
        (print, "asks for '"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(value, why):
    for protocol in (2, 4):
        with pytest.raises(BadFile, match=f"refused: it ({why})"):
            read_pickle(pickle.dumps(value, protocol=protocol), "batch")


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
    ],
)
def test_a_damaged_pickle_is_told_in_one_sentence(content):
    try:
        assert read_pickle(content, "batch") is not None
    except BadFile as error:
        assert str(error).startswith("batch is ")
        assert "\n" not in str(error)


def test_plain_values_come_back():
    value = {b"a": [1, 2, (b"x", "y", None, True)], "b": np.arange(6, dtype=np.uint8).reshape(2, 3)}
    for protocol in (2, 3, 4):
        back = read_pickle(pickle.dumps(value, protocol=protocol), "batch")
        assert back[b"a"] == [1, 2, (b"x", "y", None, True)]
        assert np.array_equal(back["b"], value["b"])

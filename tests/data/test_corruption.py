"""1,000 damaged or hostile files: always one sentence, nothing executed, the good cache kept, never wrong images."""

import functools
import gzip
import io
import json
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import forms
import numpy as np
import pytest
from PIL import Image

from classlab.data import cache, cifar, idx
from classlab.data.dataset import digest
from classlab.data.fetch import obtain
from classlab.data.pictures import read_picture
from classlab.data.sources import npz
from classlab.errors import UserError

PARTS = forms.arrays(seed=3)
read_idx = idx.folder_reader()
read_cifar = functools.partial(cifar.read_folder, per_batch=forms.PER_BATCH)
FORMS = {
    "IDX": (forms.write_idx, read_idx, 150),
    "gzipped IDX": (functools.partial(forms.write_idx, packed=True), read_idx, 150),
    "archive": (forms.write_archive, read_cifar, 150),
    "batches": (forms.write_batches, read_cifar, 150),
    "PNG sheets": (forms.write_sheets, read_cifar, 150),
}


def truncated(content, random):
    return content[: random.integers(len(content))]


def flipped(content, random):
    damaged = bytearray(content)
    for place in random.integers(len(content), size=random.integers(1, 8)):
        damaged[place] ^= 1 << random.integers(8)
    return bytes(damaged)


def beginning_overwritten(content, random):
    return random.bytes(random.integers(1, 16)) + content[16:]


def with_a_hole(content, random):
    start = random.integers(len(content))
    return content[:start] + content[start + random.integers(1, 200) :]


def with_more_in_the_middle(content, random):
    start = random.integers(len(content))
    return content[:start] + random.bytes(random.integers(1, 50)) + content[start:]


def another_file(content, random):
    return [b"", b"\x00" * 100, b"<!DOCTYPE html><title>404 Not Found</title>", random.bytes(300)][random.integers(4)]


DAMAGES = (truncated, flipped, beginning_overwritten, with_a_hole, with_more_in_the_middle, another_file)


def damaged(content, case):
    random = np.random.default_rng(case)
    return DAMAGES[case % len(DAMAGES)](content, random)


def assert_one_sentence(text):
    assert "\n" not in text.strip()
    assert 10 < len(text) < 500
    assert "Traceback" not in text


@pytest.fixture
def good_cache(tmp_path, monkeypatch):
    """A cache that holds the images; yields a check that it still does, byte for byte."""
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    path = cache.file(tmp_path / "cache", "small")
    cache.write(path, PARTS, "a test")
    before = path.read_bytes()
    yield lambda: path.read_bytes() == before
    assert path.read_bytes() == before


def take(folder, read, capsys):
    """Ask for the images in `folder`, which has a good cache behind it; return what was said."""
    arrays, source = obtain("small", digest(*PARTS), read, (), str(folder))
    said = capsys.readouterr().err
    assert digest(*arrays) == digest(*PARTS)
    if source == str(folder):
        assert said == ""  # the damage touched nothing that is read
    else:
        assert source.startswith("cache")
        assert_one_sentence(said)
        assert said.startswith("small: ")
        assert said.endswith("; trying the cache next\n")
    return said


@pytest.mark.parametrize("form", FORMS)
def test_damaged_files_of_a_published_dataset(form, tmp_path, good_cache, capsys):
    write, read, cases = FORMS[form]
    folder = tmp_path / "given"
    folder.mkdir()
    write(folder, PARTS)
    assert take(folder, read, capsys) == ""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    told = 0
    for case in range(cases):
        path = files[case % len(files)]
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, case))
        told += bool(take(folder, read, capsys))
        path.write_bytes(whole)
    assert told > 0.85 * cases
    assert good_cache()


def test_damaged_cache_files_are_told_and_never_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path))
    path = cache.file(tmp_path, "small")
    cache.write(path, PARTS, "a test")
    whole = path.read_bytes()
    for case in range(100):
        path.write_bytes(damaged(whole, case))
        with pytest.raises(UserError) as told:
            obtain("small", digest(*PARTS), read_cifar, ())
        assert_one_sentence(str(told.value))
        said = capsys.readouterr().err
        assert_one_sentence(said)
        assert said.startswith(f"small: the cache file {path} is damaged")


def test_damaged_npz_files(tmp_path):
    images, labels = PARTS[0][:20], np.arange(20) % 2
    for index, save in enumerate((np.savez, np.savez_compressed)):
        save(tmp_path / "whole.npz", images=images, labels=labels)
        whole = (tmp_path / "whole.npz").read_bytes()
        for case in range(50):
            (tmp_path / "damaged.npz").write_bytes(damaged(whole, 2 * case + index))
            try:
                npz.load(str(tmp_path / "damaged.npz"))
            except UserError as error:
                assert_one_sentence(str(error))


def test_damaged_pictures(tmp_path):
    picture = Image.fromarray(PARTS[0][0].transpose(1, 2, 0))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        stream = io.BytesIO()
        picture.save(stream, kind)
        for case in range(12):
            path = tmp_path / f"picture.{kind.lower()}"
            path.write_bytes(damaged(stream.getvalue(), case))
            try:
                assert read_picture(path, (32, 32)).shape == (32, 32, 3)
            except UserError as error:
                assert_one_sentence(str(error))


def rewritten(folder, form, change):
    """Write a form whose arrays were changed in `change`, so that the files themselves are sound."""
    parts = [array.copy() for array in PARTS]
    change(parts)
    FORMS[form][0](folder, parts)


@pytest.mark.parametrize("label", [10, 77, 255])
@pytest.mark.parametrize("form", FORMS)
def test_labels_out_of_range(form, label, tmp_path, good_cache, capsys):
    def change(parts):
        parts[1][5] = label

    folder = tmp_path / "given"
    folder.mkdir()
    rewritten(folder, form, change)
    assert f"the label {label}; labels run from 0 to 9" in take(folder, FORMS[form][1], capsys)


@pytest.mark.parametrize("form", FORMS)
def test_sound_files_of_other_images(form, tmp_path, good_cache, capsys):
    def change(parts):
        parts[2][0, 0, 0, 0] ^= 1

    folder = tmp_path / "given"
    folder.mkdir()
    rewritten(folder, form, change)
    assert "holds other images or labels than the known ones" in take(folder, FORMS[form][1], capsys)


@pytest.mark.parametrize(
    "magic", [b"\x00\x00\x0d\x03", b"\x00\x00\x08\x02", b"\x03\x08\x00\x00", b"PK\x03\x04", b"\x1f\x8b"]
)
def test_wrong_magic(magic, tmp_path, good_cache, capsys):
    folder = tmp_path / "given"
    folder.mkdir()
    forms.write_idx(folder, PARTS)
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(magic + path.read_bytes()[len(magic) :])
    assert "is no IDX file of bytes: it begins 0x" in take(folder, read_idx, capsys)


class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("form", ["batches", "archive"])
def test_pickles_that_try_to_run_code(form, tmp_path, good_cache, capsys):
    folder = tmp_path / "given"
    folder.mkdir()
    marker = tmp_path / "ran"
    attacks = [Runs(eval, (f"open({str(marker)!r}, 'w')",)), Runs(open, (str(marker), "w"))]
    for protocol in range(6):
        for attack in attacks:
            content = pickle.dumps({"data": attack, "labels": [0]}, protocol=protocol)
            if form == "batches":
                forms.write_batches(folder, PARTS) if not (folder / "cifar-10-batches-py").exists() else None
                (folder / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
            else:
                archive_of(folder / cifar.ARCHIVE, {"cifar-10-batches-py/data_batch_1": content})
            take(folder, read_cifar, capsys)
            assert not marker.exists()


def archive_of(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_an_archive_writes_nothing_outside(tmp_path, good_cache, capsys):
    folder = tmp_path / "given"
    folder.mkdir()
    archive_of(folder / cifar.ARCHIVE, {"../../escaped": b"x", "/tmp/escaped-by-name": b"x", "data_batch_1": b"x"})
    before = sorted(tmp_path.rglob("*"))
    take(folder, read_cifar, capsys)
    assert sorted(tmp_path.rglob("*")) == before


def bomb(stream, size):
    """`size` zeros, gzipped, written a part at a time."""
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=6) as packed:
        for _ in range(size // 10_000_000):
            packed.write(bytes(10_000_000))


def test_bombs_are_refused_before_they_unfold(tmp_path, good_cache, capsys):
    folder = tmp_path / "given"
    folder.mkdir()
    tracemalloc.start()
    forms.write_idx(folder, PARTS, packed=True)
    with (folder / "train-images-idx3-ubyte.gz").open("wb") as stream:
        bomb(stream, 400_000_000)
    assert "holds more than the 100,000,000 bytes" in take(folder, read_idx, capsys)

    member = tarfile.TarInfo("data_batch_1")
    member.size = 10**11
    (folder / cifar.ARCHIVE).write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT)))
    assert "'data_batch_1' of 100,000,000,000 bytes" in take(folder, read_cifar, capsys)

    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.npy", npy_header((4_000_000_000,), "|u1"))
        archive.writestr("images.npy", npy_header((10_000_000, 3, 10_000, 10_000), "|u1") + bytes(1000))
    with pytest.raises(UserError, match="is damaged: images should hold 3,000,000,000,000,000 bytes, it holds 1,000"):
        npz.load(str(path))

    chunk = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", chunk) + png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    (tmp_path / "bomb.png").write_bytes(header + png_chunk(b"IEND", b""))
    with pytest.raises(UserError, match="is too large"):
        read_picture(tmp_path / "bomb.png")
    for name in cifar.SHEETS:
        (tmp_path / name).write_bytes(header + png_chunk(b"IEND", b""))
    with pytest.raises(UserError, match=r"data_batch_1.png is too large"):
        read_cifar(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 350_000_000


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def npy_header(shape, kind):
    text = str({"descr": kind, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def test_a_json_of_labels_that_is_nested_or_of_another_kind(tmp_path, good_cache, capsys):
    folder = tmp_path / "given"
    folder.mkdir()
    forms.write_sheets(folder, PARTS)
    for content in ("[" * 100_000, json.dumps({"labels": []}), "[1.5]", '"text"', json.dumps([True] * 60), "[1e999]"):
        (folder / "train_lables.json").write_text(content)
        assert take(folder, read_cifar, capsys)


def test_npz_with_pickled_objects_is_refused_and_nothing_runs(tmp_path):
    marker = tmp_path / "ran"
    objects = np.array([Runs(eval, (f"open({str(marker)!r}, 'w')",))] * 4, dtype=object)
    np.savez(tmp_path / "hostile.npz", images=objects, labels=np.arange(4))
    with pytest.raises(UserError, match="is refused: images holds pickled objects"):
        npz.load(str(tmp_path / "hostile.npz"))
    assert not marker.exists()

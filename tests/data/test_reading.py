"""Files of arrays, archives and pickles that declare what they do not hold: one sentence, at once, in little memory."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from cost import put_in_the_way, within

from classlab import limits
from classlab.data import cache, cifar, idx
from classlab.data.bounded_files import BadFile, GzipStream, at_home, find, npz_names, read_bytes, read_npz, read_tar
from classlab.data.pickles import read_batch
from classlab.data.sources import npz

MB = 1_000_000


def header(shape, kind="'|u1'", version=1, fortran="False", more=""):
    """The beginning of a .npy file, its parts as they are spelled there."""
    text = f"{{'descr': {kind}, 'fortran_order': {fortran}, 'shape': {shape}, {more}}}".ljust(117) + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text.encode()))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["u1", "i8", ">i4", "f4", ">f8", "f2", "?"])
def test_arrays_come_back_as_numpy_wrote_them(save, kind, tmp_path):
    arrays = {"a": np.arange(24).reshape(2, 3, 4).astype(kind), "b": np.array(3.0), "empty": np.zeros((0, 5), kind)}
    arrays["c"] = np.asfortranarray(arrays["a"])
    save(tmp_path / "x.npz", **arrays)
    read = read_npz(tmp_path / "x.npz", ["b", "a", "c", "empty"], MB)
    assert list(read) == ["b", "a", "c", "empty"]
    for name, array in read.items():
        assert np.array_equal(array, arrays[name]) and array.shape == arrays[name].shape
        assert array.dtype == arrays[name].dtype.newbyteorder("=") and array.dtype.isnative
        assert array.flags.writeable
    assert sorted(npz_names(tmp_path / "x.npz")) == ["a", "b", "c", "empty"]


def test_what_is_not_finite_is_left_to_the_caller(tmp_path):
    np.savez(tmp_path / "x.npz", a=[np.nan, np.inf])
    assert not np.isfinite(read_npz(tmp_path / "x.npz", ["a"], MB)["a"]).any()


DAMAGED = {
    "negative": header("(-1, 4)"),
    "true": header("(True, 4)") + bytes(4),
    "a text": header("('4',)") + bytes(4),
    "a list": header("[4]") + bytes(4),
    "fractions": header("(4.0,)") + bytes(4),
    "too short": header("(5,)") + bytes(4),
    "too long": header("(3,)") + bytes(4),
    "huge": header("(4000000000, 4000000000, 4000000000)") + bytes(4),
    "huge and empty": header("(0, 4611686018427387904, 4611686018427387904)"),
    "many axes": header("(" + "1," * 40 + ")") + bytes(1),
    "a number of many digits": header("(" + "9" * 9000 + ",)") + bytes(4),
    "objects": header("(4,)", "'|O'") + bytes(32),
    "a table": header("(1,)", "[('a', '<f4'), ('b', 'O')]") + bytes(12),
    "rows in rows": header("(1,)", "('<f4', (2, 2))") + bytes(16),
    "complex": header("(1,)", "'<c16'") + bytes(16),
    "text": header("(1,)", "'<U4'") + bytes(16),
    "bytes": header("(1,)", "'|S16'") + bytes(16),
    "dates": header("(1,)", "'<M8[s]'") + bytes(8),
    "long fractions": header("(1,)", "'<f16'") + bytes(16),
    "nothing": header("(1,)", "'|V0'"),
    "no type": header("(1,)", "'nonsense'") + bytes(8),
    "a call": header("(1,)", "__import__('os').system('true')") + bytes(8),
    "deep": header("(" * 3000 + ")" * 3000) + bytes(4),
    "signs": header("(" + "-" * 9000 + "1,)") + bytes(4),
    "another version": header("(4,)").replace(b"NUMPY\x01", b"NUMPY\x09") + bytes(4),
    "no array": b"hello",
    "no bytes": b"",
    "a long header": header("(4,)", version=2, more=" " * 5_000_000) + bytes(4),
    "a header that is cut": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{",
    "no header": b"\x93NUMPY\x01\x00\xff\xff",
    "a missing key": header("(4,)").replace(b"fortran_order", b"fortran_orde "),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_header_that_no_array_has_is_refused_in_one_sentence(name, tmp_path):
    path = archive(tmp_path / "x.npz", {"a": DAMAGED[name]})
    with within(), pytest.raises(BadFile) as told:
        read_npz(path, ["a"], 100 * MB)
    assert str(told.value).startswith(f"{path} is ")
    assert "\n" not in str(told.value) and len(str(told.value)) < 400


def test_sizes_are_held_against_the_limit_before_anything_is_unpacked(tmp_path):
    path = archive(tmp_path / "x.npz", {"a": header("(60000000,)") + bytes(60 * MB), "b": bytes(60 * MB)})
    with within(0.5, 20), pytest.raises(BadFile, match=r"would unpack to 120,000,\d{3} bytes; at most 100,000,000 are"):
        read_npz(path, ["a", "b"], 100 * MB)
    path = archive(tmp_path / "y.npz", {"a": header("(600000000,)") + bytes(600 * MB)})
    with within(0.5, 20), pytest.raises(BadFile, match=r"600,000,128 bytes, [\d,]+ times its size; it is not read"):
        read_npz(path, ["a"], limits.ARRAYS_BYTES)


def test_names_that_are_missing_or_stand_there_twice_are_told(tmp_path):
    whole = header("(4,)") + bytes(4)
    path = archive(tmp_path / "x.npz", {"a": whole, "b\x1b": whole})
    with pytest.raises(BadFile, match=r"holds no array named c; it holds a, b\\x1b$"):
        read_npz(path, ["a", "c"], MB)
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as made, pytest.warns(UserWarning, match="Duplicate name"):
        made.writestr("a.npy", whole)
        made.writestr("a.npy", whole)
    with pytest.raises(BadFile, match=r"is refused: it holds 2 arrays named a$"):
        read_npz(tmp_path / "y.npz", ["a"], MB)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_pack_are_refused(kind, tmp_path):
    path = archive(tmp_path / "x.npz", {"a": header("(4,)") + bytes(4)}, kind)
    with pytest.raises(BadFile, match=r"a is packed in another way than numpy.savez_compressed packs"):
        read_npz(path, ["a"], MB)


def test_an_encrypted_array_is_told(tmp_path):
    path = archive(tmp_path / "x.npz", {"a": header("(4,)") + bytes(4)})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(BadFile, match="a is encrypted"):
        read_npz(path, ["a"], MB)


@pytest.mark.parametrize("size", [0, 10, 132, 2**31, 2**32 - 1])
def test_a_zip_file_that_lies_about_a_size_is_told(size, tmp_path):
    """128 bytes of header and 100 of values are there."""
    path = archive(tmp_path / "x.npz", {"a": header("(100,)") + bytes(100)})
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    with within(), pytest.raises(BadFile):
        read_npz(path, ["a"], limits.ARRAYS_BYTES)


def test_a_table_of_contents_of_very_many_names_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as made:
        for number in range(30_000):
            made.writestr(f"{number}.npy", b"")
    with within(0.5), pytest.raises(BadFile, match="its parts are far more, or larger"):
        npz_names(tmp_path / "x.npz")


def test_only_regular_files_are_opened(tmp_path):
    for path in put_in_the_way(tmp_path, ".npz"):
        for read in (npz_names, lambda path: read_npz(path, ["a"], MB), lambda path: npz.load(str(path))):
            with within(0.5), pytest.raises(BadFile, match=r"is not a regular file|there is no file|cannot be read"):
                read(path)
    folder = tmp_path / "others"
    folder.mkdir()
    for path in [*put_in_the_way(folder, ""), *put_in_the_way(folder, ".gz")]:
        for read in (
            lambda path: read_bytes(path, 1000),
            lambda path: read_tar(path, lambda name: True, 1000, 1000),
            lambda path: idx.read_idx(path, (1,)),
            lambda path: cache.read(path, "0"),
            cifar._sheet,
        ):
            with within(0.5), pytest.raises(BadFile, match=r"is not a regular file|there is no file|cannot be read"):
                read(path) if read is not cifar._sheet else read(path, 12)
        with pytest.raises(BadFile, match="holds no file named"):
            find(folder, (".",), (path.name,))


def test_members_of_gzip_may_follow_each_other_with_zeros_between(tmp_path):
    parts = [b"one", b"", b"two" * 100_000]
    (tmp_path / "x.gz").write_bytes(b"\0\0\0".join(map(gzip.compress, parts)) + bytes(70_000))
    assert read_bytes(tmp_path / "x.gz", MB) == b"".join(parts)
    (tmp_path / "y.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    with pytest.raises(BadFile, match=r"y.gz is damaged: it does not unpack \(it ends too early\)"):
        read_bytes(tmp_path / "y.gz", MB)
    (tmp_path / "z.gz").write_bytes(gzip.compress(b"x" * 1000) + b"rest")
    with pytest.raises(BadFile, match=r"z.gz is damaged"):
        read_bytes(tmp_path / "z.gz", MB)


@pytest.mark.parametrize("seed", range(20))
def test_a_gzip_file_is_unpacked_in_pieces_as_at_once(seed):
    random = np.random.default_rng(seed)
    content = random.integers(0, 4, 300_000, dtype=np.uint8).tobytes()
    unpacked = GzipStream(io.BytesIO(gzip.compress(content)))
    pieces = []
    while piece := unpacked.read(int(random.integers(1, 50_000))):
        pieces.append(piece)
    assert b"".join(pieces) == content


def test_a_gzip_file_of_very_many_members_is_told(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"") * 500_000)
    with within(1), pytest.raises(BadFile, match="it has more than 10,000 parts"):
        read_bytes(tmp_path / "x.gz", MB)


def pax(size, content=b"x"):
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, size
    return member.tobuf(tarfile.USTAR_FORMAT) + content


TARS = {
    "a note of 10 GB": gzip.compress(pax(8_000 * MB, bytes(50 * MB))),
    "a long name of 8 GB": gzip.compress(pax(8_000 * MB, bytes(50 * MB)).replace(b"x", b"L", 1)),
    "notes on notes": gzip.compress(pax(512, b"12 a=bbbbbb\n".ljust(512, b"\0")) * 1500),
    "a gzip name without an end": b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 5 * MB,
    "very many members": gzip.compress(tarfile.TarInfo("x").tobuf() * 200_000),
    "a negative size": gzip.compress(pax(512, b"13 size=-512\n".ljust(512, b"\0")) + tarfile.TarInfo("data").tobuf()),
    "no tar": gzip.compress(b"hello" * 1000),
    "bzip2": b"BZh91AY&SY" + bytes(1000),
    "cut": gzip.compress(tarfile.TarInfo("x").tobuf())[:30],
    "sparse": gzip.compress(
        pax(512, b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n".ljust(512, b"\0")) + tarfile.TarInfo("data").tobuf()
    ),
}


@pytest.mark.parametrize("name", TARS)
def test_archives_whose_headers_ask_for_far_more_than_they_hold(name, tmp_path):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(TARS[name])
    with within():
        try:
            assert read_tar(path, lambda name: True, 100 * MB, 400 * MB) in ({}, {"data": b""})
        except BadFile as error:
            assert str(error).startswith(f"{path} is damaged: ") and "\n" not in str(error)


def same_again(times):
    """A tuple that holds itself twice, that often: 290 bytes which take for ever to be looked up or written out."""
    return b")q\x00" + b"h\x00h\x00\x86q\x00" * times


TEXT = b"X" + struct.pack("<I", 3 * MB) + b"a" * 3 * MB
LATIN = b"X\x06\x00\x00\x00latin1"
PICKLES = {
    "very many instructions": b"(" + b"N" * 30 * MB + b"t.",
    "a key that holds itself": b"}" + same_again(40) + b"K\x01s.",
    "a deep key": b"})" + b"\x85" * 150_000 + b"K\x01s.",
    "a type that holds itself": b"cnumpy\ndtype\n" + same_again(40) + b"\x85R.",
    "an encoding that holds itself": b"c_codecs\nencode\nX\x01\x00\x00\x00a" + same_again(40) + b"\x86R.",
    "the same text a thousand times": b"c_codecs\nencode\nq\x02" + TEXT + b"q\x00h\x02h\x00" + LATIN + b"\x86R"
    + (b"h\x02h\x00" + LATIN + b"\x86R") * 1000 + b".",
    "a number of many digits": b"I" + b"9" * 3 * MB + b"\n.",
    "a long number of many digits": b"X\x06\x00\x00\x00labels" + b"\x8b" + struct.pack("<i", MB) + b"\xff" * MB + b".",
    "a number of 40 MB": b"X\x06\x00\x00\x00labels\x8b" + struct.pack("<i", 40 * MB) + b"\x7f" * 40 * MB + b".",
    "a memo of 64 GB": b"K\x01r\xff\xff\xff\xff.",
    "a frame of everything": b"\x95" + b"\xff" * 8 + b"N.",
    "a long list of long texts": b"(" + (b"X" + struct.pack("<I", 200) + b"a" * 200) * 190_000 + b"t.",
}  # fmt: skip


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_ask_for_far_more_than_they_hold(name):
    with within(), pytest.raises(BadFile, match=r"^batch (is|holds) ") as told:
        read_batch(b"\x80\x02" + PICKLES[name], 10, 12, "batch")
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


@pytest.mark.parametrize("shape", [(0, 28, 28), (0, 2**32 - 1, 2**32 - 1), (3, 0, 28), (2**32 - 1,) * 3])
def test_idx_files_of_nothing_or_of_everything_are_told(shape, tmp_path):
    (tmp_path / "x").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape))
    with within(), pytest.raises(BadFile, match=r"holds nothing: its header says|should hold"):
        idx.read_idx(tmp_path / "x", (3,))


def test_a_cache_file_that_no_dataset_has_is_told(tmp_path):
    path = tmp_path / "mnist.safetensors"
    path.write_bytes(struct.pack("<Q", 90 * MB) + b" " * 100)
    with within(), pytest.raises(BadFile, match=r"is damaged .it is larger than any dataset"):
        cache.read(path, "0")
    with path.open("wb") as file:
        file.truncate(10_000 * MB)
    with within(), pytest.raises(BadFile, match=r"is damaged .it is larger than any dataset"):
        cache.read(path, "0")


def test_a_home_of_nobody_is_left_as_it_is(monkeypatch):
    assert str(at_home("~nobodyhere/x")) == "~nobodyhere/x"
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(at_home("~/x")) == "/somewhere/x"

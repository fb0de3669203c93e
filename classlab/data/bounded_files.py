"""Reading files that may be damaged or hostile: never more bytes than expected, and one sentence when it fails."""

import io
import math
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from classlab import files, limits
from classlab.errors import UserError, listing
from classlab.files import reason
from classlab.plain_text import on_a_line

PIECE = 64 * 1024  # bytes read at once
GZIP_WINDOW = 31  # zlib's word for "a gzip header comes first"
NUMBERS = "biuf"  # of an array: true or false, whole, whole without sign, fractions
# How sizes, places and names that cannot be, and a file that gives nothing, make an archive's reader fail.
_IMPOSSIBLE = (ValueError, RuntimeError, ArithmeticError, LookupError, TypeError, struct.error)


class BadFile(UserError):
    """A file is missing or does not hold what it should. The message is one sentence that names the file."""


def at_home(text: str) -> Path:
    """Return the path that a reader wrote, its ~ the home folder; where nobody has such a home it stays as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_file(path: Path) -> bool:
    """Say whether a regular file, or a link to one, is there to be seen."""
    try:
        return path.is_file()
    except OSError:  # in a folder that may not be looked into, or a name too long for any
        return False


def is_folder(path: Path) -> bool:
    """Say whether a folder, or a link to one, is there to be seen."""
    try:
        return path.is_dir()
    except OSError:
        return False


def find(folder: Path, subfolders: Iterable[str], names: Iterable[str]) -> Path:
    """Return the first of `folder`/`subfolder`/`name` that is a file. Raises BadFile where none is."""
    for subfolder in subfolders:
        for name in names:
            if is_file(folder / subfolder / name):
                return folder / subfolder / name
    raise BadFile(f"{folder} holds no file named {' or '.join(names)}")


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises BadFile for a missing one, and for a device, a pipe or a folder."""
    with _as_bad_file():
        return files.opened(path)


@contextmanager
def _as_bad_file() -> Iterator[None]:
    try:
        yield
    except BadFile:
        raise
    except UserError as error:
        raise BadFile(str(error)) from None


class WatchedFile:
    """An open file that takes so many more reads and bytes and then raises BadFile; None: as many as are asked for.

    Headers can be made so that reading them takes thousands of times the file's own size. Whoever reads through this
    sets what is left again where more is honest: `reads_left`, `bytes_left`. `mark` is a few bytes of which a file may
    hold `marks_left`.
    """

    def __init__(self, file: Any, path: Path, reads_left: int | None = None, bytes_left: int | None = None) -> None:
        self.file, self.path = file, path
        self.reads_left, self.bytes_left = reads_left, bytes_left
        self.mark, self.marks_left = b"", 0

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, or all. Raises BadFile where no more may be asked for."""
        content = self.file.read(size)
        if self.reads_left is not None:
            self.reads_left -= 1
        if self.bytes_left is not None:
            self.bytes_left -= len(content)
        if self.mark:
            self.marks_left -= content.count(self.mark)
        if min(self.reads_left or 0, self.bytes_left or 0, self.marks_left) < 0:
            raise BadFile(f"{self.path} is damaged: its parts are far more, or larger, than such a file needs")
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class GzipStream:
    """What a gzip file holds, piece by piece, forwards only. Members may follow each other, as gzip allows."""

    def __init__(self, file: Any) -> None:
        self._file, self._members = file, 1
        self._unpacker, self._waiting = zlib.decompressobj(GZIP_WINDOW), b""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end. Raises zlib.error, and EOFError where the file is cut short."""
        while not self._unpacker.eof or self._next_member():
            packed = self._unpacker.unconsumed_tail or self._waiting or self._file.read(PIECE)
            self._waiting = b""
            content = self._unpacker.decompress(packed, size)
            if content:
                return content
            if not packed:
                raise EOFError("it ends too early")
        return b""

    def _next_member(self) -> bool:
        """Begin the member that follows, if one does. Zeros between members, and after the last, mean nothing."""
        following = self._unpacker.unused_data or self._file.read(PIECE)
        while following and not following.strip(b"\0"):
            following = self._file.read(PIECE)
        self._members += 1
        if following and self._members > limits.ARCHIVE_MEMBERS:
            raise EOFError(f"it has more than {limits.ARCHIVE_MEMBERS:,} parts")
        self._unpacker, self._waiting = zlib.decompressobj(GZIP_WINDOW), following.lstrip(b"\0")
        return bool(following)


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file, unpacked where its name ends in .gz.

    Raises BadFile when the file cannot be read, is cut short, or would unpack to more than `limit` bytes.
    """
    if path.suffix != ".gz":
        with _as_bad_file():
            return files.read(path, limit)
    content = bytearray()
    with _unpacking(path) as file:
        unpacked = GzipStream(file)
        while piece := unpacked.read(PIECE):
            content += piece
            if len(content) > limit:
                raise BadFile(f"{path} holds more than the {limit:,} bytes that it should")
    return bytes(content)


@contextmanager
def _unpacking(path: Path) -> Iterator[BinaryIO]:
    """Open a file, and make a sentence of what can go wrong while it is unpacked."""
    try:
        with opened(path) as file:
            yield file
    except (tarfile.TarError, EOFError, zlib.error, *_IMPOSSIBLE) as error:
        raise BadFile(f"{path} is damaged: it does not unpack ({reason(error)})") from None
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {reason(error)}") from None


def read_tar(path: Path, wanted: Callable[[str], bool], member_limit: int, limit: int) -> dict[str, bytes]:
    """Return the members of a tar (plain or gzipped) whose base name is `wanted`, by that base name.

    Nothing is written. Reading ends with BadFile at the first member larger than `member_limit` bytes, after `limit`
    bytes or very many members altogether, or where the archive is damaged.
    """
    contents: dict[str, bytes] = {}
    total = 0
    with _unpacking(path) as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = WatchedFile(GzipStream(file) if is_packed else file, path, bytes_left=limits.ARCHIVE_HEADER_BYTES)
        # As a stream, forwards only: nothing is read twice, and nothing behind the first bad member is read at all.
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # pyrefly: ignore[no-matching-overload]
            for number, member in enumerate(archive):
                total += member.size
                name = Path(member.name).name
                if member.size > member_limit or total > limit:
                    raise BadFile(f"{path} holds more than it should: {name!r} of {member.size:,} bytes")
                if member.size < 0 or number == limits.ARCHIVE_MEMBERS:
                    raise BadFile(f"{path} is damaged: it does not unpack (no archive has such members)")
                stream.bytes_left = limits.ARCHIVE_HEADER_BYTES + member.size
                content = archive.extractfile(member) if member.isfile() and wanted(name) else None
                if content is not None:
                    contents[name] = content.read()
    return contents


def npz_names(path: Path) -> list[str]:
    """Return the names of the arrays in an .npz file. Raises BadFile where it is none."""
    with _zip(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_npz(path: Path, names: Sequence[str], most_bytes: int) -> dict[str, np.ndarray]:
    """Return arrays of an .npz file, by name: numbers or truth values of any shape, in this machine's byte order.

    Nothing in the file is ever unpickled. What it says of sizes is compared with `most_bytes`, for all arrays together,
    and against itself, before anything is unpacked.
    Raises BadFile, one sentence, where the path is not a regular file or not a complete zip file. It is also raised
    where one of the `names` is missing, is there twice, is encrypted, or is compressed by anything but deflate. The
    same holds for an array that holds anything but numbers, is larger than allowed, or has a header that does not agree
    with its bytes. Whether the numbers are finite, and the shapes what they should be, is for the caller to check.
    """
    with _zip(path) as archive:
        members = [_member(archive, name, path) for name in names]
        total = sum(member.file_size for member in members)
        if total > most_bytes:
            raise BadFile(f"{path} would unpack to {total:,} bytes; at most {most_bytes:,} are read")
        size = os.fstat(archive.fp.fileno()).st_size
        # Deflate packs zeros a thousand times over: a small file could fill the memory and still be within
        # `most_bytes`.
        if total > max(limits.UNPACKED_FREELY, limits.UNPACKED_TIMES * size):
            raise BadFile(f"{path} would unpack to {total:,} bytes, {total // size:,} times its size; it is not read")
        pairs = zip(names, members, strict=True)
        return {name: _array(archive, member, name, path, most_bytes) for name, member in pairs}


@contextmanager
def _zip(path: Path) -> Iterator[Any]:
    """Open a zip file whose table of contents is short. Raises BadFile, also for what goes wrong while it is read."""
    try:
        with opened(path) as file:
            watched = WatchedFile(file, path, bytes_left=limits.ARCHIVE_HEADER_BYTES)
            with zipfile.ZipFile(watched) as archive:  # pyrefly: ignore[no-matching-overload]
                watched.bytes_left = None
                yield archive
    except (zipfile.BadZipFile, EOFError, zlib.error, *_IMPOSSIBLE) as error:
        raise BadFile(f"{path} is damaged: it is not a complete .npz file ({reason(error)})") from None
    except MemoryError:
        raise BadFile(f"{path} is too large for this machine's memory") from None
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {reason(error)}") from None


def _member(archive: Any, name: str, path: Path) -> zipfile.ZipInfo:
    """Return where an array lies in the file, once it is known that it can be read."""
    members = [member for member in archive.infolist() if member.filename == f"{name}.npy"]
    if not members:
        held = listing(on_a_line(other.removesuffix(".npy")) for other in archive.namelist()) or "nothing"
        raise BadFile(f"{path} holds no array named {name}; it holds {held}")
    # Programs differ in which of two members of one name they take, so neither is what the reader may have looked at.
    if len(members) > 1:
        raise BadFile(f"{path} is refused: it holds {len(members)} arrays named {name}")
    (member,) = members
    if member.flag_bits & 1:
        raise BadFile(f"{path} is refused: {name} is encrypted")
    # The other methods unpack without a bound on how much comes out at once.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadFile(f"{path} is refused: {name} is packed in another way than numpy.savez_compressed packs")
    return member


def _array(archive: Any, member: zipfile.ZipInfo, name: str, path: Path, most_bytes: int) -> np.ndarray:
    """Read one array, and not before its header agrees with the bytes that follow."""
    with archive.open(member) as stream:
        begin = io.BytesIO(stream.read(limits.ARRAY_HEADER_BYTES + 16))
        shape, fortran, dtype = _array_header(begin, name, path)
        size = math.prod(shape) * dtype.itemsize
        rest = member.file_size - begin.tell()
        if size != rest:
            raise BadFile(f"{path} is damaged: {name} should hold {size:,} bytes, it holds {rest:,}")
        # An axis of 0 makes an array of no bytes of any other axes, and NumPy has limits of its own for those.
        if math.prod(max(side, 1) for side in shape) * dtype.itemsize > most_bytes or len(shape) > 16:
            raise BadFile(f"{path} is refused: no array that is read has the shape of {name}")
        array = np.empty(math.prod(shape), dtype)
        place = array.view(np.uint8).data
        filled = begin.readinto(place)
        while filled < size and (piece := stream.read(min(PIECE * 16, size - filled))):
            place[filled : filled + len(piece)] = piece
            filled += len(piece)
    if filled < size:
        raise BadFile(f"{path} is damaged: {name} should hold {size:,} bytes, it holds {filled:,}")
    native = array.astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(shape, order="F" if fortran else "C")


def _array_header(begin: io.BytesIO, name: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether the first axis runs fastest, and type. Raises BadFile for anything but numbers."""
    from numpy.lib import format as npy

    try:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(begin)]
        shape, fortran, dtype = read(begin, max_header_size=limits.ARRAY_HEADER_BYTES)
    except Exception:  # a header is Python's own notation, and reading a bad one fails in many ways
        raise BadFile(f"{path} is damaged: {name} does not begin as an array does") from None
    if dtype.hasobject:
        raise BadFile(f"{path} is refused: {name} holds pickled objects, and only arrays of numbers are read")
    if dtype.kind not in NUMBERS or dtype.itemsize > 8:
        raise BadFile(f"{path} is refused: {name} holds {str(dtype)[:40]}, and numbers of at most 8 bytes are read")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise BadFile(f"{path} is damaged: {name} should have the shape {str(shape)[:80]}, which is none")
    return shape, bool(fortran), dtype

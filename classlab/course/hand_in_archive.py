"""The files of a hand-in's zip archive, counted and bounded before any is unpacked; no name in it leads outside.

Archives are told by their first bytes, whatever they are called. What is no plain file of a hand-in's folder is
refused: links, devices, absolute names, steps upwards, names that some disk takes for another.
"""

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from classlab import files, limits
from classlab.data.bounded_files import BadFile, WatchedFile
from classlab.errors import UserError
from classlab.files import reason
from classlab.plain_text import on_a_line

ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a bound
PIECE = 1 << 20
PLAIN_STEP = re.compile(r"[^\x00-\x1f\x7f<>:\"|?*\\]{1,200}")
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
# Reading a broken archive fails in many ways, all of which mean the same.
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, KeyError,
          OverflowError, UnicodeError, IndexError, OSError)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name as it may be written below a folder, its size, and where it is found."""

    name: str
    size: int
    info: zipfile.ZipInfo


def is_zip(path: Path) -> bool:
    """Say whether a regular file begins as a zip archive does, whatever its name ends in."""
    try:
        with files.opened(path) as file:
            return file.read(4) in (ZIP, EMPTY_ZIP)
    except (UserError, OSError):
        return False


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[zipfile.ZipFile, list[Member]]]:
    """Open an archive and give its plain files. name: what sentences call it. Raises BadFile, also while it is read."""
    try:
        with files.opened(path) as file:
            watched = WatchedFile(file, path, bytes_left=limits.HAND_IN_TABLE)
            try:
                archive = zipfile.ZipFile(watched)  # pyrefly: ignore[no-matching-overload]
            except BadFile:
                raise BadFile(f"{name} lists more files than a hand-in has: its table of contents is over "
                              f"{limits.HAND_IN_TABLE:,} bytes") from None  # fmt: skip
            watched.bytes_left = None
            with archive:
                yield archive, _members(archive, name)
    except BROKEN as error:
        raise BadFile(f"{name} is damaged: it is not a complete zip archive ({reason(error)})") from None
    except MemoryError:
        raise BadFile(f"{name} is too large for this machine's memory") from None


def _members(archive: zipfile.ZipFile, name: str) -> list[Member]:
    found: dict[str, Member] = {}
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > max(limits.HAND_IN_FILES, limits.HAND_INS):
        raise BadFile(f"{name} holds {len(infos):,} files, and of a hand-in at most {limits.HAND_IN_FILES:,} are read")
    for info in infos:
        _check_member(info, name)
        member = Member(info.filename, info.file_size, info)
        if member.name.lower() in found:
            raise BadFile(f"{name} is refused: it holds {_named(member.name)} twice")
        found[member.name.lower()] = member
    return list(found.values())


def _check_member(info: zipfile.ZipInfo, name: str) -> None:
    """Raise BadFile for what is not a plain file below the archive's folder."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    shown_name = _named(info.filename)
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else "no regular file"
        raise BadFile(f"{name} is refused: {shown_name} is {what}")
    steps = info.filename.split("/")
    if "\\" in info.filename or info.filename.startswith("/") or ".." in steps or re.match(r"[A-Za-z]:", steps[0]):
        raise BadFile(f"{name} is refused: the name {shown_name} leads out of its folder")
    if len(info.filename) > 500 or not all(map(PLAIN_STEP.fullmatch, steps)) or any(map(DEVICES.fullmatch, steps)):
        raise BadFile(f"{name} is refused: the name {shown_name} is not one that every disk takes")
    if info.flag_bits & 1:
        raise BadFile(f"{name} is refused: {shown_name} is encrypted")
    if info.compress_type not in PACKED:
        raise BadFile(f"{name} is refused: {shown_name} is packed in a way that is not read")


def _named(text: str) -> str:
    return repr(on_a_line(text)[: limits.ECHO])


def unpack(archive: zipfile.ZipFile, members: list[Member], folder: Path, name: str) -> None:
    """Write members below a folder, each no longer than its header says. Raises BadFile past the limits."""
    if len(members) > limits.HAND_IN_FILES:
        raise BadFile(
            f"{name} holds {len(members):,} files, and of a hand-in at most {limits.HAND_IN_FILES:,} are read"
        )
    total = sum(member.size for member in members)
    if total > limits.HAND_IN_BYTES:
        raise BadFile(
            f"{name} unpacks to {total:,} bytes, and of a hand-in at most {limits.HAND_IN_BYTES:,} are unpacked"
        )
    for member in members:
        target = folder.joinpath(*PurePosixPath(member.name).parts)
        files.make_folder(target.parent)
        with archive.open(member.info) as stream, target.open("xb") as file:
            copy(stream, file, member.size, name)


def copy(stream: IO[bytes], file: Any, size: int, name: str) -> None:
    """Copy what an archive holds, and no more than its header says."""
    left = size
    while piece := stream.read(min(PIECE, left + 1)):
        left -= len(piece)
        if left < 0:
            raise BadFile(f"{name} is refused: a file in it is longer than its header says")
        file.write(piece)
    if left:
        raise BadFile(f"{name} is damaged: a file in it is shorter than its header says")


def packed(contents: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of files by name: the same files, the same bytes, and no time of their making."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(contents):
            info = zipfile.ZipInfo(name)  # its date is that of the format's beginning
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, contents[name])
    return buffer.getvalue()

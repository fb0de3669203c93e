"""The hand-ins of a class, wherever they lie: folders, archives, archives of archives, whatever they are called."""

import datetime
import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from classlab import files, limits
from classlab.course import hand_in_archive, task_file
from classlab.course.hand_in_archive import Member
from classlab.errors import UserError
from classlab.plain_text import on_a_line


@dataclass(frozen=True)
class Source:
    """Where a hand-in lies: an archive and a folder in it, or a folder. problem: why it cannot be opened, or "".

    name: what people call it. time: when it was handed in, as far as its file says. digest: of its bytes.
    """

    name: str
    path: Path
    inside: str
    time: datetime.datetime | None
    digest: str
    problem: str = ""


def collect(given: Sequence[Path], work: Path) -> list[Source]:
    """Return every hand-in below the paths given; archives inside archives are unpacked to `work`. Raises UserError."""
    check_given(given)
    found: list[Source] = []
    for path in given:
        for source in _below(path):
            found += _opened(source, work, 0)
            if len(found) > limits.HAND_INS:
                raise UserError(f"there are more than {limits.HAND_INS:,} hand-ins; give a folder at a time")
    if not found:
        raise UserError(f"there is no hand-in in {given[0]}: no archive, and no folder with a {task_file.FILE}")
    return found


def check_given(given: Sequence[Path]) -> None:
    """Raise UserError for a path where nothing is."""
    for path in given:
        if not path.exists():
            raise UserError(f"there is no {path}; give folders or archives of hand-ins")


def _below(path: Path) -> Iterator[Source]:
    if path.is_file():
        yield _file(path, path.name)
        return
    for folder, folders, names in os.walk(path):
        place = Path(folder)
        if task_file.FILE in names:
            folders.clear()
            yield _folder(place, path)
            continue
        folders.sort()
        for name in sorted(names):
            file = place / name
            if not file.is_symlink() and (hand_in_archive.is_zip(file) or file.suffix.lower() == ".zip"):
                yield _file(file, str(file.relative_to(path)))


def _file(file: Path, name: str) -> Source:
    digest, problem = "", ""
    try:
        digest = _digest_of(file)
    except UserError as error:
        problem = str(error)
    return Source(on_a_line(name), file, "", _time(file), digest, problem)


def _folder(place: Path, above: Path) -> Source:
    sha, name = hashlib.sha256(), str(place.relative_to(above)) or place.name
    try:
        for number, file in enumerate(sorted(place.rglob("*"))):
            if number > limits.HAND_IN_FILES:
                raise UserError(f"{name} holds more than {limits.HAND_IN_FILES:,} files")
            if file.is_symlink():
                raise UserError(f"{name} is refused: {file.name} is a link")
            if file.is_file():
                sha.update(f"{file.relative_to(place)}\0{_digest_of(file)}".encode("utf-8", "backslashreplace"))
    except UserError as error:
        return Source(on_a_line(name), place, "", _time(place / task_file.FILE), "", str(error))
    return Source(on_a_line(name), place, "", _time(place / task_file.FILE), sha.hexdigest())


def _digest_of(file: Path) -> str:
    with files.opened(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # pyrefly: ignore[bad-argument-type]


def _time(file: Path) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(file.stat().st_mtime)
    except (OSError, ValueError, OverflowError):
        return None


def _opened(source: Source, work: Path, depth: int) -> list[Source]:
    """Return the hand-ins in an archive: it is one, it holds unpacked ones, or it holds archives of them."""
    if source.problem or source.path.is_dir():
        return [source]
    try:
        with hand_in_archive.opened(source.path, source.name) as (archive, members):
            roots = [str(PurePosixPath(member.name).parent) for member in members
                     if PurePosixPath(member.name).name == task_file.FILE]  # fmt: skip
            if roots:
                return [_inside(source, "" if place == "." else place, len(roots) > 1) for place in sorted(roots)]
            inner = [member for member in members if _is_archive(archive, member)]
            if not inner:
                raise UserError(f"{source.name} is not a hand-in: there is no {task_file.FILE} in it")
            if depth == limits.HAND_IN_DEPTH:
                raise UserError(f"{source.name} is refused: archives lie in it {depth} deep")
            total = sum(member.size for member in inner)
            if total > limits.CLASS_BYTES:
                most = f"at most {limits.CLASS_BYTES:,} are read"
                raise UserError(f"{source.name} holds archives of {total:,} bytes, {most}")
            nested = [_extracted(archive, member, source, work) for member in inner]
    except UserError as error:
        return [Source(source.name, source.path, "", source.time, source.digest, str(error))]
    return [hand_in for part in nested for hand_in in _opened(part, work, depth + 1)]


def _inside(source: Source, place: str, several: bool) -> Source:
    name = f"{source.name}/{on_a_line(place)}" if several else source.name
    return Source(name, source.path, place, source.time, source.digest)


def _is_archive(archive: zipfile.ZipFile, member: Member) -> bool:
    if member.name.lower().endswith(".zip"):
        return True
    with archive.open(member.info) as stream:
        return stream.read(4) == hand_in_archive.ZIP


def _extracted(archive: zipfile.ZipFile, member: Member, source: Source, work: Path) -> Source:
    name = f"{source.name}/{on_a_line(member.name)}"
    time = _member_time(member) or source.time
    if member.size > limits.HAND_IN_BYTES:
        problem = f"{name} holds {member.size:,} bytes, and of a hand-in at most {limits.HAND_IN_BYTES:,} are read"
        return Source(name, source.path, "", time, "", problem)
    files.make_folder(work)
    target = work / f"{hashlib.sha256(f'{source.digest}/{member.name}'.encode()).hexdigest()[:32]}.zip"
    try:
        with archive.open(member.info) as stream, target.open("wb") as file:
            hand_in_archive.copy(stream, file, member.size, name)
    except UserError as error:
        return Source(name, target, "", time, "", str(error))
    except hand_in_archive.BROKEN as error:
        return Source(name, target, "", time, "", f"{name} is damaged ({files.reason(error)})")
    return Source(name, target, "", time, _digest_of(target))


def _member_time(member: Member) -> datetime.datetime | None:
    try:
        moment = datetime.datetime(*member.info.date_time)
    except ValueError:
        return None
    return moment if moment.year > 1980 else None

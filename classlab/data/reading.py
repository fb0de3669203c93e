"""Reading files that may be damaged or hostile: never more bytes than expected, and one sentence when it fails."""

import gzip
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from classlab.errors import UserError


class BadFile(UserError):
    """A file is missing or does not hold what it should. The message is one sentence that names the file."""


def find(folder: Path, subfolders: Iterable[str], names: Iterable[str]) -> Path:
    """Return the first of `folder`/`subfolder`/`name` that is a file. Raises BadFile where none is."""
    for subfolder in subfolders:
        for name in names:
            if (folder / subfolder / name).is_file():
                return folder / subfolder / name
    raise BadFile(f"{folder} holds no file named {' or '.join(names)}")


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of `path`, unpacked where its name ends in .gz.

    Raises BadFile when the file cannot be read, is cut short, or would unpack to more than `limit` bytes.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(limit + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadFile(f"{path} is damaged: it does not unpack ({reason(error)})") from None
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {reason(error)}") from None
    if len(content) > limit:
        raise BadFile(f"{path} holds more than the {limit:,} bytes that it should")
    return content


def read_tar(path: Path, wanted: Callable[[str], bool], member_limit: int, limit: int) -> dict[str, bytes]:
    """Return the members of a tar (plain or gzipped) whose base name is `wanted`, by that base name.

    Nothing is written. Reading ends with BadFile at the first member larger than `member_limit` bytes, after `limit`
    bytes altogether, or where the archive is damaged.
    """
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                total += member.size
                if member.size > member_limit or total > limit:
                    raise BadFile(
                        f"{path} holds more than it should: {Path(member.name).name!r} of {member.size:,} bytes"
                    )
                name = Path(member.name).name
                stream = archive.extractfile(member) if member.isfile() and wanted(name) else None
                if stream is not None:
                    found[name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise BadFile(f"{path} is damaged: it does not unpack ({reason(error)})") from None
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {reason(error)}") from None
    return found


def say(sentence: str) -> None:
    """Tell the reader, on standard error, what was met on the way and what is done about it."""
    print(sentence, file=sys.stderr)


def reason(error: BaseException) -> str:
    """Return why, in one short line, without the path that the sentence around it already names."""
    text = getattr(error, "strerror", None) or str(error).split(" '/")[0] or type(error).__name__
    return " ".join(str(text).split())[:120]

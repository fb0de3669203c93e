"""Files: how every one of them is read and written.

Read are regular files alone, and no more bytes of them than is allowed. A file is written completely or not at all:
under a new name beside it, synced, then renamed. It is never written through a link, which in a folder from elsewhere
may lead anywhere.
"""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from classlab.errors import UserError

PART = ".part"  # how the names of files end that are being written
_OUR_PART = re.compile(r"\..+\.([0-9]{1,10})-[0-9a-f]{8}\.part", re.DOTALL)  # the number is its process's

# Windows knows none of these; there 0 asks for nothing.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer would be waited for
_BINARY = getattr(os, "O_BINARY", 0)


class MissingFile(UserError):
    """There is no such file."""


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises MissingFile and UserError: a device, a pipe or a folder is not read."""
    try:
        number = os.open(path, os.O_RDONLY | _AT_ONCE | _BINARY)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(f"there is no file {path}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UserError(f"{path} cannot be read: {reason(error)}") from None
    try:
        regular = stat.S_ISREG(os.fstat(number).st_mode)
    except OSError:
        regular = False
    if not regular:
        os.close(number)
        raise UserError(f"{path} is not a regular file, so it is not read")
    return os.fdopen(number, "rb")


def read(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file. Raises MissingFile, and UserError where it holds more than `most` bytes."""
    with opened(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = (file.read(most + 1) if size <= most else b"") or b""  # None: it has nothing to say just now
        except OSError as error:
            raise UserError(f"{path} cannot be read: {reason(error)}") from None
    if size > most or len(content) > most:
        raise UserError(f"{path} holds {size:,} bytes, and of such a file at most {most:,} are read")
    return content


def read_text(path: Path, most: int) -> str:
    """Return the text of a regular file in UTF-8. Raises MissingFile and UserError as `read` does."""
    try:
        return read(path, most).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None


def write(path: Path, content: str | bytes) -> None:
    """Write a file so that a kill or a full disk leaves the old one or the new one. Raises UserError.

    A text is written in UTF-8; what of a file's name is not text stands there as its escape.
    """
    content = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    _refuse_link(path)
    # A name of a usual length, for the longest names that a disk takes have no room for more.
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}{PART}")
    _clear_parts(path.parent)
    try:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY, 0o666)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written: {reason(error)}") from None


def appending(path: Path) -> BinaryIO:
    """Open a file for adding to its end. Raises UserError where it cannot be, also where the file is a link."""
    _refuse_link(path)
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK | _AT_ONCE | _BINARY, 0o666)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written: {reason(error)}") from None
    return os.fdopen(number, "ab")


def append(path: Path, text: str) -> None:
    """Add a text to the end of a file. Raises UserError as `appending` does, and on a full disk."""
    try:
        with appending(path) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {reason(error)}") from None


def make_folder(path: Path) -> None:
    """Make a folder and those above it. Raises UserError where there can be none."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise UserError(f"the folder {path} cannot be made: {reason(error)}") from None


def check_writable(folder: Path) -> None:
    """Raise UserError where no file can be put into the folder."""
    probe = folder / f".probe.{os.getpid()}-{secrets.token_hex(4)}{PART}"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666))
        probe.unlink()
    except OSError as error:
        raise UserError(f"nothing can be written to {folder}: {reason(error)}") from None
    _clear_parts(folder)  # a process that was killed just here has left its probe


def _clear_parts(folder: Path) -> None:
    """Remove what killed processes left half written in the folder; what a living one writes stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            part = _OUR_PART.fullmatch(entry.name)
            if part and not _is_alive(int(part[1])):
                with suppress(OSError):
                    Path(entry.path).unlink()


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # where asking would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def reason(error: BaseException) -> str:
    """Return why, in one short line, without the path that the sentence around it already names."""
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "it is a link"
    text = getattr(error, "strerror", None) or str(error).split(" '/")[0] or type(error).__name__
    return " ".join(str(text).split())[:120]


def _refuse_link(path: Path) -> None:
    """Raise UserError where another thing than a regular file stands: a link, a device, a pipe, a folder."""
    try:
        kind = path.lstat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISLNK(kind):
        raise UserError(f"{path} is a link, and nothing is written through links; remove it or give another name")
    if not stat.S_ISREG(kind):
        raise UserError(f"{path} is there and is not a regular file, so it is not written to; give another name")

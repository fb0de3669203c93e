"""The parts of somebody's workbook, which is a zip archive of XML: counted and bounded before any is unpacked or read.

Only the parts that the check needs are opened: pictures, charts, styles, macros and links to other files never are.
"""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from classlab import limits
from classlab.errors import UserError
from classlab.plain_text import on_a_line

DIRECTORY_ENTRY = b"PK\x01\x02"  # with which each part's entry in the archive's list of parts begins
# An element with a million attributes takes seconds. The longest text of a cell takes less than this.
LONG_PIECE = re.compile(rb"<[^<]{132000}")
Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


class Part(NamedTuple):
    """A part's name and its XML, in UTF-8."""

    name: str
    content: bytes


PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what the format allows; others unpack without a bound


class Parts:
    """The parts of one workbook by name. What is unpacked and the pieces of XML are counted over all parts together."""

    def __init__(self, file: Path, content: bytes) -> None:
        """Open the archive that a file holds. Raises UserError for one that is not a workbook or has too many parts."""
        self.file = file
        self._bytes = limits.WORKBOOK_BYTES
        self._tags = limits.WORKBOOK_TAGS
        self._equals = limits.WORKBOOK_EQUALS
        # Counted before the list is read, for Python makes an object of every entry.
        if content.count(DIRECTORY_ENTRY) > limits.WORKBOOK_PARTS:
            raise UserError(
                f"{file} holds more than {limits.WORKBOOK_PARTS:,} parts; that is not a workbook of this lesson"
            )
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except Exception:  # a broken archive may fail anywhere inside the reader
            raise self._damaged() from None
        names = self._archive.namelist()
        if len(set(names)) < len(names):
            raise UserError(f"{file} holds two parts of one name, which no spreadsheet writes; it is not read")
        if "[Content_Types].xml" not in names and "mimetype" not in names:
            raise UserError(f"{file} is not an .xlsx workbook")

    def __contains__(self, name: str) -> bool:
        """Say whether there is a part of this name."""
        return name in self._archive.NameToInfo

    def walk(self, part: Part, start: Start, end: End | None = None, text: Text | None = None) -> None:
        """Read a part's XML and call back for each element, without a prefix in its name, and for what stands in it.

        Raises UserError for XML that is broken or declares entities.
        """
        parser = expat.ParserCreate("UTF-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_declarations

        def root(tag: str, attributes: dict[str, str]) -> None:
            # Most programs write no prefix, some write the root's before every name.
            prefix = tag.rpartition(":")[0]
            parser.StartElementHandler = _without(prefix, start) if prefix else start
            parser.EndElementHandler = _without(prefix, end) if prefix and end else end
            parser.StartElementHandler(tag, attributes)

        parser.StartElementHandler = root
        parser.CharacterDataHandler = text
        try:
            parser.Parse(part.content, True)
        except expat.ExpatError as error:
            raise self.unreadable(f"{on_a_line(part.name)[:60]}: {expat.ErrorString(error.code)}") from None

    def unreadable(self, reason: str) -> UserError:
        """Return the refusal of a workbook whose parts make no sense."""
        return UserError(f"{self.file} cannot be read as an .xlsx workbook: {reason}")

    def twice(self, title: str) -> UserError:
        """Return the refusal of a workbook with two sheets of one name."""
        return UserError(f"{self.file} has two sheets named {title[: limits.ECHO]!r}, which no spreadsheet allows")

    def unpack(self, name: str) -> Part:
        """Return a part. Raises UserError where it is missing, damaged or too large, all parts so far taken together.

        What the archive says of its size is not believed.
        """
        try:
            part = self._archive.getinfo(name)
        except KeyError:
            raise self.unreadable(f"there is no {on_a_line(name)[:60]} in it") from None
        if part.compress_type not in PACKED:
            raise UserError(f"{self.file} is packed in a way in which no spreadsheet packs; it is not read")
        try:
            with self._archive.open(part) as stream:
                content = stream.read(self._bytes + 1)
        except Exception:  # a broken part may fail anywhere inside the reader
            raise self._damaged() from None
        self._bytes -= len(content)
        if self._bytes < 0:
            most = limits.WORKBOOK_BYTES
            raise UserError(f"{self.file} unpacks to more than {most:,} bytes; that is not a workbook of this lesson")
        content = _utf8(content)
        self._tags -= content.count(b"<")
        if self._tags < 0:
            most = f"{limits.WORKBOOK_TAGS:,} tags of XML"
            raise UserError(f"{self.file} holds more than {most}; that is not a workbook of this lesson")
        self._equals -= content.count(b"=")  # as many as attributes, or more: formulas have them too
        if self._equals < 0:
            most = f"{limits.WORKBOOK_EQUALS:,} equals signs"
            raise UserError(f"{self.file} holds more than {most}; that is not a workbook of this lesson")
        if LONG_PIECE.search(content):
            raise UserError(f"{self.file} holds a longer piece of XML than any cell can; it is not read")
        return Part(name, content)

    def _damaged(self) -> UserError:
        return UserError(f"{self.file} is not an .xlsx workbook, or is damaged")

    def _refuse_declarations(self, *_: object) -> None:
        raise UserError(f"{self.file} declares entities of its own, which no spreadsheet does; it is not read")


def _without(prefix: str, handler: Callable[..., None]) -> Callable[..., None]:
    """Return a handler of elements that leaves a prefix out of their names."""
    length = len(prefix) + 1
    return lambda tag, *rest: handler(tag[length:] if tag.startswith(f"{prefix}:") else tag, *rest)


def _utf8(content: bytes) -> bytes:
    """Return XML that is written in UTF-16 in UTF-8; all other XML of a workbook is in UTF-8."""
    start = content[:4]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace").encode("utf-8")
    if start in (b"<\0?\0", b"\0<\0?"):
        return content.decode("utf-16-le" if start[0] else "utf-16-be", "replace").encode("utf-8")
    return content

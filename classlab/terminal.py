"""What a terminal, a file or a pipe is given: in its encoding, and nothing that steers it but our own colours."""

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment

from classlab.errors import UserError
from classlab.plain_text import on_a_line, printable

# What the signs that we print become where an encoding has none of them, as cp1252 or ASCII.
SIGNS = {
    "✓": "+", "✗": "x", "•": "*", "→": "->", "−": "-", "…": "...", "·": "*", "×": "x", "±": "+-", "½": "1/2",
    "η": "eta", "∂": "d", "σ": "sigma", "′": "'", "″": '"', "≤": "<=", "≥": ">=", "²": "^2", "³": "^3", "≈": "~",
    "—": "-", "–": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "━": "-", "─": "-", "│": "|", "█": "#",
}  # fmt: skip


PIPED_WIDTH = 10_000  # characters of a line that goes to a file or another program, which wraps none
TABLE_WIDTH = 80  # of what is written there and looks best in a width that people have


class PlainConsole(Console):
    """A console to which no text, wherever it comes from, can send an escape sequence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._width = None  # rich took it from COLUMNS, which is of the terminal and not of a pipe

    @property
    def size(self) -> ConsoleDimensions:  # pyrefly: ignore[bad-override]  (nobody sets it)
        """The terminal's; a table that is piped is not wrapped, for a program reads it line by line."""
        limited = self.is_terminal or self.is_jupyter or self._width is not None
        return super().size if limited else ConsoleDimensions(PIPED_WIDTH, 25)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments with steering characters shown as text; rich's own control segments stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


# In a notebook bars need the package ipywidgets; without it plain lines are better than a warning for each bar. A
# notebook's kernel pretends to be a terminal.
_PLAIN = False if "ipykernel" in sys.modules and find_spec("ipywidgets") is None else None
errors = PlainConsole(stderr=True, highlight=False, force_jupyter=_PLAIN, force_terminal=_PLAIN)
console = PlainConsole(highlight=False)


def text_width(screen: Console) -> int:
    """Return in how many characters a table of ours is laid out: the terminal's, elsewhere COLUMNS or 80."""
    if screen.width != PIPED_WIDTH:
        return screen.width
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) else TABLE_WIDTH


def say(sentence: str) -> None:
    """Tell the reader something on standard error, on one line."""
    print(on_a_line(sentence), file=sys.stderr)


class OutputError(UserError):
    """Standard output takes no more, as on a full disk."""


class _Guarded:
    """Standard output whose failure to take what is written is a sentence and no traceback."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._tried(lambda: self._stream.write(text))

    def writelines(self, lines: Iterable[str]) -> None:
        self._tried(lambda: self._stream.writelines(lines))

    def flush(self) -> None:
        self._tried(self._stream.flush)

    def _tried(self, work: Any) -> Any:
        try:
            return work()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"standard output takes no more: {error.strerror}") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_streams() -> None:
    """Make standard output and standard error take any text: what their encoding lacks is spelled another way."""
    codecs.register_error("classlab", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="classlab")
    sys.stdout = _Guarded(sys.stdout)  # type: ignore[assignment]


def takes(text: str) -> bool:
    """Say whether standard output can hold the text as it is."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that cannot be encoded: a sign of ours in ASCII, any other as its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign, sign.encode("ascii", "backslashreplace").decode()) for sign in lost), error.end

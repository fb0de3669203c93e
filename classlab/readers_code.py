"""A reader's code at work: what it prints, what it warns of, and its errors, in one screen of its own lines."""

import sys
import sysconfig
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

from classlab.errors import UserError
from classlab.terminal import say

# Where code lies that is no reader's: Python's, and classlab's. What is installed lies in folders of known names.
_OTHERS = tuple(
    Path(folder).resolve()
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")),
        Path(__file__).parent,
    )
)
_said: set[str] = set()  # warnings, each of which is said once


@contextmanager
def running() -> Iterator[None]:
    """Run a reader's code: what it prints goes to standard error, what it warns of is said with the reader's line.

    Torch warns with the file and the line of whoever called it, which may be classlab's while a network is looked into.
    """
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.showwarning = _say_warning
        yield


def _say_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    place = f"{filename}:{lineno}"
    if not is_readers(filename):
        place = _nearest(sys._getframe(1))
    sentence = ": ".join(part for part in (place, category.__name__, str(message)) if part)
    if sentence not in _said:
        _said.add(sentence)
        say(sentence)


def _nearest(frame: FrameType | None) -> str:
    """Return the file and the line of the reader's own that is being run, "" where there is none."""
    while frame is not None and not is_readers(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def is_readers(file: str) -> bool:
    """Say whether a file of code is a reader's own: no part of Python, of an installed package, or of classlab."""
    path = Path(file).resolve()
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return path.suffix == ".py" and not installed and not any(folder in path.parents for folder in _OTHERS)


def screen(error: BaseException) -> str | None:
    """Return an error of the reader's own code as Python shows it, without the lines of others that led there.

    The reader's own lines are kept, and the one that raised it, whose ever it is. None: none of these is the reader's.
    """
    while error.__cause__ is not None and not own_lines(error):
        error = error.__cause__
    lines = own_lines(error)
    if not lines and not (isinstance(error, SyntaxError) and is_readers(error.filename or "")):
        return None
    last = traceback.extract_tb(error.__traceback__)[-1:]
    lines += [] if not lines or is_readers(last[0].filename) else last
    listed = traceback.StackSummary.from_list(lines).format()
    head = ["Traceback (most recent call last):\n"]
    return "".join([*head, *listed, *traceback.format_exception_only(error)])


def own_lines(error: BaseException) -> list[traceback.FrameSummary]:
    """Return those lines of an error's traceback that are the reader's own, the outermost first."""
    return [line for line in traceback.extract_tb(error.__traceback__) if is_readers(line.filename)]


@contextmanager
def missing_modules(source: str) -> Iterator[None]:
    """Say in one sentence which module is not installed that a reader's code, `source`, asks for. Raises UserError.

    What ends the program, as a script does that reads its own command line, is said too.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        lines = own_lines(error)
        file = Path(lines[-1].filename).name if lines else source
        raise UserError(
            f"{file} imports {error.name}, and no module of that name is installed here or lies beside the file"
        ) from error
    except SystemExit as error:
        raise UserError(
            f"{source} ends the program while it is imported; put what only a script does behind "
            'if __name__ == "__main__":'
        ) from error

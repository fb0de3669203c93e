"""Text that is safe to show: what would steer a terminal, or is no text at all, stands there as its escape."""

import re

# Control characters but line end and tab, marks that turn the direction of writing, and halves of UTF-16 pairs, which
# is how Python holds the bytes of a file name that are no UTF-8.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_ENDS = re.compile("[\n\t]")


def printable(text: str) -> str:
    """Return the text with steering characters as escapes: an ESC becomes the four characters `\\x1b`."""
    return _STEERING.sub(_escaped, text) if _STEERING.search(text) else text


def on_a_line(text: str) -> str:
    """Return the text as `printable` does, and on one line: a line end in it becomes `\\n`."""
    return _LINE_ENDS.sub(_escaped, printable(text))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode("ascii")

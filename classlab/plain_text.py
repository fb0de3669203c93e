"""Text that is safe to show: what would steer a terminal, or is no text at all, stands there as its escape."""

import re
from typing import Any

# Control characters but line end and tab, marks that turn the direction of writing, halves of UTF-16 pairs, which is
# how Python holds the bytes of a file name that are no UTF-8, and two codes that no XML, so no SVG, may hold.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_LINE_ENDS = re.compile("[\n\t]")
# What a spreadsheet takes for a formula, and what it takes for a number although it begins as a formula does.
_FORMULA = re.compile(r"'*[=+\-@\t\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def printable(text: str) -> str:
    """Return the text with steering characters as escapes: an ESC becomes the four characters `\\x1b`."""
    return _STEERING.sub(_escaped, text) if _STEERING.search(text) else text


def on_a_line(text: str) -> str:
    """Return the text as `printable` does, and on one line: a line end in it becomes `\\n`."""
    return _LINE_ENDS.sub(_escaped, printable(text))


def printable_within(value: Any) -> Any:
    """Return plain data, such as JSON holds, with every text in it as `printable` gives it, keys as well."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_within(key): printable_within(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [printable_within(part) for part in value]
    return value


def spreadsheet_safe(text: str) -> str:
    """Return the text for a cell of a CSV file: printable, and never a formula to a spreadsheet.

    What begins with =, +, -, @, a tab or a line end is led by an apostrophe, unless it is a plain number.
    """
    text = printable(text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_spreadsheet(text: str) -> str:
    """Return what `spreadsheet_safe` was given, its steering characters as escapes."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")

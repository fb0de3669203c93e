"""The two ways a command ends badly, each said in one sentence, and the "did you mean" that goes with them."""

import difflib
from collections.abc import Iterable

from classlab import limits


class UserError(Exception):
    """A mistake in what the reader gave. The message is one sentence: rule, what was given, what is allowed. Exit 2."""

    def __str__(self) -> str:
        """Return the sentence; of a very long one, which repeats what was given, the middle is left out."""
        text = super().__str__()
        if len(text) <= limits.SENTENCE:
            return text
        return f"{text[: limits.SENTENCE // 2]} … {text[-limits.SENTENCE // 2 :]}"


class Refused(Exception):
    """An honest "no": what was asked for is well formed but cannot be or was not met. Exit 1."""


def did_you_mean(text: str, allowed: Iterable[str]) -> str:
    """Return "; did you mean X?" for the closest of `allowed`, or an empty string when nothing is close."""
    if len(text) > limits.ECHO:  # nobody's slip of the pen, and slow to compare
        return ""
    by_lowercase = {name.lower(): name for name in allowed}
    close = difflib.get_close_matches(text.lower(), by_lowercase, n=1, cutoff=0.6)
    return f"; did you mean {by_lowercase[close[0]]}?" if close else ""


def listing(names: Iterable[str], limit: int = 24) -> str:
    """Return the names as "a, b, c", cut after `limit` with the number left out."""
    names = list(names)
    text = ", ".join(names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit} more"

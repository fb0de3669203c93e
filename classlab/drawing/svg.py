"""Words in a drawing: on one line, short enough to be drawn, and nothing in them at which a renderer would end."""

from html import escape

from classlab.plain_text import on_a_line

LONGEST = 160  # characters


def short(text: str, longest: int = LONGEST) -> str:
    """Return the text on one line, its end replaced by … where it is longer."""
    text = on_a_line(text[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def words(text: str, longest: int = LONGEST) -> str:
    """Return the text as it stands inside an SVG element or one of its attributes."""
    return escape(short(text, longest))

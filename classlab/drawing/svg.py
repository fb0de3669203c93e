"""SVG drawings: their frame, and words on one line with nothing in them at which a renderer would end."""

from collections.abc import Sequence
from html import escape

from classlab.drawing.palette import Palette
from classlab.plain_text import on_a_line

LONGEST = 160  # characters
DESCRIPTION = 20_000  # characters of what is read to who cannot see a drawing
FONT = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', Arial, sans-serif"


def short(text: str, longest: int = LONGEST) -> str:
    """Return the text on one line, its end replaced by … where it is longer."""
    text = on_a_line(text[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def words(text: str, longest: int = LONGEST) -> str:
    """Return the text as it stands inside an SVG element or one of its attributes."""
    return escape(short(text, longest))


def drawing(width: float, height: float, description: str, parts: Sequence[str], palette: Palette) -> str:
    """Return a drawing of the parts on the palette's paper; it opens with viewBox, width and height, in this order."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{words(description, DESCRIPTION)}" font-family="{FONT}">'
    )
    paper = f'<rect width="{width:g}" height="{height:g}" fill="{palette.paper}"/>'
    return "\n".join([opening, paper, *parts, "</svg>", ""])


def text(x: float, y: float, line: str, colour: str, size: float, **style: str) -> str:
    """Return a line of words; style: further attributes of the element, as font_weight="600"."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}"{more} fill="{colour}">{words(line)}</text>'

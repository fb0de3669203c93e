"""A document as one HTML file that stands by itself: no network, light and dark, narrow and wide, on paper too."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.drawing import grids, render, tables
from classlab.drawing.blocks import Block, Document, Figure, Figures
from classlab.drawing.html_templates import HERE, file, markup, script_json, template
from classlab.drawing.palette import PAGE
from classlab.json_text import finite
from classlab.plain_text import printable

if TYPE_CHECKING:
    from markupsafe import Markup

STILL_WIDTH = 460  # of a chart before the browser's script has drawn it to measure


def html(document: Document, shell: Path | None = None) -> str:
    """Return the document as one HTML text. The script bundle is in it once, and only if there is a chart.

    shell: a folder whose shell.html takes the place of ours, with style and script of its own: then the text stands
    alone no more.
    """
    has_charts = any(isinstance(block, Figures) for section in document.sections for block in section.blocks)
    embedded = has_charts and shell is None
    text = template(HERE / "page.html", shell).render(
        document=document,
        style=file(HERE / "page.css"),
        script=file(HERE / "page.js"),
        has_charts=embedded,
        bundle=markup(render.script_bundle()) if embedded else "",
        **_drawn_with(_once(), _still if shell is None else _nothing),
    )
    return text.strip() + "\n"


def fragment(blocks: Sequence[Block], prefix: str) -> str:
    """Return blocks as HTML for a part of a page that has our style and draws the charts by a script of its own.

    prefix: of the elements' ids, so that a page can hold several parts.
    """
    once = _once()
    named = _drawn_with(lambda name: once(f"{prefix}-{name}"), _nothing)
    return template(HERE / "fragment.html").render(blocks=blocks, **named).strip() + "\n"


def _drawn_with(once: Callable[[str], str], still: "Callable[[Figure], Markup | str]") -> dict[str, Any]:
    """Return the functions that the templates draw blocks with."""
    return {
        "once": once,
        "kind_of": _kind_of,
        "cell_text": tables.cell_text,
        "css_class": tables.css_class,
        "data_uri": grids.data_uri,
        "still": still,
        "moving": _moving,
        "drawn": lambda drawing: markup(printable(drawing.draw(PAGE))),
    }


def _nothing(figure: Figure) -> str:
    """Stand for the still chart in a page that always has its script."""
    return ""


def _once() -> Callable[[str], str]:
    """Return a function that gives every name once: the second time it is numbered, as the files are."""
    seen = dict[str, int]()

    def once(name: str) -> str:
        seen[name] = seen.get(name, 0) + 1
        return name if seen[name] == 1 else f"{name}-{seen[name]}"

    return once


def _kind_of(block: Block) -> str:
    return type(block).__name__.lower()


def _still(figure: Figure) -> "Markup":
    """The chart as SVG, seen where scripts do not run; its colours are the page's variables."""
    return markup(render.svg(_wide(figure.draw(PAGE), STILL_WIDTH), figure.description))


def _moving(figure: Figure) -> "Markup":
    """The chart's definition as JSON; a point that is not finite is not drawn."""
    chart = _wide(figure.draw(PAGE), "container")
    return script_json(finite(render.specification(chart, figure.description)))


def _wide(chart: Any, width: int | str) -> Any:
    """Give the chart its width; one of several small charts has a width of its own, and the page makes it smaller."""
    return chart.properties(width=width) if hasattr(chart, "layer") or hasattr(chart, "mark") else chart

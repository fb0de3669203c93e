"""A document as one HTML file that stands by itself: no network, light and dark, narrow and wide, on paper too."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.drawing import grids, render, tables
from classlab.drawing.blocks import Block, Document, Figure, Figures
from classlab.drawing.palette import DARK, LIGHT, PAGE, css_variables
from classlab.json_text import finite
from classlab.plain_text import printable

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
STILL_WIDTH = 460  # of a chart before the browser's script has drawn it to measure


def html(document: Document) -> str:
    """Return the document as one HTML text. The script bundle is in it once, and only if there is a chart."""
    has_charts = any(isinstance(block, Figures) for section in document.sections for block in section.blocks)
    text = _template().render(
        document=document,
        once=_once(),
        light=_markup(css_variables(LIGHT)),
        dark=_markup(css_variables(DARK)),
        style=_markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=_markup((HERE / "page.js").read_text(encoding="utf-8")),
        has_charts=has_charts,
        bundle=_markup(render.script_bundle()) if has_charts else "",
    )
    return text.strip() + "\n"


@functools.cache
def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
        finalize=_finalised,
    )
    environment.filters["tied"] = _tied
    helpers: dict[str, Any] = {
        "kind_of": _kind_of,
        "shown": tables.shown,
        "css_class": tables.css_class,
        "data_uri": grids.data_uri,
        "still": _still,
        "moving": _moving,
        "drawn": lambda drawing: _markup(printable(drawing.draw(PAGE))),
    }
    environment.globals.update(helpers)
    return environment.get_template("page.html")


def _finalised(value: Any) -> Any:
    """Return what the template writes: texts without steering characters, before they are escaped; HTML as it is."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _once() -> Callable[[str], str]:
    """Return a function that gives every name once: the second time it is numbered, as the files are."""
    seen = dict[str, int]()

    def once(name: str) -> str:
        seen[name] = seen.get(name, 0) + 1
        return name if seen[name] == 1 else f"{name}-{seen[name]}"

    return once


def _kind_of(block: Block) -> str:
    return type(block).__name__.lower()


def _tied(text: str) -> str:
    """Tie a number to its per cent sign, so that no line breaks between them."""
    return text.replace(" %", "\u00a0%")


def _still(figure: Figure) -> Any:
    """The chart as SVG, seen where scripts do not run; its colours are the page's variables."""
    return _markup(render.svg(_wide(figure.draw(PAGE), STILL_WIDTH), figure.description))


def _moving(figure: Figure) -> Any:
    """The chart's definition as JSON. Escaping every "<" keeps the text from ending its script element."""
    chart = _wide(figure.draw(PAGE), "container")
    whole = finite(render.specification(chart, figure.description))  # a point that is not finite is not drawn
    text = json.dumps(whole, allow_nan=False, separators=(",", ":"))
    return _markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _wide(chart: Any, width: int | str) -> Any:
    """Give the chart its width; one of several small charts has a width of its own, and the page makes it smaller."""
    return chart.properties(width=width) if hasattr(chart, "layer") or hasattr(chart, "mark") else chart


def _markup(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)

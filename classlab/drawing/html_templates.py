"""The one way to make HTML: templates of jinja2, which escape every text that is put into them."""

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.drawing.palette import DARK, LIGHT, css_variables
from classlab.plain_text import printable

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

HERE = Path(__file__).parent


@functools.cache
def template(path: Path, shell: Path | None = None) -> "jinja2.Template":
    """Return the template in a file. It may extend `shell.html`, a page with the colours of both schemes.

    shell: a folder in which shell.html is looked for first.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*([shell] if shell else []), path.parent, HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
        finalize=_finalised,
    )
    environment.filters["tied"] = tied
    colours: dict[str, Any] = {"light": markup(css_variables(LIGHT)), "dark": markup(css_variables(DARK))}
    environment.globals.update(colours)
    return environment.get_template(path.name)


def markup(text: str) -> "Markup":
    """Return HTML that templates write as it is."""
    import markupsafe

    return markupsafe.Markup(text)


def file(path: Path) -> "Markup":
    """Return one of our own styles or scripts."""
    return markup(path.read_text(encoding="utf-8"))


def script_json(data: Any) -> "Markup":
    """Return data as JSON for a script element. Escaping every "<" keeps a text in it from ending the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def tied(text: str) -> str:
    """Tie a number to its per cent sign, so that no line breaks between them."""
    return text.replace(" %", "\u00a0%")


def _finalised(value: Any) -> Any:
    """Return what the template writes: texts without steering characters, before they are escaped; HTML as it is."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value

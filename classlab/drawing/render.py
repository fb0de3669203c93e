"""One chart definition, four ways out: into a page (interactive, offline), SVG, PNG, PDF. No browser is needed."""

import base64
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files
from classlab.errors import UserError, listing
from classlab.plain_text import on_a_line, printable

if TYPE_CHECKING:
    import altair

    Chart = altair.Chart | altair.LayerChart | altair.FacetChart | altair.HConcatChart

FORMATS = (".svg", ".png", ".pdf")
LONGEST = 300  # characters of a text in a chart: one of 100,000 takes minutes to be measured
# The keys under which a chart holds formulas, which are ours and are not cut, and the words read to who cannot see it.
WHOLE = {"expr", "labelExpr", "filter", "test", "calculate", "description"}


def specification(chart: "Chart", description: str = "") -> dict[str, Any]:
    """Return the chart as the Vega-Lite document that a page embeds; `description` is read to who cannot see it."""
    chart = chart.copy(deep=False)
    if description:
        chart.description = description
    return _drawable(chart.to_dict())


def _drawable(value: Any, key: str = "", in_tooltip: bool = False) -> Any:
    """Return a part of a definition with texts that any renderer takes: a control character would end the process."""
    if isinstance(value, str):
        text = on_a_line(value)
        text = text if key in WHOLE or len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        # Vega-Lite writes the titles of a tooltip into a formula, and there a backslash begins an escape.
        return text.replace("\\", "\\\\") if in_tooltip and key == "title" else text
    if isinstance(value, dict):
        return {_drawable(name): _drawable(part, name, in_tooltip or name == "tooltip") for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_drawable(part, key, in_tooltip) for part in value]
    return value


@functools.cache
def script_bundle() -> str:
    """Return the JavaScript that draws charts in a browser (about 0.9 MB, once a document), asking no network."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_version())
    assert "</script" not in bundle.lower(), "the bundle could not stand inside a script element"
    return bundle


def svg(chart: "Chart", description: str = "") -> str:
    """Return the chart as SVG text."""
    import vl_convert

    return vl_convert.vegalite_to_svg(specification(chart, description), vl_version=_version(), allowed_base_urls=[])


def png(chart: "Chart", scale: float = 2.0) -> bytes:
    """Return the chart as a PNG file, `scale` pixels to each of the chart's units."""
    import vl_convert

    return vl_convert.vegalite_to_png(specification(chart), vl_version=_version(), scale=scale, allowed_base_urls=[])


def pdf(chart: "Chart") -> bytes:
    """Return the chart as a one-page PDF file whose text can be selected."""
    import vl_convert

    return vl_convert.vegalite_to_pdf(specification(chart), vl_version=_version(), allowed_base_urls=[])


def notebook_html(chart: "Chart") -> str:
    """Return the chart for a notebook: a drawing that shrinks to its cell, as SVG by itself does not; on white."""
    held = base64.b64encode(svg(chart).encode()).decode()
    return f'<img alt="The chart" style="max-width:100%;background:white" src="data:image/svg+xml;base64,{held}">'


def svg_to_png(text: str, scale: float = 2.0) -> bytes:
    """Return a drawing, SVG text, as a PNG file, `scale` pixels to each of its units."""
    import vl_convert

    return vl_convert.svg_to_png(printable(text), scale=scale)


def svg_to_pdf(text: str) -> bytes:
    """Return a drawing, SVG text, as a one-page PDF file whose text can be selected."""
    import vl_convert

    return vl_convert.svg_to_pdf(printable(text))


def check_name(path: Path) -> None:
    """Raise UserError for a path whose ending names no format that a chart can be written in."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"a chart can be written as {listing(FORMATS)}; got {path.name!r}")


def save(chart: "Chart", path: Path) -> None:
    """Write the chart to `path`, whose ending says how. Raises UserError for an unknown one, and for no room."""
    check_name(path)
    ending = path.suffix.lower()
    drawn = svg(chart).encode() if ending == ".svg" else png(chart) if ending == ".png" else pdf(chart)
    files.write(path, drawn)


def _version() -> str:
    """The Vega-Lite version that Altair writes for, as vl-convert spells it: v6.4.1 -> 6.4."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def shows_itself(chart: Any) -> Any:
    """Return the chart, which from now on shows itself in a notebook as a drawing: Altair's way asks a network."""

    def bundle(include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": notebook_html(chart), "text/plain": f"{type(chart).__name__}; a notebook shows it"}

    # Around Altair's own setting of attributes, which would take it for a part of the chart.
    object.__setattr__(chart, "_repr_mimebundle_", bundle)
    return chart

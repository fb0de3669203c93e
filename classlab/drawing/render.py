"""One chart definition, four ways out: into a page (interactive, offline), SVG, PNG, PDF. No browser is needed."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.errors import UserError, listing

if TYPE_CHECKING:
    import altair

    Chart = altair.Chart | altair.LayerChart | altair.FacetChart | altair.HConcatChart

FORMATS = (".svg", ".png", ".pdf")


def specification(chart: "Chart", description: str = "") -> dict[str, Any]:
    """Return the chart as the Vega-Lite document that a page embeds; `description` is read to who cannot see it."""
    chart = chart.copy(deep=False)
    if description:
        chart.description = description
    return chart.to_dict()


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


def svg_to_png(text: str, scale: float = 2.0) -> bytes:
    """Return a drawing, SVG text, as a PNG file, `scale` pixels to each of its units."""
    import vl_convert

    return vl_convert.svg_to_png(text, scale=scale)


def svg_to_pdf(text: str) -> bytes:
    """Return a drawing, SVG text, as a one-page PDF file whose text can be selected."""
    import vl_convert

    return vl_convert.svg_to_pdf(text)


def save(chart: "Chart", path: Path) -> None:
    """Write the chart to `path`, whose ending says how. Raises UserError for an ending that is not known."""
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"a chart can be written as {listing(FORMATS)}; got {path.name!r}")
    drawn = svg(chart).encode() if ending == ".svg" else png(chart) if ending == ".png" else pdf(chart)
    path.write_bytes(drawn)


def _version() -> str:
    """The Vega-Lite version that Altair writes for, as vl-convert spells it: v6.4.1 -> 6.4."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])

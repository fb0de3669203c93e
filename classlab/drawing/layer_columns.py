"""The layer table as a reader sees it, and as the plain columns that a program reads."""

from typing import TYPE_CHECKING, Any

from classlab.drawing.blocks import Column, Table
from classlab.errors import listing

if TYPE_CHECKING:
    from classlab.network.layer_table import Layer, LayerTable

HEADINGS = ("layer", "kind", "kernel", "output", "parameters", "multiply-adds", "receptive field")
LEGEND = (
    "Kernel: size in pixels, s stride, p padding, d dilation, g groups. Multiply-adds are for one image. Receptive "
    "field: the pixels of the image that one output can depend on, s their stride. all: every output depends on the "
    "whole image. + norm: also on what lies beyond, through a norm over the map."
)


def cells(layer: "Layer") -> tuple[str, ...]:
    """Return one layer in words and figures, a string for each of HEADINGS; nothing where there is nothing to say."""
    parameters = "shared" if layer.shared else count(layer.parameters)
    return (
        layer.name,
        layer.kind,
        window(layer),
        sides(layer.output_shape),
        "" if parameters == "0" else parameters,
        "" if layer.multiply_adds == 0 else count(layer.multiply_adds),
        field(layer.receptive_field, layer.norm_mixes),
    )


def window(layer: "Layer") -> str:
    """Return a window in figures: 3 s1 p2 d2 g4; dilation and groups where there are any."""
    if layer.kernel is None:
        return ""
    text = f"{sides(layer.kernel)} s{sides(layer.stride)} p{sides(layer.padding)}"
    text += f" d{sides(layer.dilation)}" if layer.dilation not in (None, 1) else ""
    return text + (f" g{layer.groups}" if (layer.groups or 1) > 1 else "")


def total(table: "LayerTable") -> tuple[str, ...]:
    """Return the last row of the table, a string for each of HEADINGS."""
    return "total", "", "", "", count(table.parameters), count(table.multiply_adds), ""


def unused(table: "LayerTable") -> list[str]:
    """Say which layers no image meets, and how many of the parameters are theirs."""
    never = [part for part in table.unused if not part.in_training]
    training = [f"{part.name} ({part.kind})" for part in table.unused if part.in_training]
    sentences = []
    if never:
        names = listing((f"{part.name} ({part.kind})" for part in never), 6)
        rest = "; they hold no parameters"
        if held := table.unused_parameters:
            rest = f"; {held:,} of the {table.parameters:,} parameters are theirs, {table.parameters - held:,} are used"
        sentences.append(f"Unused, never run: {names}{rest}.")
    if training:
        sentences.append(f"Run in training only: {listing(training, 6)}.")
    return sentences


def for_readers(table: "LayerTable") -> Table:
    """Return the table for a page or a paper."""
    columns = tuple(
        Column(heading, "code" if heading == "layer" else "text" if heading == "kind" else "figure")
        for heading in HEADINGS
    )
    caption = f"The layers in the order in which an image passes through them. {LEGEND}"
    return Table("layers", caption, columns, tuple(cells(layer) for layer in table.layers), total(table))


def for_programs(table: "LayerTable") -> Table:
    """Return the table with one number to a column; vertical and horizontal are apart where they may differ."""
    headings = (
        *("name", "kind", "output_shape"),
        *(f"{what}_{side}" for what in ("kernel", "stride", "padding") for side in ("height", "width")),
        *("parameters", "multiply_adds", "field_height", "field_width", "field_stride", "field_global"),
        *("dilation_height", "dilation_width", "groups", "norm_mixes"),
    )
    rows = []
    for layer in table.layers:
        sees = layer.receptive_field or {"size": None, "stride": None, "global": None}
        windows = [side for what in (layer.kernel, layer.stride, layer.padding) for side in _two(what)]
        shape = "x".join(str(side) for side in layer.output_shape)
        whole = None if sees["global"] is None else str(sees["global"]).lower()
        work = (layer.parameters, layer.multiply_adds, *_two(sees["size"]), _plain(sees["stride"]), whole)
        more = (*_two(layer.dilation), layer.groups, str(layer.norm_mixes).lower())
        rows.append((layer.name, layer.kind, shape, *windows, *work, *more))
    return Table("layers", "", tuple(Column(heading) for heading in headings), tuple(rows))


def field(value: dict[str, Any] | None, norm_mixes: bool = False) -> str:
    """Return a receptive field in figures: 36 s10 all; 5 s1 + norm where a norm mixes in what lies beyond it."""
    if value is None:
        return "unknown"
    size = "unknown" if value["size"] is None else f"{sides(value['size'])} s{sides(value['stride'])}"
    return f"{size} + norm" if norm_mixes else f"{size} all" if value["global"] else size


def sides(value: Any) -> str:
    """Return a number, or several as 16×26×26."""
    several = value if isinstance(value, list | tuple) else [value]
    return "×".join("?" if side is None else f"{side:g}" if isinstance(side, float) else str(side) for side in several)


def count(value: int | None) -> str:
    """Return a whole number with its thousands apart, or unknown."""
    return "unknown" if value is None else f"{value:,}"


def _two(value: Any) -> tuple[Any, Any]:
    return (value[0], value[1]) if isinstance(value, list | tuple) else (value, value)


def _plain(value: Any) -> Any:
    return "x".join(str(side) for side in value) if isinstance(value, list | tuple) else value

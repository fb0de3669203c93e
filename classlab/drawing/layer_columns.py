"""The layer table as a reader sees it, and as the plain columns that a program reads."""

from typing import TYPE_CHECKING, Any

from classlab.drawing.blocks import Column, Table

if TYPE_CHECKING:
    from classlab.network.layer_table import Layer, LayerTable

HEADINGS = ("layer", "kind", "kernel", "output", "parameters", "multiply-adds", "receptive field")
LEGEND = (
    "Kernel: size in pixels, s stride, p padding. Multiply-adds are for one image. Receptive field: the pixels of the "
    "image that one output can depend on, s their stride; all: every output depends on the whole image."
)


def cells(layer: "Layer") -> tuple[str, ...]:
    """Return one layer in words and figures, a string for each of HEADINGS; nothing where there is nothing to say."""
    kernel = ""
    if layer.kernel is not None:
        kernel = f"{sides(layer.kernel)} s{sides(layer.stride)} p{sides(layer.padding)}"
    parameters = "shared" if layer.shared else count(layer.parameters)
    return (
        layer.name,
        layer.kind,
        kernel,
        sides(layer.output_shape),
        "" if parameters == "0" else parameters,
        "" if layer.multiply_adds == 0 else count(layer.multiply_adds),
        "" if layer.kind == "Parameter" else field(layer.receptive_field),
    )


def total(table: "LayerTable") -> tuple[str, ...]:
    """Return the last row of the table, a string for each of HEADINGS."""
    return "total", "", "", "", count(table.parameters), count(table.multiply_adds), ""


def for_readers(table: "LayerTable") -> Table:
    """Return the table for a page or a paper."""
    columns = tuple(
        Column(heading, "code" if heading == "layer" else "text" if heading == "kind" else "figure")
        for heading in HEADINGS
    )
    caption = f"The layers in the order in which an image meets them. {LEGEND}"
    return Table("layers", caption, columns, tuple(cells(layer) for layer in table.layers), total(table))


def for_programs(table: "LayerTable") -> Table:
    """Return the table with one number to a column; vertical and horizontal are apart where they may differ."""
    headings = (
        *("name", "kind", "output_shape"),
        *(f"{what}_{side}" for what in ("kernel", "stride", "padding") for side in ("height", "width")),
        *("parameters", "multiply_adds", "field_height", "field_width", "field_stride", "field_global"),
    )
    rows = []
    for layer in table.layers:
        sees = layer.receptive_field or {"size": None, "stride": None, "global": None}
        windows = [side for what in (layer.kernel, layer.stride, layer.padding) for side in _two(what)]
        shape = "x".join(str(side) for side in layer.output_shape)
        whole = None if sees["global"] is None else str(sees["global"]).lower()
        work = (layer.parameters, layer.multiply_adds, *_two(sees["size"]), _plain(sees["stride"]), whole)
        rows.append((layer.name, layer.kind, shape, *windows, *work))
    return Table("layers", "", tuple(Column(heading) for heading in headings), tuple(rows))


def field(value: dict[str, Any] | None) -> str:
    """Return a receptive field in figures: 36 s10 all."""
    if value is None:
        return "unknown"
    size = "unknown" if value["size"] is None else f"{sides(value['size'])} s{sides(value['stride'])}"
    return f"{size} all" if value["global"] else size


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

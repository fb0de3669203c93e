"""Receptive fields: what the report wrote by hand beside what is computed, at every layer with a window."""

from typing import TYPE_CHECKING, Any

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.drawing.layer_columns import sides
from classlab.drawing.network_diagram import SHORT
from classlab.report.material import Material
from classlab.report.networks import Network, of_each_network
from classlab.report.spec import Part

if TYPE_CHECKING:
    from classlab.network.layer_table import Layer

COLUMNS = (
    Column("layer", "code"),
    Column("window"),
    Column("size, published", "figure"),
    Column("size, computed", "figure"),
    Column("step", "figure"),
    Column("field, published", "figure"),
    Column("field, computed", "figure"),
)


def blocks(material: Material) -> list[Block]:
    """Return the table of each network, and where the published field goes wrong."""
    return of_each_network(material, lambda network: _fields(material.part, network))


def windows(network: Network) -> list["Layer"]:
    """Return the layers that slide a window over a map: convolutions and pools."""
    return [layer for layer in network.table.layers if layer.kernel is not None]


def _fields(part: Part, network: Network) -> list[Block]:
    layers = windows(network)
    if not layers:
        return [Words(f"No layer of {network.label} slides a window over a map, so each sees the whole image.")]
    sizes = part.sizes if len(part.sizes) == len(layers) + 1 else (None,) * (len(layers) + 1)
    written = {id(layer): part.fields[key] for key, layer in _places(layers).items() if key in part.fields}
    height = network.table.input_shape[1]
    rows: list[tuple[Any, ...]] = [("image", "", sizes[0], height, 1, None, 1)]
    for layer, size in zip(layers, sizes[1:], strict=True):
        field = layer.receptive_field or {"size": None, "stride": None}
        shape = layer.output_shape[1] if layer.output_shape[1] == layer.output_shape[2] else layer.output_shape[1:]
        computed = (sides(shape), sides(field["stride"]))
        window = f"{SHORT.get(layer.kind, layer.kind)} {sides(layer.kernel)}, stride {sides(layer.stride)}"
        rows.append((layer.name, window, size, *computed, written.get(id(layer)), sides(field["size"])))
    cells = tuple(tuple(None if cell is None else str(cell) for cell in row) for row in rows)
    which = "" if network.alone else f"{network.label}. "
    caption = (
        f"{which}Sizes of the maps and receptive fields, in pixels; step: from one place "
        "of a map to the next, in pixels of the image"
    )
    pairs = zip([None, *layers], layers, strict=False)
    judged = [_judged(before, layer, written[id(layer)]) for before, layer in pairs if id(layer) in written]
    same = sum(str(row[2]) == str(row[3]) for row in rows if row[2] is not None)
    given = sum(row[2] is not None for row in rows)
    agree = f"{same} of the {given} sizes that the report states agree with the computed sizes. " if given else ""
    rule = (
        "A layer's receptive field is that of the layer before it plus (window − 1) × that layer's step. Its own "
        "step is that layer's step times its own stride."
    )
    return [Words(agree + rule), Table("receptive-fields", caption, COLUMNS, cells), *map(Words, judged)]


def _places(layers: list["Layer"]) -> dict[str, "Layer"]:
    """Return the layers that a published field may be written of."""
    pool = next((layer for layer in layers if "Pool" in layer.kind), None)
    return {"after_pool": pool} if pool else {}


def _judged(before: "Layer | None", layer: "Layer", written: int) -> str:
    """Say whether the published field is right, how the true one comes about, and what the published one may be."""
    true, name = (layer.receptive_field or {}).get("size"), layer.name
    seen = (before.receptive_field or {}) if before else {"size": 1, "stride": 1}
    if true == written:
        return f"After {name} the report states a receptive field of {written}; the computed one is the same."
    text = f"After {name} the report states a receptive field of {written}; it is {sides(true)}"
    size, step, kernel = seen.get("size"), seen.get("stride"), layer.kernel
    if isinstance(size, int) and isinstance(step, int) and isinstance(kernel, int):
        text += f": {size} + ({kernel} − 1) · {step}"
        if written == size * kernel:
            text += (
                f". {written} is {kernel} · {size}, as if the pool multiplied the field by its own factor. In fact "
                f"the pool multiplies the step, from {step} to {sides((layer.receptive_field or {}).get('stride'))}, "
                "and so what every later window adds"
            )
    return f"{text}."

"""Network: the layer table and its totals."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from classlab.drawing.blocks import Column, Section, Table, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.runs.run import Run

if TYPE_CHECKING:
    from classlab.models.layers import Layer, LayerTable

COLUMNS = (
    Column("layer", "code"),
    Column("kind"),
    Column("kernel", "figure"),
    Column("output", "figure"),
    Column("parameters", "figure"),
    Column("multiply-adds", "figure"),
    Column("receptive field", "figure"),
)


def section(run: Run) -> Section:
    """Return the layer table, or a sentence where the network's code is not at hand."""
    from classlab.models.layers import layer_table

    try:
        channels, height, width = run.environment["input_shape"]
        table = layer_table(run.model(), (channels, height, width))
    except UserError as error:
        return Section("Network", (Words(f"The layers cannot be shown here: {error}."),))
    caption = (
        "The layers in the order in which an image meets them. Kernel: size in pixels, s stride, p padding. "
        "Multiply-adds are for one image. Receptive field: the pixels of the image that one output can depend on, "
        "s their stride; “all” where every output depends on the whole image."
    )
    total = ("together", "", "", "", f"{table.parameters:,}", _count(table.multiply_adds), "")
    layers = Table("layers", caption, COLUMNS, tuple(_row(layer) for layer in table.layers), total)
    return Section("Network", (Words(_sentence(run, table)), layers, Words(_memory(table))))


def _sentence(run: Run, table: "LayerTable") -> str:
    network = "A network given in Python" if "model" in run.environment["given_in_python"] else _family(run)
    text = f"{network}: {words.count(table.parameters, 'parameter')} in {words.count(len(table.layers), 'layer')}."
    kinds = Counter[str]()
    for layer in table.layers:
        kinds[layer.kind] += layer.parameters
    kind, held = kinds.most_common(1)[0] if kinds else ("", 0)
    if held:
        share = words.percent(held / table.parameters, 1)
        text += f" Its {kind} layers hold {share} of them"
        work = sum(layer.multiply_adds or 0 for layer in table.layers if layer.kind == kind)
        text += f" and do {words.percent(work / table.multiply_adds, 1)} of the work." if table.multiply_adds else "."
    frozen = table.parameters - table.trainable_parameters
    return text + (f" {words.count(frozen, 'parameter')} were frozen." if frozen else "")


def _family(run: Run) -> str:
    name = words.spelled(run.experiment.model)
    return name[0].upper() + name[1:]


def _memory(table: "LayerTable") -> str:
    names = {"input": "input", "forward_backward": "forward and backward", "parameters": "parameters"}
    parts = words.listed([f"{name} {table.memory[key]:.2f}" for key, name in names.items()])
    return f"Memory for one image in MiB: {parts}, together {table.memory['total']:.2f}."


def _row(layer: "Layer") -> tuple[Any, ...]:
    kernel = ""
    if layer.kernel is not None:
        kernel = f"{_sides(layer.kernel)} s{_sides(layer.stride)} p{_sides(layer.padding)}"
    parameters = "shared" if layer.repeated and not layer.parameters else f"{layer.parameters:,}"
    return (
        layer.name,
        layer.kind,
        kernel,
        "×".join(str(side) for side in layer.output_shape),
        parameters if parameters != "0" else "",
        _count(layer.multiply_adds) if layer.multiply_adds != 0 else "",
        _field(layer.receptive_field),
    )


def _field(field: dict[str, Any] | None) -> str:
    if field is None:
        return "unknown"
    size = "unknown" if field["size"] is None else f"{_sides(field['size'])} s{_sides(field['stride'])}"
    return f"{size} all" if field["global"] else size


def _sides(value: Any) -> str:
    sides = value if isinstance(value, list | tuple) else [value]
    return "×".join("?" if side is None else f"{side:g}" for side in sides)


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"

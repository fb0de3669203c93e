"""Network: its picture, the layer table and its totals."""

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from classlab.drawing import layer_columns
from classlab.drawing import network_diagram as picture
from classlab.drawing.blocks import Drawing, Section, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.runs.finished import FinishedRun as Run

if TYPE_CHECKING:
    from classlab.network.layer_table import LayerTable


def section(run: Run) -> Section:
    """Return the layer table, or a sentence where the network's code is not at hand."""
    try:
        table = table_of(run)
    except UserError as error:
        return Section("Network", (Words(f"The layers cannot be shown here: {error}."),))
    told = Words(sentence(run, table)), Words(_memory(table))
    return Section("Network", (told[0], drawing(table), layer_columns.for_readers(table), told[1]))


def table_of(run: Run) -> "LayerTable":
    """Return the layers of the run's network. Raises UserError where it cannot be built again."""
    from classlab.network.layer_table import layer_table

    channels, height, width = run.environment["input_shape"]
    return layer_table(run.model(), (channels, height, width))


def drawing(table: "LayerTable", name: str = "") -> Drawing:
    """Return the picture of a network. name: of the network, where there are several."""
    caption = "Each box is a map: its front the size, its depth the channels. Right: what one place of it sees."
    caption = f"{name}. {caption}" if name else caption
    return Drawing("architecture", caption, partial(picture.architecture, table), top=picture.TOP - 6, row=picture.ROW)


def sentence(run: Run, table: "LayerTable") -> str:
    """Say how large the network is, and which layers hold most of it and do most of the work."""
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

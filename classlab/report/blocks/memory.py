"""Memory: what one image and the network take up, as the classic summary reckons it."""

from math import prod
from typing import TYPE_CHECKING

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.report import words
from classlab.report.material import Material
from classlab.report.networks import Network, of_each_network

if TYPE_CHECKING:
    from classlab.network.layer_table import Layer

BYTES = 4  # of a number in float32
COLUMNS = Column("what"), Column("numbers", "count"), Column("MB", "number", 2)


def blocks(material: Material) -> list[Block]:
    """Return the table of each network's memory, and what it adds up."""
    return of_each_network(material, _memory)


def _memory(network: Network) -> list[Block]:
    table, memory = network.table, network.table.memory
    layers = table.layers
    if not layers:
        return []
    outputs, largest = sum(prod(layer.output_shape) for layer in layers), max(layers, key=_numbers)
    numbers = {"input": prod(table.input_shape), "forward_backward": 2 * outputs, "parameters": table.parameters}
    names = {"input": "input", "forward_backward": "forward and backward pass", "parameters": "parameters"}
    rows = tuple((name, numbers[key], memory[key]) for key, name in names.items())
    which = "" if network.alone else f", {network.label}"
    caption = f"Memory for one image{which}, in MB of 2²⁰ bytes, {BYTES} bytes a number"
    share = words.percent(memory["forward_backward"] / memory["total"], 0)
    sentence = (
        f"Every layer's output is counted twice, for the forward and the backward pass: {outputs:,} numbers, of which "
        f"{_numbers(largest):,} are those of {largest.name}. That is {share} of the {memory['total']:.2f} MB; it "
        "grows with the batch, the parameters do not."
    )
    total = ("total", sum(numbers.values()), memory["total"])
    return [Table("memory", caption, COLUMNS, rows, total), Words(sentence)]


def _numbers(layer: "Layer") -> int:
    return prod(layer.output_shape)

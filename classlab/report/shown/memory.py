"""Memory: what one image and the network take up, as the classic summary reckons it."""

from math import prod

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.report import words
from classlab.report.networks import Network, each_network
from classlab.report.of_parts import Runs
from classlab.report.published import Part

BYTES = 4  # of a number in float32


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the table of each network's memory, and what it adds up."""
    return each_network(runs, _of_one)


def _of_one(one: Network, several: bool) -> list[Block]:
    table, memory = one.table, one.table.memory
    outputs = sum(prod(layer.output_shape) for layer in table.layers if layer.kind != "Parameter")
    numbers = {"input": prod(table.input_shape), "forward_backward": 2 * outputs, "parameters": table.parameters}
    names = {"input": "input", "forward_backward": "forward and backward pass", "parameters": "parameters"}
    rows = tuple((name, numbers[key], memory[key]) for key, name in names.items())
    caption = f"Memory for one image{f', {one.label}' if several else ''}, in MB of 2²⁰ bytes, {BYTES} bytes a number"
    largest = max((layer for layer in table.layers if layer.kind != "Parameter"), key=lambda it: prod(it.output_shape))
    share = words.percent(memory["forward_backward"] / memory["total"], 0)
    told = (
        f"Every layer's output is counted twice, forward and backward: {outputs:,} numbers, of which "
        f"{prod(largest.output_shape):,} are those of {largest.name}. That is {share} of the {memory['total']:.2f} MB; "
        "it grows with the batch, the parameters do not."
    )
    columns = Column("what"), Column("numbers", "count"), Column("MB", "number", 2)
    return [Table("memory", caption, columns, rows, ("total", sum(numbers.values()), memory["total"])), Words(told)]

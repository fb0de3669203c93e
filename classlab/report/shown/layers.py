"""Layers: the table of each different network."""

from dataclasses import replace

from classlab.drawing import layer_columns
from classlab.drawing.blocks import Block, Words
from classlab.report.networks import Network, each_network
from classlab.report.of_parts import Runs
from classlab.report.published import Part
from classlab.report.sections import network


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return a sentence on the size of each network, and its layers."""
    return each_network(runs, _of_one)


def _of_one(one: Network, several: bool) -> list[Block]:
    table, told = layer_columns.for_readers(one.table), network.sentence(one.run, one.table)
    if several:
        table = replace(table, caption=f"The layers of {one.label}. {layer_columns.LEGEND}")
        told = f"{one.label}: {told}"
    return [Words(told), table]

"""Layers: the table of each different network."""

from dataclasses import replace

from classlab.drawing import layer_columns
from classlab.drawing.blocks import Block, Words
from classlab.report.material import Material
from classlab.report.networks import Network, of_each_network, size


def blocks(material: Material) -> list[Block]:
    """Return a sentence on the size of each network, and its layers."""
    return of_each_network(material, _layers)


def _layers(network: Network) -> list[Block]:
    table, sentence = layer_columns.for_readers(network.table), size(network)
    if not network.alone:
        table = replace(table, caption=f"The layers of {network.label}. {layer_columns.LEGEND}")
        sentence = f"{network.label}: {sentence}"
    return [Words(sentence), table]

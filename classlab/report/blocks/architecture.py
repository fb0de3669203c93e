"""Architecture: each different network as a picture."""

from functools import partial

from classlab.drawing import network_diagram
from classlab.drawing.blocks import Block, Drawing
from classlab.report.material import Material
from classlab.report.networks import Network, of_each_network

CAPTION = "Each box is a map: its front the size, its depth the channels. Right: the receptive field of one position."


def blocks(material: Material) -> list[Block]:
    """Return the picture of each network."""
    return of_each_network(material, _picture)


def _picture(network: Network) -> list[Block]:
    caption = CAPTION if network.alone else f"{network.label}. {CAPTION}"
    draw = partial(network_diagram.architecture, network.table)
    return [Drawing("architecture", caption, draw, top=network_diagram.TOP - 6, row=network_diagram.ROW)]

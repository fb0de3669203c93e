"""Architecture: each different network as a picture."""

from classlab.drawing.blocks import Block
from classlab.report.networks import Network, each_network
from classlab.report.of_parts import Runs
from classlab.report.published import Part
from classlab.report.sections import network


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the picture of each network."""
    return each_network(runs, _of_one)


def _of_one(one: Network, several: bool) -> list[Block]:
    return [network.drawing(one.table, one.label if several else "")]

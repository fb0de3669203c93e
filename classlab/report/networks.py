"""The different networks among the runs of a part, each once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classlab.drawing import layer_columns
from classlab.drawing.blocks import Block
from classlab.report import words
from classlab.report.of_parts import Runs, drawn, missing, without
from classlab.report.sections import network
from classlab.runs.finished import FinishedRun as Run

if TYPE_CHECKING:
    from classlab.network.layer_table import LayerTable


@dataclass(frozen=True)
class Network:
    """A network with the names of the runs that have it. run: the first of them."""

    names: tuple[str, ...]
    run: Run
    table: "LayerTable"

    @property
    def label(self) -> str:
        """The names in words."""
        return words.listed(self.names)


def each_network(runs: Runs, draw: Callable[[Network, bool], list[Block]]) -> list[Block]:
    """Return what `draw` makes of each different network; it is told whether there are several.

    Names without a run, and networks that cannot be built again, are told in words.
    """
    names: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    found: dict[tuple[tuple[str, ...], ...], tuple[Run, LayerTable]] = {}
    blocks: list[Block] = []

    def look(name: str, run: Run) -> list[Block]:
        table = network.table_of(run)
        key = tuple(layer_columns.cells(layer) for layer in table.layers)
        found.setdefault(key, (run, table))
        names.setdefault(key, []).append(name)
        return []

    for name, of in runs.items():
        blocks += drawn(of[0], lambda run, name=name: look(name, run)) if of else []
    for key, (run, table) in found.items():
        blocks += draw(Network(tuple(names[key]), run, table), len(found) > 1)
    return [*blocks, *missing(without(runs))]

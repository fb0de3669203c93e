"""The networks of runs: the layers of one, and the different ones among several, each once."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classlab.drawing import layer_columns
from classlab.drawing.blocks import Block
from classlab.report import words
from classlab.report.material import Material, excused
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    from classlab.network.layer_table import LayerTable


@dataclass(frozen=True)
class Network:
    """A network with the names of the runs that have it. run: the first of them. alone: whether there is no other."""

    names: tuple[str, ...]
    run: FinishedRun
    table: "LayerTable"
    alone: bool

    @property
    def label(self) -> str:
        """The names in words."""
        return words.listed(self.names)


def of_each_network(material: Material, draw: Callable[[Network], list[Block]]) -> list[Block]:
    """Return what `draw` makes of each different network.

    Networks that cannot be built again, and names without a run, are told in words.
    """
    names: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    found: dict[tuple[tuple[str, ...], ...], tuple[FinishedRun, LayerTable]] = {}
    blocks: list[Block] = []

    def look(name: str, run: FinishedRun) -> list[Block]:
        table = run.layer_table
        key = tuple(layer_columns.cells(layer) for layer in table.layers)
        found.setdefault(key, (run, table))
        names.setdefault(key, []).append(name)
        return []

    for name, runs in material.present.items():
        blocks += excused(lambda run, name=name: look(name, run))(runs[0])
    for key, (run, table) in found.items():
        blocks += draw(Network(tuple(names[key]), run, table, len(found) == 1))
    return [*blocks, *material.missing()]


def size(network: Network) -> str:
    """Say how large a network is, and which layers hold most of it and do most of the work."""
    table, given = network.table, network.run.environment["given_in_python"]
    family = "A network given in Python" if "model" in given else _family(network.run)
    text = f"{family}: {words.count(table.parameters, 'parameter')} in {words.count(len(table.layers), 'layer')}."
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


def _family(run: FinishedRun) -> str:
    return words.capital(words.spelled(run.experiment.model))

"""What the blocks of a part with a lesson share: the network, its learning rates, and its rows."""

from dataclasses import dataclass
from functools import cached_property

from classlab.errors import UserError
from classlab.lesson import quantities
from classlab.lesson.small_network import Epoch, Network, build, descend, settings
from classlab.report.spec import Part

# What the report's own workbook calls some columns, where that differs from ours.
HEADINGS = {"eva7-s4": {"E_tot": "E_TOTAL", **{f"∂E/∂w{number}": f"dw{number}" for number in range(1, 9)}}}
RATE_LABELS = {"eva7-s4": "LR="}


@dataclass(frozen=True)
class Lesson:
    """The lesson of a report, by its name."""

    name: str

    @cached_property
    def network(self) -> Network:
        """The network with its initial weights."""
        return build(self.name)

    @property
    def shape(self) -> quantities.Shape:
        """Its shape."""
        return quantities.shape_of(self.network)

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates, the report's first."""
        return tuple(settings(self.name)["learning_rates"])

    @property
    def epochs(self) -> int:
        """How many rows a sheet has, the first with the initial weights."""
        return int(settings(self.name)["epochs"])

    def rows(self, rate: float) -> list[Epoch]:
        """Return the rows of a learning rate."""
        return descend(self.network, rate, self.epochs)

    def totals(self, rate: float, epochs: int | None = None) -> list[float]:
        """Return the total error of every row."""
        return [row.forward.total for row in descend(self.network, rate, epochs or self.epochs)]

    def heading(self, name: str) -> str:
        """Return what the report calls a quantity of ours."""
        return HEADINGS.get(self.name, {}).get(name, name)

    @property
    def rate_label(self) -> str:
        """How the report labels the learning rate."""
        return RATE_LABELS.get(self.name, "η =")


def lesson_of(part: Part) -> Lesson:
    """Return the lesson of a part. Raises UserError for a part without one."""
    if part.lesson is None:
        raise UserError(f"the part {part.title!r} has no lesson, and a block in it tells of one")
    return Lesson(part.lesson)

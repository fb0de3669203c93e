"""A report that was reproduced: what it published, the runs that were trained for it, and a verdict on each figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from classlab.drawing.cells import Shown
from classlab.report.spec import Part
from classlab.reproduction.published import Published
from classlab.reproduction.verdicts import Judged, judge
from classlab.runs.finished import FinishedRun


@dataclass(frozen=True, eq=False)
class Reproduced:
    """What a report was reproduced from. runs: name -> its runs that have ended, by seed.

    out: the folder of its files. command: what reproduces it. quick: whether the runs are shortened. seeds: how many
    were asked for, None for the report's own number. failures: run and seed -> why it has none.
    """

    report: Published
    runs: Mapping[str, Sequence[FinishedRun]]
    out: Path
    command: str
    quick: bool = False
    seeds: int | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def judged(self) -> list[tuple[Part, list[Judged]]]:
        """Every part with its figures, each judged."""
        return [
            (part, [judge(figure, part, self.runs, self.quick) for value in part.values for figure in value.epochs()])
            for part in self.report.parts
        ]

    @property
    def figures(self) -> list[tuple[Part, Judged]]:
        """Every figure with its part."""
        return [(part, figure) for part, figures in self.judged for figure in figures]

    @property
    def every(self) -> list[FinishedRun]:
        """Every run, in the order of the report."""
        return [run for runs in self.runs.values() for run in runs]

    @property
    def seconds(self) -> float:
        """The training time of all runs, added up."""
        return math.fsum(run.summary["seconds"] for run in self.every)

    @property
    def html(self) -> Path:
        """The page; the paper and the figures as JSON lie beside it under the same name."""
        return self.out / f"{self.report.name}.html"

    @property
    def files(self) -> list[Path]:
        """The page, the paper and the notebook, of those the ones that were written."""
        every = [self.html.with_suffix(ending) for ending in (".html", ".pdf", ".ipynb")]
        return [path for path in every if path.is_file()]

    def show(self, title: str | None = None) -> Shown:
        """Return what the report says in a part, or what holds of all it says, for a notebook's cell to show.

        Raises UserError for a title that no part has.
        """
        from classlab.reproduction import reproduced_document

        return Shown(reproduced_document.blocks(self, title))

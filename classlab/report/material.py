"""What a block of a report is made from, and what many blocks do with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from classlab.drawing.blocks import Block, Heading, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.report.spec import Part
from classlab.runs.finished import FinishedRun
from classlab.study.result import StudyResult

Runs = Mapping[str, Sequence[FinishedRun]]


@dataclass(frozen=True)
class Material:
    """What a block is made from.

    part: the part of the report that it stands in, with the published figures, the lesson or the assignment where there
    are any. runs: name -> its runs by seed; a list may be empty, and a run may have diverged or not learnt: both are
    results, and blocks say so. study: what the runs belong to, in the report of a study.
    """

    part: Part
    runs: Runs = field(default_factory=dict)
    study: StudyResult | None = None

    @property
    def every(self) -> list[FinishedRun]:
        """Every run, in order."""
        return [run for runs in self.runs.values() for run in runs]

    @property
    def present(self) -> Runs:
        """The names that have a run."""
        return {name: runs for name, runs in self.runs.items() if runs}

    def only(self, names: Sequence[str]) -> "Material":
        """Return the same of some of the names."""
        return replace(self, runs={name: self.runs[name] for name in names})

    def lacking(self, sentence: str) -> list[Block]:
        """Say why there is nothing to show; nothing in a part that is left out then."""
        return [] if self.part.optional else [Words(sentence)]

    def missing(self) -> list[Block]:
        """Say of which names there is no run."""
        names = [words.quoted(name) for name, runs in self.runs.items() if not runs]
        if not names:
            return []
        sentence = f"No run of {words.listed(names)} has finished, so there is nothing of it to show here."
        return [Words(sentence)]

    def first_of_each(self, draw: Callable[[FinishedRun], Sequence[Block]]) -> list[Block]:
        """Return what `draw` makes of the first run of every name, under headings where there are several names.

        A name without a run is named in words.
        """
        blocks: list[Block] = []
        for name, runs in self.runs.items():
            if len(self.runs) > 1:
                blocks.append(Heading(name))
            blocks += draw(runs[0]) if runs else self.only([name]).missing()
        return blocks

    def which(self, run: FinishedRun) -> str:
        """Say which of the runs of its name a block is about; nothing where there is but one."""
        runs = next(runs for runs in self.runs.values() if run in runs)
        return f"Of the {len(runs)} runs this is the one with seed {run.seed}." if len(runs) > 1 else ""


def excused(draw: Callable[[FinishedRun], Sequence[Block]]) -> Callable[[FinishedRun], list[Block]]:
    """Return `draw` with a sentence in the place of its blocks where a run's network or images are not at hand."""

    def drawn(run: FinishedRun) -> list[Block]:
        try:
            return list(draw(run))
        except UserError as error:
            return [Words(f"This cannot be shown here: {error}.")]

    return drawn


def ended_badly(runs: Runs) -> str:
    """Say which runs diverged or did not learn; nothing where none did."""
    clauses = []
    for status, verb in (("diverged", "diverged"), ("did_not_learn", "did not learn")):
        for name, seeds in runs.items():
            bad = [run for run in seeds if run.status == status]
            if bad:
                count = "" if len(seeds) == 1 else f" in {len(bad)} of {len(seeds)} runs"
                clauses.append(f"{name} {verb}{count}")
    return f"Of these runs {words.listed(clauses)}. That is a result, and is drawn as one." if clauses else ""

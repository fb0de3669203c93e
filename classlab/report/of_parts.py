"""What the pictures of a reproduced report share: which runs they tell of, and how they name them."""

from collections.abc import Callable, Mapping, Sequence

from classlab.drawing.blocks import Block, Figures, Heading, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.runs.finished import FinishedRun as Run

Runs = Mapping[str, Sequence[Run]]


def each_first(runs: Runs, draw: Callable[[Run], Sequence[Block]]) -> list[Block]:
    """Return what `draw` makes of the first run of every name, under headings where there are several names.

    A name without a run, and a run whose network or images are not at hand, are told in words.
    """
    blocks: list[Block] = []
    for name, of in runs.items():
        if len(runs) > 1:
            blocks.append(Heading(name))
        blocks += drawn(of[0], draw) if of else missing([name])
    return blocks


def drawn(run: Run, draw: Callable[[Run], Sequence[Block]]) -> list[Block]:
    """Return what `draw` makes of a run, or the sentence that says why it cannot."""
    try:
        return list(draw(run))
    except UserError as error:
        return [Words(f"This cannot be shown here: {error}.")]


def missing(names: Sequence[str]) -> list[Block]:
    """Say which runs there is nothing to show of."""
    if not names:
        return []
    told = words.listed([words.quoted(name) for name in names])
    return [Words(f"No run of {told} has come to its end, so there is nothing of it to show here.")]


def without(runs: Runs) -> list[str]:
    """Return the names that have no run."""
    return [name for name, of in runs.items() if not of]


def beside(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks with charts that follow each other side by side, where there is room."""
    joined: list[Block] = []
    for block in blocks:
        before = joined[-1] if joined else None
        if isinstance(block, Figures) and isinstance(before, Figures):
            joined[-1] = Figures((*before.figures, *block.figures))
        else:
            joined.append(block)
    return joined


def which(run: Run, runs: Runs) -> str:
    """Say which of the runs of its name a picture is of; nothing where there is but one."""
    of = next(of for of in runs.values() if run in of)
    return f"Of the {len(of)} runs this is the one with seed {run.seed}." if len(of) > 1 else ""


def ended_badly(runs: Runs) -> str:
    """Say which runs diverged or did not learn; nothing where none did."""
    told = []
    for status, said in (("diverged", "diverged"), ("did_not_learn", "did not learn")):
        for name, of in runs.items():
            bad = [run for run in of if run.status == status]
            if bad:
                count = "" if len(of) == 1 else f" in {len(bad)} of {len(of)} runs"
                told.append(f"{name} {said}{count}")
    return f"Of these runs {words.listed(told)}. That is a result, and is drawn as one." if told else ""

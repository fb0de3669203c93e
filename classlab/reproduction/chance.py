"""How many figures of a report chance alone would miss: each seed in turn compared with the other seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from classlab.report import words
from classlab.report.spec import Part
from classlab.reproduction.measures import is_trained
from classlab.reproduction.verdicts import NOT_JUDGED, Judged, interval_of, measured_of
from classlab.runs.finished import FinishedRun

Figures = Sequence[tuple[Part, Judged]]
SHARE = 0.05  # of figures that lie outside a 95 % interval by chance


@dataclass(frozen=True)
class Chance:
    """How many of a report's figures that training decides lie outside their interval.

    judged, missed: of what was published. by_seed: seed -> how many of its figures lie outside the intervals of the
    other seeds, of how many that could be judged.
    """

    judged: int
    missed: int
    by_seed: Mapping[int, tuple[int, int]]

    @property
    def sentences(self) -> list[str]:
        """Return what this says of the report as a whole."""
        expected = SHARE * self.judged
        opening = (
            f"Of the {words.count(self.judged, 'figure')} that training decides {self.missed} "
            f"{'lies' if self.missed == 1 else 'lie'} outside the interval, where chance alone would put "
            f"{expected:.1f}. The figures of one run are correlated, so chance misses many at once or none."
        )
        if not self.by_seed:
            return [opening]
        counts = [missed for missed, _ in self.by_seed.values()]
        as_many = sum(missed * self.judged >= self.missed * judged for missed, judged in self.by_seed.values())
        held = (
            f"Each seed held in the same way against the other seeds misses {words.listed([str(n) for n in counts])}; "
            f"{as_many} of these {len(counts)} seeds {'misses' if as_many == 1 else 'miss'} as large a share as the "
            "report."
        )
        whole = (
            "So the report as a whole is as near to these runs as they are to each other."
            if as_many
            else "So the report as a whole is further from these runs than any of them is from the others."
        )
        return [opening, f"{held} {whole}"]


def chance(judged: Figures, runs: Mapping[str, Sequence[FinishedRun]]) -> Chance | None:
    """Return how the misses of a report compare with those of its own seeds; None where fewer than two are judged."""
    trained = [
        (part, figure)
        for part, figure in judged
        if figure.word != NOT_JUDGED and figure.value.claim == "value" and is_trained(figure.value.metric)
        and isinstance(figure.value.of, str) and figure.value.of != "lesson"
    ]  # fmt: skip
    if len(trained) < 2:
        return None
    seeds = sorted({run.seed for group in runs.values() for run in group})
    by_seed = {seed: _held_against(seed, trained, runs) for seed in seeds}
    missed = sum(figure.word != "holds" for _, figure in trained)
    return Chance(len(trained), missed, {seed: found for seed, found in by_seed.items() if found[1]})


def _held_against(seed: int, figures: Figures, runs: Mapping[str, Sequence[FinishedRun]]) -> tuple[int, int]:
    """Return how many figures of a seed lie outside the intervals of the other seeds, and of how many."""
    others = {name: [run for run in group if run.seed != seed] for name, group in runs.items()}
    missed = judged = 0
    for part, figure in figures:
        value = figure.value
        whole = measured_of(value, part, runs)
        if seed not in whole.by_seed or not isinstance(value.of, str) or len(others[value.of]) < 2:
            continue
        rest = replace(whole, by_seed={key: number for key, number in whole.by_seed.items() if key != seed})
        interval, _ = interval_of(value, rest, others, few=2)
        if interval is None:
            continue
        judged += 1
        missed += not interval[0] <= whole.by_seed[seed] <= interval[1]
    return missed, judged

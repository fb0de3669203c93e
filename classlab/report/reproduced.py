"""A report made again, as a document: in each part the published figures beside the measured ones, then pictures."""

import json
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import classlab
from classlab import lookup
from classlab.drawing.blocks import (
    Block,
    Code,
    Column,
    Document,
    Number,
    Numbers,
    Section,
    Table,
    Tone,
    Verdict,
    Words,
)
from classlab.drawing.cells import Shown
from classlab.errors import UserError, did_you_mean, listing
from classlab.report import figures, watched, words
from classlab.report.document import byline
from classlab.report.of_parts import beside
from classlab.report.published import Part, Published
from classlab.report.sections import environment
from classlab.report.verdicts import Judged, judge
from classlab.runs.finished import FinishedRun as Run

QUICK = "Shortened: fewer epochs and fewer images than the report had. No figure here is its result."
TOLD = "told, not judged"
CAPTION = "What was published beside what was measured, mean ± standard deviation over n runs"
READING = (
    "A figure holds where what was published lies in the interval: where one more run falls, 95 %. With n = 1 it is "
    "the 95 % Wilson interval of that run, for a difference of two runs Newcombe's: they tell what other images "
    "would change, and not what another seed would. What is exact must be equal as printed, a limit must be kept. A "
    "loss of one run and a time on another machine are told and not judged."
)


@dataclass(frozen=True, eq=False)
class Made:
    """What a report was made from. runs: name -> its runs that have ended, by seed.

    out: the folder of its files. command: what makes it again. quick: whether the runs are shortened. seeds: how many
    were asked for, None for the report's own number. failures: run and seed -> why it has none.
    """

    report: Published
    runs: Mapping[str, Sequence[Run]]
    out: Path
    command: str
    quick: bool = False
    seeds: int | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def judged(self) -> list[tuple[Part, list[Judged]]]:
        """Every part with its figures, each judged."""
        return [
            (part, [judge(one, part, self.runs, self.quick) for value in part.values for one in value.epochs()])
            for part in self.report.parts
        ]

    @property
    def figures(self) -> list[tuple[Part, Judged]]:
        """Every figure with its part."""
        return [(part, one) for part, of in self.judged for one in of]

    @property
    def counted(self) -> Counter[str]:
        """How many figures got which verdict."""
        return Counter(one.word for _, one in self.figures)

    @property
    def every(self) -> list[Run]:
        """Every run, in the order of the report."""
        return [run for of in self.runs.values() for run in of]

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
        if title is None:
            return Shown(_summary(self).blocks)
        parts = {part.title: (part, judged) for part, judged in self.judged}
        if title not in parts:
            hint = did_you_mean(title, [*parts]) or ";"
            raise UserError(f"{self.report.name} has no part {title!r}{hint} it has {listing(parts, len(parts))}")
        return Shown(_part(self, *parts[title]).blocks)


def build(made: Made, author: str | None = None, roll: str | None = None, course: str | None = None) -> Document:
    """Return the document: what holds, the report's parts, its runs, the environment and the command."""
    every = made.every
    sections = [_summary(made), *(_part(made, part, of) for part, of in made.judged), _runs(made)]
    if every:
        sections.append(Section("Environment", (environment.of_all(every),)))
    sections.append(_again(made))
    return Document(
        title=made.report.title,
        subtitle=f"Report {made.report.name}, made again beside what it published",
        sections=tuple(sections),
        byline=byline(every[0] if every else None, author, roll, course),
        footer=f"Written by classlab {classlab.__version__}. Every figure is computed from the files of the runs.",
        mark=QUICK if made.quick else "",
    )


def _summary(made: Made) -> Section:
    counted = made.counted
    asked = counted.total() - counted[TOLD]
    tone: Tone = "good" if asked and counted["holds"] == asked else "plain"
    missed = [(part, one) for part, one in made.figures if one.word not in ("holds", TOLD)]
    blocks: list[Block] = [
        Verdict(tone, held(made), tally(made)),
        Words(made.report.question),
        Numbers(
            (
                Number("Published figures", f"{counted.total():,}", f"{asked:,} judged, {counted[TOLD]:,} told"),
                Number("Hold", f"{counted['holds']:,}"),
                Number("Do not hold", f"{asked - counted['holds']:,}"),
                Number("Runs", f"{len(made.every):,}", _seeds(made)),
                Number("Training time", words.duration(made.seconds), "of all runs, added up"),
            )
        ),
    ]
    if missed:
        blocks.append(_table("does-not-hold", "What does not hold, and by how much", missed, with_part=True))
    blocks += [Words(sentence) for sentence in (*limits(made), *readings(made), READING)]
    return Section("What holds", tuple(blocks))


def _seeds(made: Made) -> str:
    least, most = min(map(len, made.runs.values())), max(map(len, made.runs.values()))
    return f"{words.count(least, 'seed') if least == most else f'{least} to {most} seeds'} of each"


def held(made: Made) -> str:
    """Return how many of the judged figures hold, "38 of 42 judged figures hold"."""
    asked = made.counted.total() - made.counted[TOLD]
    if not asked:
        return "No figure is judged"
    return f"{made.counted['holds']} of {words.count(asked, 'judged figure')} {'holds' if asked == 1 else 'hold'}"


def tally(made: Made) -> str:
    """Return which verdicts the other figures got, in a sentence; nothing where all hold."""
    said = (
        ("above", "lies above what was published", "lie above what was published"),
        ("below", "lies below what was published", "lie below what was published"),
        ("within chance", "misses a limit within chance", "miss a limit within chance"),
        ("does not hold", "is not borne out", "are not borne out"),
        (TOLD, "is told and not judged", "are told and not judged"),
    )
    counted = made.counted
    parts = [f"{counted[word]} {one if counted[word] == 1 else more}" for word, one, more in said if counted[word]]
    return f"{words.listed(parts)}." if parts else ""


def missed(made: Made) -> list[str]:
    """Return a line for each figure that does not hold: what, published, measured, by how much."""
    lines = []
    for part, one in made.figures:
        if one.word not in ("holds", TOLD):
            what, published, measured, _, verdict = figures.cells(one, part)
            lines.append(f"{what}: published {published}, measured {measured}: {verdict}")
    return lines


def readings(made: Made) -> list[str]:
    """Return a sentence for each figure that the report read off the test images and a sound reading beside it."""
    told = []
    for part, of in made.judged:
        sound = {
            (one.value.of, one.value.metric): one
            for one in of
            if one.value.reading == "sound" and one.value.claim == "value" and one.mean is not None
        }
        for one in of:
            last = sound.get((one.value.of, one.value.metric))
            if one.value.epoch == "best" and last and last.mean is not None and one.mean is not None:
                less = words.points(one.mean - last.mean)
                told.append(
                    f"{words.capital(figures.what(one.value, part))}, is {figures.measured(one)}: an epoch chosen by "
                    f"looking at the test images. Read soundly, {_read_at(last)}, it is "
                    f"{figures.measured(last)}, {less} less."
                )
    return told


def _read_at(one: Judged) -> str:
    if one.value.epoch == "selected":
        return "at the epoch that the same runs' protocol selects"
    return "at the last epoch of the same runs"


def limits(made: Made) -> list[str]:
    """Return a sentence for each limit on an accuracy: what was measured, whether it is kept, and by how much."""
    asked = [(figures.what(one.value, part), part, one) for part, one in made.figures if one.value.claim == "at_least"]
    named = Counter(what for what, _, _ in asked)
    told = []
    for what, part, one in asked:
        if one.word != TOLD and one.gap is not None:
            kept = "It is kept" if one.gap >= 0 else "It is not kept"
            chance = ", though one more run may keep it" if one.word == "within chance" else ""
            report = f"; {one.because}" if one.value.missed else ""
            where = f" (part “{part.title}”)" if named[what] > 1 else ""
            of = words.capital(what) + where
            told.append(f"{of}: {figures.measured(one)}. {kept}, by {words.points(one.gap)}{chance}{report}.")
    return told


def _part(made: Made, part: Part, judged: Sequence[Judged]) -> Section:
    """Return a part's figures, what they cannot say in a row, and its pictures."""
    blocks: list[Block] = []
    if judged:
        blocks.append(_table(f"figures-{_slug(part.title)}", CAPTION, [(part, one) for one in judged]))
    apart = [one for one in judged if one.value.claim == "similar" and one.word != TOLD]
    blocks += [Words(f"{words.capital(one.because)}.") for one in apart]
    for picture in part.pictures:
        blocks += shown(picture, part, {name: made.runs[name] for name in part.runs})
    return Section(part.title, tuple(beside(blocks)))


def shown(name: str, part: Part, runs: Mapping[str, Sequence[Run]]) -> list[Block]:
    """Return a picture of a part, by the file in report/shown that its name means."""
    return lookup.find("picture", name)(part, runs)


def _table(name: str, caption: str, judged: Sequence[tuple[Part, Judged]], with_part: bool = False) -> Table:
    told = [figures.cells(one, part) for part, one in judged]
    filled = [place for place in range(len(figures.HEADINGS)) if any(cells[place] for cells in told)]
    columns = tuple(Column(figures.HEADINGS[place]) for place in filled)
    rows: list[tuple[Any, ...]] = [tuple(cells[place] for place in filled) for cells in told]
    if with_part:
        columns = (Column("part"), *columns)
        rows = [(part.title, *row) for (part, _), row in zip(judged, rows, strict=True)]
    return Table(name, caption, columns, tuple(rows))


def _slug(title: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in title.lower()).split())


def _runs(made: Made) -> Section:
    columns = (
        Column("run"),
        Column("seed", "count"),
        Column("epochs", "count"),
        Column("test accuracy", "percent"),
        Column("test loss", "number", 4),
        Column("outcome"),
        Column("time", "figure"),
    )
    rows = tuple(
        (
            name,
            run.seed,
            run.summary["epochs"],
            None if run.status == "diverged" else run.summary["test_accuracy"],
            run.summary["test_loss"],
            run.status.replace("_", " "),
            words.duration(run.summary["seconds"]),
        )
        for name, of in made.runs.items()
        for run in of
    )
    total = (words.count(len(rows), "run"), None, None, None, None, None, words.duration(made.seconds))
    caption = "Every run, in the order of the report; the test figures are those of the selected weights"
    caption += watched.clause(watched.of_runs(made.runs))
    blocks: list[Block] = [Table("runs", caption, columns, rows, total)]
    long = [name for name, of in made.runs.items() if made.seeds and of and _kept_its_seeds(made, name)]
    if long:
        told = words.listed([f"{name} ({words.count(len(made.runs[name]), 'run')})" for name in long])
        blocks.append(Words(f"{made.seeds} seeds were asked for. Runs of over five minutes keep their own: {told}."))
    blocks += [Words(f"{name} could not be trained: {why}.") for name, why in made.failures.items()]
    return Section("Runs", tuple(blocks))


def _kept_its_seeds(made: Made, name: str) -> bool:
    """Whether another number of seeds was asked for than was begun, since the run takes long."""
    failed = sum(one.startswith(f"{name}, seed ") for one in made.failures)
    return len(made.runs[name]) + failed != made.seeds


def _again(made: Made) -> Section:
    """Return the command for the report, and one for each of its runs by itself."""
    same = "On the same machine it gives the same numbers, bit for bit; finished runs are not trained again."
    chosen = "Each run by itself, with the threads and the precision that suit it alone; --seed for another one"
    alone = "\n".join(_command(made, name) for name in made.report.runs)
    return Section("Make it again", (Code(made.command, same), Code(alone, chosen)))


def _command(made: Made, name: str) -> str:
    trained = made.report.runs[name]
    changes = {**trained.set, **(trained.quick if made.quick else {})}
    if trained.encoder and made.runs.get(name):
        changes["model.encoder"] = made.runs[name][0].experiment.model.options["encoder"]
    told = " ".join(f"--set {_setting(key, value)}" for key, value in changes.items())
    return f"classlab run {trained.experiment}{' ' if told else ''}{told} --seed 0"


def _setting(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shlex.quote(f"{key}={text}")

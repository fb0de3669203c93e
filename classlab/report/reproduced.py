"""A report made again, as a document: in each part the published figures beside the measured ones, then pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import classlab
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
from classlab.report import figures, words
from classlab.report.document import byline
from classlab.report.published import Part, Published
from classlab.report.sections import environment
from classlab.report.verdicts import Judged, judge
from classlab.runs.run import Run

QUICK = "Shortened: fewer epochs and fewer images than the report had. No figure here is its result."
READING = (
    "Interval: where one more run falls, 95 %; where n is 1 the 95 % Wilson interval of that run, or for a difference "
    "Newcombe's. A figure holds where what was published lies in it."
)


@dataclass(frozen=True)
class Made:
    """What a report was made from. runs: name -> its runs that have ended, by seed. failures: run -> why it has none.

    command: what makes it again. quick: whether the runs are shortened.
    """

    report: Published
    runs: Mapping[str, Sequence[Run]]
    command: str
    quick: bool = False
    failures: Mapping[str, str] | None = None

    def judged(self) -> list[tuple[Part, list[Judged]]]:
        """Return every part with its figures, each judged."""
        return [
            (part, [judge(one, part, self.runs, self.quick) for value in part.values for one in value.epochs()])
            for part in self.report.parts
        ]


def build(made: Made, author: str | None = None, roll: str | None = None, course: str | None = None) -> Document:
    """Return the document: what holds, the report's parts, its runs, the environment and the command."""
    judged = made.judged()
    every = [run for of in made.runs.values() for run in of]
    sections = [_summary(made, judged), *(_part(made, part, of) for part, of in judged), _runs(made)]
    if every:
        sections.append(Section("Environment", (environment.facts(every[0], of_one_run=False),)))
    sections.append(_again(made))
    return Document(
        title=made.report.title,
        subtitle=f"Report {made.report.name}, made again beside what it published",
        sections=tuple(sections),
        byline=byline(every[0] if every else None, author, roll, course),
        footer=f"Written by classlab {classlab.__version__}. Every figure is computed from the files of the runs.",
        mark=QUICK if made.quick else "",
    )


def _summary(made: Made, judged: Sequence[tuple[Part, Sequence[Judged]]]) -> Section:
    every = [one for _, of in judged for one in of]
    counted = Counter(one.word for one in every)
    told = counted["told, not judged"]
    asked = len(every) - told
    tone: Tone = "good" if asked and counted["holds"] == asked else "plain"
    word = f"{counted['holds']} of {words.count(asked, 'figure')} hold"
    seconds = sum(run.summary.get("seconds", 0.0) for of in made.runs.values() for run in of)
    runs = sum(len(of) for of in made.runs.values())
    missed = [(part, one) for part, of in judged for one in of if one.word not in ("holds", "told, not judged")]
    blocks: list[Block] = [
        Verdict(tone, word, tally(every)),
        Words(made.report.question),
        Numbers(
            (
                Number("Published figures", f"{len(every):,}", f"{asked:,} judged, {told:,} told"),
                Number("Hold", f"{counted['holds']:,}"),
                Number("Do not hold", f"{asked - counted['holds']:,}"),
                Number("Runs", f"{runs:,}", _seeds(made)),
                Number("Training time", words.duration(seconds), "of all runs, added up"),
            )
        ),
    ]
    if missed:
        blocks.append(_table("does-not-hold", "What does not hold, and by how much", missed, with_part=True))
    blocks += [Words(sentence) for sentence in readings(judged)]
    return Section("What holds", tuple(blocks))


def _seeds(made: Made) -> str:
    counts = sorted({len(of) for of in made.runs.values()})
    return f"{words.listed([str(count) for count in counts])} of each"


def tally(judged: Sequence[Judged]) -> str:
    """Return how many figures got which verdict, in a sentence."""
    counted = Counter(one.word for one in judged)
    said = {
        "above": "lies above what was published",
        "below": "lies below it",
        "does not hold": "does not hold",
        "within chance": "misses a limit within chance",
        "told, not judged": "is told and not judged",
    }
    plural = {"lies": "lie", "does": "do", "misses": "miss", "is": "are"}
    parts = []
    for word, one in said.items():
        verb, _, rest = one.partition(" ")
        if counted[word]:
            parts.append(f"{counted[word]} {verb if counted[word] == 1 else plural[verb]} {rest}")
    if not parts:
        return "All figures hold."
    return f"Of the others {words.listed(parts)}."


def readings(judged: Sequence[tuple[Part, Sequence[Judged]]]) -> list[str]:
    """Return a sentence for each figure that the report read off the test images and a sound reading beside it."""
    told = []
    for part, of in judged:
        sound = {
            (one.value.of, one.value.metric): one
            for one in of
            if one.value.reading == "sound" and one.value.claim == "value" and one.mean is not None
        }
        for one in of:
            last = sound.get((one.value.of, one.value.metric))
            if one.value.epoch == "best" and last is not None and one.mean is not None:
                told.append(
                    f"{words.capital(figures.what(one.value, part))}, is {figures.measured(one)}: an epoch chosen by "
                    f"looking at the test images. Read soundly, at the last epoch of the same runs, it is "
                    f"{figures.measured(last)}."
                )
    return told


def _part(made: Made, part: Part, judged: Sequence[Judged]) -> Section:
    """Return a part's figures, what they cannot say in a row, and its pictures."""
    blocks: list[Block] = []
    if judged:
        blocks.append(_table(f"figures-{_slug(part.title)}", READING, [(part, one) for one in judged]))
    blocks += [Words(f"{words.capital(one.because)}.") for one in judged if one.value.claim == "similar"]
    for picture in part.pictures:
        blocks += shown(picture, part, {name: made.runs[name] for name in part.runs})
    return Section(part.title, tuple(blocks))


def shown(name: str, part: Part, runs: Mapping[str, Sequence[Run]]) -> list[Block]:
    """Return a picture of a part, by the file in report/shown that its name means."""
    module = f"classlab.report.shown.{name.replace('-', '_')}"
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (module, "classlab.report.shown"):
            raise
        return []
    return found.blocks(part, runs)


def _table(name: str, caption: str, judged: Sequence[tuple[Part, Judged]], with_part: bool = False) -> Table:
    columns = tuple(Column(heading) for heading in figures.HEADINGS)
    rows: list[tuple[Any, ...]] = [figures.cells(one, part) for part, one in judged]
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
            run.summary["test_accuracy"],
            run.summary["test_loss"],
            run.status.replace("_", " "),
            words.duration(run.summary["seconds"]),
        )
        for name, of in made.runs.items()
        for run in of
    )
    seconds = sum(run.summary["seconds"] for of in made.runs.values() for run in of)
    total = (words.count(len(rows), "run"), None, None, None, None, None, words.duration(seconds))
    caption = "Every run, in the order of the report; the test figures are those of the selected weights"
    blocks: list[Block] = [Table("runs", caption, columns, rows, total)]
    blocks += [Words(f"{name} could not be trained: {why}.") for name, why in (made.failures or {}).items()]
    return Section("Runs", tuple(blocks))


def _again(made: Made) -> Section:
    """Return the command for the report, and one for each of its runs by itself."""
    same = "On the same machine each run gives the same numbers, bit for bit; finished ones are not trained again."
    alone = "\n".join(_command(made, name) for name in made.report.runs)
    return Section(
        "Make it again", (Code(made.command, same), Code(alone, "Each run by itself; --seed for another one"))
    )


def _command(made: Made, name: str) -> str:
    trained = made.report.runs[name]
    changes = {**trained.set, **(trained.quick if made.quick else {})}
    if trained.encoder and made.runs.get(name):
        changes["model.encoder"] = made.runs[name][0].experiment.model.options["encoder"]
    told = " ".join(f"--set {_setting(key, value)}" for key, value in changes.items())
    return f"classlab run {trained.experiment}{' ' if told else ''}{told} --seed 0"


def _setting(key: str, value: Any) -> str:
    import json
    import shlex

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shlex.quote(f"{key}={text}")

"""A reproduced report as a document: in each part the published figures beside the measured ones, then its blocks."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from classlab import own_code
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
from classlab.errors import UserError, did_you_mean, listing
from classlab.report import protocol_notes, words
from classlab.report.blocks.rerun import how_alike
from classlab.report.document import byline, footer
from classlab.report.material import Material
from classlab.report.sections import section
from classlab.report.spec import Part
from classlab.reproduction import figures, findings
from classlab.reproduction.chance import chance
from classlab.reproduction.reproduced import Reproduced
from classlab.reproduction.verdicts import NOT_JUDGED, Judged

QUICK = "Shortened: fewer epochs and fewer images than the report had. No figure here is its result."
CAPTION = "What was published beside what was measured, mean ± standard deviation over n runs"
READING = (
    "A figure that depends on training is judged by a 95 % prediction interval: where one more run would fall. The "
    "figure holds if the published value lies in that interval. The interval's width stands beside it: a wide "
    "interval is weak evidence. With 5 seeds or more, the interval comes from their own spread. With fewer, the "
    "spread is pooled over the epochs and over the other runs of their kind. One seed cannot be judged. An exact "
    "figure must be equal as printed, and a limit must be kept. A time on another machine is not judged."
)
RUN_COLUMNS = (
    Column("run"),
    Column("seed", "count"),
    Column("epochs", "count"),
    Column("test accuracy", "percent"),
    Column("test loss", "number", 4),
    Column("outcome"),
    Column("time", "figure"),
)


def build(
    reproduced: Reproduced, author: str | None = None, roll: str | None = None, course: str | None = None
) -> Document:
    """Return the document: what holds, the report's parts, its runs, the environment and the command."""
    every = reproduced.every
    parts = [_part(reproduced, part, judged) for part, judged in reproduced.judged]
    environment = section(Material(Part(title="Environment", blocks=("environment",)), reproduced.runs))
    sections = [_summary(reproduced), *parts, _runs(reproduced), *([environment] if every else []), _rerun(reproduced)]
    return Document(
        title=reproduced.report.title,
        subtitle=f"Report {reproduced.report.name}, reproduced beside what it published",
        sections=tuple(sections),
        byline=byline(every[0] if every else None, author, roll, course),
        footer=footer("runs"),
        mark=QUICK if reproduced.quick else "",
    )


def blocks(reproduced: Reproduced, title: str | None = None) -> tuple[Block, ...]:
    """Return the blocks of a part, or without a title those that say what holds.

    Raises UserError for a title that no part has.
    """
    if title is None:
        return _summary(reproduced).blocks
    parts = {part.title: (part, judged) for part, judged in reproduced.judged}
    if title not in parts:
        hint = did_you_mean(title, [*parts]) or ";"
        raise UserError(f"{reproduced.report.name} has no part {title!r}{hint} it has {listing(parts, len(parts))}")
    return _part(reproduced, *parts[title]).blocks


def _summary(reproduced: Reproduced) -> Section:
    judged = reproduced.figures
    counts = findings.counted(judged)
    asked = counts.total() - counts[NOT_JUDGED]
    tone: Tone = "good" if asked and counts["holds"] == asked else "plain"
    missed = findings.missed(judged)
    found: list[Block] = [
        Verdict(tone, findings.held(judged), findings.tally(judged)),
        Words(reproduced.report.question),
        Numbers(
            (
                Number("Published figures", f"{counts.total():,}", f"{asked:,} judged, {counts[NOT_JUDGED]:,} not"),
                Number("Hold", f"{counts['holds']:,}"),
                Number("Do not hold", f"{asked - counts['holds']:,}"),
                Number("Runs", f"{len(reproduced.every):,}", _seeds(reproduced)),
                Number("Training time", words.duration(reproduced.seconds), "of all runs, added up"),
            )
        ),
    ]
    if missed:
        found.append(_table("does-not-hold", "What does not hold, and by how much", missed, with_part=True))
    whole = chance(judged, reproduced.runs) if not reproduced.quick else None
    whole_sentences = whole.sentences if whole else []
    sentences = (
        *findings.causes(judged),
        *whole_sentences,
        *findings.limits(judged),
        *findings.readings(judged),
        READING,
    )
    return Section("What holds", (*found, *map(Words, sentences)))


def _seeds(reproduced: Reproduced) -> str:
    counts = [len(runs) for runs in reproduced.runs.values()] or [0]
    least, most = min(counts), max(counts)
    return f"{words.count(least, 'seed') if least == most else f'{least} to {most} seeds'} of each"


def _part(reproduced: Reproduced, part: Part, judged: Sequence[Judged]) -> Section:
    """Return a part's figures, what they cannot say in a row, and its blocks."""
    head: list[Block] = [Words(text) for text in part.text]
    single, curves = figures.curves(judged)
    if single:
        head.append(_table(f"figures-{_slug(part.title)}", CAPTION, [(part, figure) for figure in single]))
    for curve in curves:
        head += _curve(part, curve)
    apart = [figure for figure in judged if figure.value.claim == "similar" and figure.word != NOT_JUDGED]
    head += [Words(f"{words.capital(figure.because)}.") for figure in apart]
    how, rest = _before_results(part)
    with own_code.trusting(reproduced.report.trusted):
        runs = {name: reproduced.runs[name] for name in part.runs}
        trained = section(Material(how, runs)).blocks if how.blocks else ()
        return section(Material(rest, runs), [*trained, *head])


def _before_results(part: Part) -> tuple[Part, Part]:
    """Return a part with those of its blocks that say how networks are trained, and one with the others."""
    before = tuple(name for name in part.blocks if name == "method")
    after = tuple(name for name in part.blocks if name != "method")
    return part.model_copy(update={"blocks": before}), part.model_copy(update={"blocks": after})


def _curve(part: Part, curve: Sequence[Judged]) -> list[Block]:
    """Return a figure at many epochs: a sentence that counts those inside, and a narrow table."""
    first = curve[0]
    what = figures.what(first.value.model_copy(update={"epoch": None}), part)
    rows = tuple(figures.epoch_cells(figure) for figure in curve)
    judged = [figure for figure in curve if figure.word != NOT_JUDGED]
    inside = sum(figure.word == "holds" for figure in judged)
    text = f"{words.capital(what)}: "
    text += f"{inside} of {words.count(len(judged), 'epoch')} inside." if judged else f"not judged, {first.because}."
    caption = f"{words.capital(what)}, published ({figures.SOURCES[first.value.source]}) and measured, n = {first.n}"
    if first.value.times:
        caption += f"; the measured figure is multiplied by {first.value.times[0]}/{first.value.times[1]}"
    columns = (
        Column("epoch", "count"), Column("published", "figure"), Column("measured", "figure"),
        Column("one more run", "figure"), Column("inside"),
    )  # fmt: skip
    name = f"curve-{_slug(part.title)}-{_slug(what)}"
    return [Words(text), Table(name, caption, columns, rows)]


def _table(name: str, caption: str, judged: findings.Figures, with_part: bool = False) -> Table:
    cells = [figures.cells(figure, part) for part, figure in judged]
    filled = [place for place in range(len(figures.HEADINGS)) if any(row[place] for row in cells)]
    columns = tuple(Column(figures.HEADINGS[place]) for place in filled)
    rows: list[tuple[Any, ...]] = [tuple(row[place] for place in filled) for row in cells]
    if with_part:
        columns = (Column("part"), *columns)
        rows = [(part.title, *row) for (part, _), row in zip(judged, rows, strict=True)]
    return Table(name, caption, columns, tuple(rows))


def _slug(title: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in title.lower()).split())


def _runs(reproduced: Reproduced) -> Section:
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
        for name, runs in reproduced.runs.items()
        for run in runs
    )
    total = (words.count(len(rows), "run"), None, None, None, None, None, words.duration(reproduced.seconds))
    caption = "Every run, in the order of the report; the test figures are those of the selected weights"
    caption += protocol_notes.clause(protocol_notes.notes_of_runs(reproduced.runs))
    found: list[Block] = [Table("runs", caption, RUN_COLUMNS, rows, total)]
    long = [name for name, runs in reproduced.runs.items() if runs and _kept_its_seeds(reproduced, name)]
    if long:
        which = words.listed([f"{name} ({words.count(len(reproduced.runs[name]), 'run')})" for name in long])
        sentence = f"{reproduced.seeds} seeds were asked for. Runs of over five minutes keep their own: {which}."
        found.append(Words(sentence))
    found += [Words(f"{name} could not be trained: {why}.") for name, why in reproduced.failures.items()]
    return Section("Runs", tuple(found))


def _kept_its_seeds(reproduced: Reproduced, name: str) -> bool:
    """Whether another number of seeds was asked for than was begun, since the run takes long."""
    failed = sum(run.startswith(f"{name}, seed ") for run in reproduced.failures)
    return reproduced.seeds is not None and len(reproduced.runs[name]) + failed != reproduced.seeds


def _rerun(reproduced: Reproduced) -> Section:
    """Return the command for the report, and one for each of its runs by itself."""
    alike = how_alike([run for runs in reproduced.runs.values() for run in runs])
    same = f"On the same machine it gives {alike}; finished runs are not trained again."
    chosen = "Each run by itself, with the threads and the precision that suit it alone; --seed for another one"
    alone = "\n".join(_command(reproduced, name) for name in reproduced.report.runs)
    return Section("Reproduce it", (Code(reproduced.command, same), Code(alone, chosen)))


def _command(reproduced: Reproduced, name: str) -> str:
    trained = reproduced.report.runs[name]
    changes = {**trained.set, **(trained.quick if reproduced.quick else {})}
    start = reproduced.runs[name][0].experiment.training.start_from if reproduced.runs.get(name) else None
    if start is not None:
        changes["training.start_from.run"] = start.run
    options = [word for key, value in changes.items() for word in ("--set", _setting(key, value))]
    return shlex.join(["classlab", "run", trained.experiment, *options, "--seed", "0"])


def _setting(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{key}={text}"

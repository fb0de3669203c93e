"""`classlab study`: train every run of a study, and say what they answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classlab.cli.options import Device, Jobs, Json, Ui
from classlab.cli.output import console, print_json
from classlab.formats import duration, listed, megabytes

if TYPE_CHECKING:
    from classlab.statistics import Estimate
    from classlab.study.answer import Answer
    from classlab.study.dry import DryRun
    from classlab.study.result import StudyResult
    from classlab.study.weighing import Weighing


def study(
    name: Annotated[
        str, typer.Argument(metavar="NAME-OR-FILE", help="a shipped study, or a YAML file; code that it names is run")
    ],
    seeds: Annotated[
        int | None, typer.Option(help="how many seeds, counted from 0, instead of the study's own")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="change a setting of every variant, or of the study; repeatable"
        ),
    ] = None,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option(help="the folder that holds the study folders")] = Path("studies"),
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="continue an interrupted study; failed runs are tried again")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what would be trained, where, and what it would take")
    ] = False,
    ui: Ui = False,
    json: Json = False,
) -> None:
    """Train every variant with every seed, and answer the study's question.

    Finished runs are never trained again: give more seeds or values, and only what is new is trained.

    Example: classlab study cifar-learning-rate --seeds 3 --set training.epochs=5

    Exit 0: done. 1: a variant's contract cannot be met, or a run failed. 2: bad input.
    """
    from classlab.study.conduct import study as train
    from classlab.study.conduct import to_json
    from classlab.study.dry import dry_run as expect
    from classlab.ui.serving import beside

    if dry_run:
        expected = expect(name, seeds=seeds, set=set_ or [], out=out, jobs=jobs, device=device)
        print_json(expected.to_json()) if json else _say_expected(expected)
        return
    with beside(out, ui):
        done = train(name, seeds=seeds, set=set_ or [], out=out, jobs=jobs, resume=resume, device=device)
    print_json(to_json(done)) if json else _say(done)
    if any(row["status"] == "failed" for rows in done.compared.values() for row in rows):
        raise typer.Exit(1)


def _say(done: "StudyResult") -> None:
    from rich.markup import escape

    from classlab.study.results import differences

    question = f": {escape(done.study.question)}" if done.study.question else ""
    console.print(f"[bold]{done.study.name}[/bold]{question}")
    console.print()
    if done.weighing:
        _say_weighing(done.weighing)
    if done.found:
        for sentence in done.found.sentences(done.search_verdict):
            _say_point("•", sentence)
        console.print()
    for step in done.steps:
        _say_point("•", step.sentence())
    console.print() if done.steps else None
    say_answer(done.answer, done.watched, differences(done.rows))
    for row in done.rows:
        if row["status"] == "failed":
            console.print(f"[red]✗[/red] {escape(row['variant'])}, seed {row['seed']}: {escape(row['sentence'])}")
    folder, table = escape(str(done.path)), escape(str(done.path / "results.csv"))
    console.print(f"[dim]study:   {folder}\nresults: {table}[/dim]", soft_wrap=True)


def say_answer(answer: "Answer", watched: str | None, differences: Sequence[str] = ()) -> None:
    """Print the table of variants and a sentence for each test.

    watched: the split that was evaluated every epoch, whose best and last epoch the table then shows. differences: what
    summaries say otherwise than the other files of their runs, see study.results.
    """
    from rich.markup import escape
    from rich.table import Table

    from classlab import metrics

    scale, metric = answer.scale, metrics.short(answer.metric)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("variant", overflow="fold", min_width=12)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column(f"{metric}{scale.unit and f',{scale.unit}'}", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    if watched:
        table.add_column(f"best {watched}", justify="right", no_wrap=True)
        table.add_column(f"last {watched}", justify="right", no_wrap=True)
    for variant in answer.variants:
        cells = [
            escape(variant.name),
            f"{variant.n}" if variant.n == variant.runs else f"{variant.n} of {variant.runs}",
        ]
        cells += [_mean(answer, variant.estimate), _interval(answer, variant.estimate)]
        cells += [_bare(answer, variant.best), _bare(answer, variant.last)] if watched else []
        table.add_row(*cells, style="bold" if variant.name == answer.baseline and len(answer.variants) > 1 else None)
    console.print(table)
    if watched:
        console.print(
            f"[dim]best, last: the mean over seeds of the best and the last epoch on the {watched} split[/dim]"
        )
    console.print()
    wrong = [f"{variant.name}: {variant.note}" for variant in answer.variants if variant.note]
    for mark, sentences in (
        ("!", wrong),
        ("•", answer.background),
        ("•", [*answer.tested(), *filter(None, [answer.best])]),
        ("!", answer.notes),
        ("!", differences),
    ):
        for sentence in sentences:
            _say_point(mark, sentence)


def _say_weighing(weighing: "Weighing") -> None:
    """Print what arithmetic decides of a published curve, how each variant stands to it, and what that says."""
    from rich.markup import escape
    from rich.table import Table

    for sentence in weighing.decided():
        _say_point("•", sentence)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("variant", overflow="fold", min_width=12)
    for heading in ("inside", "misfit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("published curve", overflow="fold")
    for row in weighing.ranked():
        inside = "" if row["inside"] is None else f"{row['inside']} of {row['figures']}"
        misfit = "" if row["misfit"] is None else f"{row['misfit']:,.2f}"
        style = "bold" if row["name"] == weighing.best else None
        table.add_row(escape(row["name"]), inside, misfit, weighing.verdict(row["name"]), style=style)
    console.print(table)
    console.print(
        "[dim]inside: published figures in the interval of one more run; misfit: how badly the variant fits all of "
        "them, smaller is better[/dim]"
    )
    console.print()
    for sentence in weighing.answer():
        _say_point("•", sentence)
    for sentence in weighing.notes:
        _say_point("!", sentence)
    console.print()


def _say_point(mark: str, sentence: str) -> None:
    """Print a sentence behind its mark: • for an answer, ! for what must be known beside it."""
    from rich.markup import escape
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_row(f"[yellow]{mark}[/yellow]" if mark == "!" else mark, escape(sentence))
    console.print(grid)


def _mean(answer: "Answer", estimate: "Estimate | None") -> str:
    if estimate is None:
        return "no value"
    scale = answer.scale
    mean = scale.value(estimate.mean).removesuffix(scale.unit)
    return mean if estimate.sd is None else f"{mean} ± {scale.gaps(estimate.sd)[0]}"


def _interval(answer: "Answer", estimate: "Estimate | None") -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    low, high = (answer.scale.value(end).removesuffix(answer.scale.unit) for end in (estimate.low, estimate.high))
    return f"{low} to {high}"


def _bare(answer: "Answer", estimate: "Estimate | None") -> str:
    if estimate is None:
        return ""
    return answer.scale.value(estimate.mean).removesuffix(answer.scale.unit)


def _say_expected(expected: "DryRun") -> None:
    from rich.markup import escape
    from rich.table import Table

    question = f": {escape(expected.question)}" if expected.question else ""
    console.print(f"[bold]{expected.study}[/bold]{question}")
    for sentence in expected.decided:
        _say_point("•", sentence)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("variant", overflow="fold", min_width=12)
    for heading in ("runs", "parameters", "steps a run", "trained", "time a run"):
        table.add_column(heading, justify="left" if heading == "trained" else "right", no_wrap=True)
    for variant in expected.variants:
        runs = f"{variant.done}/{len(variant.seeds)}" if variant.done else f"{len(variant.seeds) or ''}"
        table.add_row(
            escape(variant.variant),
            runs,
            f"{variant.parameters:,}",
            f"{variant.steps:,}",
            ", ".join(variant.places),
            duration(variant.seconds),
        )
    console.print(table)
    known = sorted({variant.known_from for variant in expected.variants})
    left = expected.runs - expected.done
    done = f"{expected.done} of {expected.runs} runs are finished; " if expected.done else ""
    processes = (
        f", {expected.jobs} processes at a time"
        if any("processes" in variant.places for variant in expected.variants)
        else ""
    )
    work = f"about {duration(expected.seconds)} of training, by {listed(known)}"
    disk = f"{megabytes(expected.disk)} in {escape(expected.folder)}"
    console.print(f"{done}{left} runs to train{processes}: {work}; {disk}")
    steps = [variant.step for variant in expected.variants if variant.step]
    for step in dict.fromkeys(steps):
        which = (
            "" if len(set(steps)) == 1 else f" of {listed([v.variant for v in expected.variants if v.step == step])}"
        )
        console.print(f"step{escape(which)}: {escape(step)}", soft_wrap=True)

"""`classlab run`: train an experiment, and judge it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from classlab.cli import BEGAN
from classlab.cli.options import Device, ExperimentName, Json, Set, Ui
from classlab.cli.output import console, print_json
from classlab.formats import count, duration, interval, loss, percent

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun

Out = Annotated[Path, typer.Option(help="the folder that holds the run folders")]


def run(
    name: ExperimentName,
    seed: Annotated[int, typer.Option(help="decides initial weights, shuffles and augmentation")] = 0,
    set_: Set = None,
    out: Out = Path("runs"),
    device: Device = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue an interrupted run")] = False,
    again: Annotated[bool, typer.Option("--again", help="make a new run although there is one")] = False,
    report: Annotated[bool, typer.Option("--report", help="also write the report")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="also write the report as HTML and PDF")] = False,
    ui: Ui = False,
    json: Json = False,
) -> None:
    """Train an experiment and judge its contract: the limits on accuracy, parameters and epochs that its file states.

    Where --set shortens an experiment, a limit on the accuracy is reported but not judged: it was set for the full
    experiment.

    Example: classlab run mnist-20k --seed 1 --set training.epochs=3

    Exit 0: done. 1: the contract is not kept, or cannot be. 2: bad input.
    """
    from classlab.contract import of_changed
    from classlab.experiment import load
    from classlab.readers_code import running

    changes = set_ or []
    experiment = load(name, changes, trust=True)
    if not any(change.strip().startswith("contract") for change in changes):
        experiment = of_changed(load(name, trust=True), experiment)
    from classlab.lab import train  # after what may be refused: it takes a second
    from classlab.runs.preparation import ContractRefused
    from classlab.ui.serving import beside

    try:
        with running(), beside(out, ui):
            done = train(experiment, seed=seed, out=out, device=device, resume=resume, again=again)
    except ContractRefused as refused:
        if json:
            print_json(refused.summary)
        raise
    written = done.report(pdf=pdf) if report or pdf else None
    waited = round(time.monotonic() - BEGAN, 1)
    if json:
        print_json({**done.summary, "report": str(written) if written else None, "waited_seconds": waited})
    else:
        _say(done, written, waited, pdf)
    if not done.summary["contract"]["passed"]:
        raise typer.Exit(1)


# What may help a run that came to nothing.
HINTS = {
    "did_not_learn": "more epochs or another learning rate may help",
    "diverged": "a smaller learning rate may help",
}


def _say(run: "FinishedRun", report: Path | None, waited: float, pdf: bool = False) -> None:
    summary = run.summary
    contract = summary["contract"]
    if contract["checks"] or contract.get("not_judged"):
        console.print("[dim]the contract, which is the limits that the experiment states:[/dim]")
    for check in contract["checks"]:
        mark = "[green]✓[/green]" if check["passed"] else "[red]✗[/red]"
        console.print(f" {mark} {escape(check['sentence'])}", soft_wrap=True)
    for rule in contract.get("open", []):
        console.print(f" [yellow]?[/yellow] {escape(rule)}: one run cannot say; see classlab check", soft_wrap=True)
    for sentence in contract.get("not_judged", []):
        console.print(f" [yellow]–[/yellow] {escape(sentence)}", soft_wrap=True)
    if summary["status"] in HINTS:
        console.print(f"{escape(summary['status_sentence'])}; {HINTS[summary['status']]}", soft_wrap=True)
    console.print(f"{verdict_line(summary)} of training, {duration(waited)} in all", soft_wrap=True)
    console.print(f"[dim]run:    [/dim] {escape(str(run.path))}", soft_wrap=True)
    if report:
        for file in [report, *([report.with_suffix(".pdf")] if pdf else [])]:
            console.print(f"[dim]report: [/dim] {escape(str(file))}", soft_wrap=True)


def verdict_line(summary: Mapping[str, Any]) -> str:
    """Return the run in one line: verdict, parameters, epochs, test accuracy with its interval or test loss, time."""
    word, colour = _verdict(summary)
    return (
        f"[bold {colour}]{word}[/bold {colour}]: {escape(summary['experiment'])}, seed {summary['seed']}: "
        f"{summary['parameters']:,} parameters, {count(summary['epochs'], 'epoch')}, "
        f"{_measured(summary)}, {duration(summary['seconds'])}"
    )


def _verdict(summary: Mapping[str, Any]) -> tuple[str, str]:
    contract = summary["contract"]
    if summary["status"] != "finished":
        return summary["status"].upper().replace("_", " "), "yellow"
    if contract["passed"] and contract.get("open"):
        return "CONTRACT KEPT SO FAR", "yellow"
    if not contract["checks"]:
        return "DONE", "green"
    if contract["passed"]:
        return ("CONTRACT KEPT SO FAR", "yellow") if contract.get("not_judged") else ("CONTRACT KEPT", "green")
    return "CONTRACT NOT KEPT", "red"


def _measured(summary: Mapping[str, Any]) -> str:
    """Return what the test came to: the accuracy, or the loss of a network that reconstructs."""
    if summary["test_accuracy"] is None:
        return f"test loss {loss(summary['test_loss'])}"
    low, high = summary["test_interval"]
    return f"test accuracy {percent(summary['test_accuracy'])} (95 % interval {interval(low, high)})"

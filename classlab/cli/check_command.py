"""`classlab check`: hold runs against a contract, measuring again what their folders say of themselves."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classlab.cli.options import Json, RunFolders, Trust
from classlab.cli.output import console, print_json
from classlab.errors import UserError

if TYPE_CHECKING:
    from classlab.contract import Check
    from classlab.course.check import Checked, Together
    from classlab.experiment import Contract


def check(
    runs: RunFolders,
    contract: Annotated[
        str, typer.Option(metavar="FILE", help="a shipped contract (under-20k), or a file; code that it names is run")
    ],
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Check runs against a contract, rule by rule.

    The weights are evaluated again; summary.json and the other files of results are not trusted. Where the contract
    asks several seeds, give their runs together, or the folder that holds them.

    Example: classlab check runs/mnist-20k/s0-1a2b3c4d --contract under-20k

    Exit 0: every rule is kept. 1: one is not. 2: bad input.
    """
    from classlab.course.check import check_together, find_runs
    from classlab.experiment import load_contract

    read = load_contract(contract, trust=True)
    folders = [folder for path in runs for folder in find_runs(path)]
    folders = list({folder.resolve(): folder for folder in folders}.values())
    checked = [_checked(folder, read, trust, alone=len(folders) == 1) for folder in folders]
    together = check_together(read, checked)
    passed = all(part.passed for part in [*checked, *together])
    if json:
        print_json(
            {
                "contract": contract,
                "passed": passed,
                "runs": [run.to_json() for run in checked],
                "together": [group.to_json() for group in together],
            }
        )
    else:
        _say_all(checked, together)
        console.print(_verdict(contract, checked, passed), soft_wrap=True)
    if not passed:
        raise typer.Exit(1)


def _checked(folder: Path, contract: "Contract", trust: bool, alone: bool) -> "Checked":
    """Check one run; among many, one that cannot be opened is told and does not stop the others."""
    from classlab.course.check import check as measure
    from classlab.course.check import unreadable

    try:
        return measure(folder, contract, trust)
    except UserError as error:
        if alone:
            raise
        return unreadable(folder, error)


def _say_all(checked: "list[Checked]", together: "list[Together]") -> None:
    from rich.markup import escape

    for run in checked:
        console.print(f"[bold]{escape(run.run)}[/bold], seed {run.seed}", soft_wrap=True)
        _say(run.checks)
        for note in run.notes:
            console.print(f" [yellow]![/yellow] {escape(note)}", soft_wrap=True)
    for group in together:
        console.print(f"[bold]{escape(group.experiment)}[/bold], {len(group.runs)} runs together", soft_wrap=True)
        _say(group.checks)


def _say(checks: "list[Check]") -> None:
    from rich.markup import escape

    for check in checks:
        mark = "[green]✓[/green]" if check.passed else "[red]✗[/red]"
        console.print(f" {mark} {escape(check.sentence)}{_margin(check)}", soft_wrap=True)


def _margin(check: "Check") -> str:
    if check.margin is None or not check.rule.startswith(("max_", "min_")):
        return ""
    unit = {"min": " points", "max": ""}[check.rule[:3]]
    unit = " s" if check.rule == "max_seconds" else unit
    figure = f"{check.margin:+,.2f}" if isinstance(check.margin, float) else f"{check.margin:+,}"
    return f" [dim](margin {figure.replace('-', '−')}{unit})[/dim]"


def _verdict(contract: str, checked: "list[Checked]", passed: bool) -> str:
    from rich.markup import escape

    word, colour = ("CONTRACT KEPT", "green") if passed else ("CONTRACT NOT KEPT", "red")
    runs = "by the run"
    if len(checked) > 1:
        failing = sum(not run.passed for run in checked)
        runs = f"by {len(checked) - failing} of {len(checked)} runs"
        runs += f"; {failing} {'fails' if failing == 1 else 'fail'}" if failing else ""
    return f"[bold {colour}]{word}[/bold {colour}]: {escape(contract)}, {runs}, measured again"

"""`classlab run` and `classlab runs`: train an experiment, list what was trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from classlab.cli.options import Device, ExperimentName, Json, Set, Ui
from classlab.cli.output import console, print_json
from classlab.formats import count, duration, interval, loss, percent

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun

Out = Annotated[Path, typer.Option(help="the folder that run folders live in")]


def run(
    name: ExperimentName,
    seed: Annotated[int, typer.Option(help="decides initial weights, shuffles and augmentation")] = 0,
    set_: Set = None,
    out: Out = Path("runs"),
    device: Device = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a run that was cut off")] = False,
    again: Annotated[bool, typer.Option("--again", help="make a new run although there is one")] = False,
    report: Annotated[bool, typer.Option("--report", help="also write the report")] = False,
    ui: Ui = False,
    json: Json = False,
) -> None:
    """Train an experiment and judge its contract.

    Example: classlab run mnist-20k --seed 1 --set training.epochs=3

    Exit 0: done. 1: the contract is not kept, or cannot be. 2: bad input.
    """
    from classlab.experiment import load
    from classlab.lab import train
    from classlab.runs.preparation import ContractRefused
    from classlab.ui.serving import beside

    experiment = load(name, set_ or [], trust=True)
    try:
        with beside(out, ui):
            done = train(experiment, seed=seed, out=out, device=device, resume=resume, again=again)
    except ContractRefused as refused:
        if json:
            print_json(refused.summary)
        raise
    written = done.report() if report else None
    if json:
        print_json({**done.summary, "report": str(written) if written else None})
    else:
        _say(done, written)
    if not done.summary["contract"]["passed"]:
        raise typer.Exit(1)


def _say(run: "FinishedRun", report: Path | None) -> None:
    summary = run.summary
    for check in summary["contract"]["checks"]:
        mark = "[green]✓[/green]" if check["passed"] else "[red]✗[/red]"
        console.print(f" {mark} {escape(check['sentence'])}", soft_wrap=True)
    for rule in summary["contract"].get("open", []):
        console.print(f" [yellow]?[/yellow] {escape(rule)}: one run cannot say; see classlab check", soft_wrap=True)
    console.print(verdict_line(summary), soft_wrap=True)
    console.print(f"[dim]run:    [/dim] {escape(str(run.path))}", soft_wrap=True)
    if report:
        console.print(f"[dim]report: [/dim] {escape(str(report))}", soft_wrap=True)


def verdict_line(summary: Mapping[str, Any]) -> str:
    """Return the run in one line: verdict, parameters, epochs, test accuracy with its interval or test loss, time."""
    if summary["status"] != "finished":
        word, colour = summary["status"].upper().replace("_", " "), "yellow"
    elif summary["contract"]["passed"] and summary["contract"].get("open"):
        word, colour = "CONTRACT KEPT SO FAR", "yellow"
    elif not summary["contract"]["checks"]:
        word, colour = "DONE", "green"
    else:
        word, colour = ("CONTRACT KEPT", "green") if summary["contract"]["passed"] else ("CONTRACT NOT KEPT", "red")
    return (
        f"[bold {colour}]{word}[/bold {colour}]: {escape(summary['experiment'])}, seed {summary['seed']}: "
        f"{summary['parameters']:,} parameters, {count(summary['epochs'], 'epoch')}, "
        f"{_measured(summary)}, {duration(summary['seconds'])}"
    )


def _measured(summary: Mapping[str, Any]) -> str:
    """Return what the test came to: the accuracy, or the loss of a network that reconstructs."""
    if summary["test_accuracy"] is None:
        return f"test loss {loss(summary['test_loss'])}"
    low, high = summary["test_interval"]
    return f"test accuracy {percent(summary['test_accuracy'])} (95 % interval {interval(low, high)})"


def runs(
    out: Annotated[Path, typer.Argument(help="the folder that run folders live in")] = Path("runs"), json: Json = False
) -> None:
    """List the runs in a folder.

    Accuracies are those at the selected epoch; a network that reconstructs has a test loss instead.

    Example: classlab runs --json
    """
    from classlab.errors import UserError
    from classlab.runs.store import runs_in

    if not out.is_dir() and out != Path("runs"):
        raise UserError(f"there is no folder {out}")
    rows = [_row(path) for path in runs_in(out)]
    if json:
        print_json(rows)
    elif not rows:
        console.print(f"no runs in {out} yet; try: classlab run digits-quick", markup=False)
    else:
        _table(rows)


def _row(path: Path) -> Mapping[str, Any]:
    from classlab.errors import UserError
    from classlab.runs.finished import FinishedRun

    try:
        return FinishedRun(path).summary
    except UserError as error:
        return {
            "run": str(path),
            "experiment": path.parent.name,
            "seed": None,
            "epochs": 0,
            "status": f"broken: {error}",
        }


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("test", "val", "epochs", "parameters", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("contract", no_wrap=True)
    table.add_column("run", overflow="fold")
    for row in rows:
        contract = row.get("contract") or {"checks": [], "passed": None}
        verdict = ("kept" if contract["passed"] else "not kept") if contract["checks"] else "none"
        if contract["passed"] and contract.get("open"):
            verdict = "kept so far"
        table.add_row(
            _test(row),
            _accuracy(row.get("val_accuracy")),
            str(row["epochs"]),
            f"{row['parameters']:,}" if "parameters" in row else "",
            duration(row["seconds"]) if "seconds" in row else "",
            verdict if row["status"] == "finished" else row["status"].partition(":")[0].replace("_", " "),
            escape("/".join(Path(row["run"]).parts[-2:])),
        )
    console.print(table)
    for row in rows:
        if row["status"].startswith("broken: "):
            console.print(f"[yellow]![/yellow] {escape(row['status'])}", soft_wrap=True)


def _test(row: Mapping[str, Any]) -> str:
    if row.get("test_accuracy") is None and "test_loss" in row:
        return f"loss {loss(row['test_loss'])}"
    return _accuracy(row.get("test_accuracy"))


def _accuracy(fraction: float | None) -> str:
    return "" if fraction is None else percent(fraction)

"""`classlab runs`: what was trained, with the settings in which runs of an experiment differ."""

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from classlab.cli.options import Json
from classlab.cli.output import console, print_json
from classlab.errors import UserError
from classlab.formats import duration, loss, percent

WIDE = 110  # characters of a terminal that has room for every column
# Columns that a narrow terminal has no room for; --json and a pipe have them all.
LEFT_OUT = {"val", "parameters", "time"}
NARROW = 72  # characters of a terminal in which the date would break the names of the runs


class By(StrEnum):
    """What runs are sorted by."""

    path = "path"
    date = "date"
    test = "test"
    val = "val"
    epochs = "epochs"
    parameters = "parameters"
    time = "time"


KEYS = {
    By.path: "run", By.date: "date", By.test: "test_accuracy", By.val: "val_accuracy", By.epochs: "epochs",
    By.parameters: "parameters", By.time: "seconds",
}  # fmt: skip


def runs(
    out: Annotated[Path, typer.Argument(help="a folder that holds run folders, at any depth")] = Path("runs"),
    sort: Annotated[By, typer.Option(help="accuracies and dates: the best and the latest first")] = By.path,
    where: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="TEXT", help="only runs whose folder, status or settings hold it; repeatable"),
    ] = None,
    latest: Annotated[int | None, typer.Option(min=1, metavar="N", help="only the last N, the latest first")] = None,
    json: Json = False,
) -> None:
    """List the runs in a folder: accuracy, date, and the settings in which the runs of an experiment differ.

    Accuracies are those at the selected epoch; a network that reconstructs has a test loss instead. Commands that take
    a run also take how its name begins (s0-1a2b, digits-quick), where no other begins so, and `latest`.

    Example: classlab runs --json

    Example: classlab runs --filter training.epochs=3 --sort test
    """
    from classlab.runs.store import runs_in

    if not out.is_dir() and out != Path("runs"):
        raise UserError(f"there is no folder {out}")
    paths = runs_in(out)
    settings = {path: _settings(path) for path in paths}
    rows = [
        row for row in map(_row, paths) if all(_holds(row, settings[Path(row["run"])], text) for text in where or [])
    ]
    differing = _differing([row["run"] for row in rows], settings)
    rows = [{**row, "settings": differing[row["run"]]} for row in rows]
    rows = _sorted(rows, By.date if latest and sort is By.path else sort)[:latest]
    if json:
        print_json(rows)
    elif not rows:
        hint = "no run there holds that" if paths else f"no runs in {out} yet; try: classlab run digits-quick"
        console.print(hint, markup=False)
    else:
        _table(rows)


def _row(path: Path) -> dict[str, Any]:
    from classlab.runs import store
    from classlab.runs.finished import FinishedRun

    when = datetime.fromtimestamp(store.date(path)).isoformat(" ", "seconds")
    try:
        return {**FinishedRun(path).summary, "run": str(path), "date": when}
    except UserError as error:
        broken = {"experiment": path.parent.name, "seed": None, "epochs": 0, "status": f"broken: {error}"}
        return {"run": str(path), "date": when, **broken}


def _settings(path: Path) -> dict[str, Any]:
    """Return what a run's experiment states, by dotted key. It is read and not resolved, as it may name code."""
    from classlab import files, limits
    from classlab.runs import store

    try:
        return _settings_in(files.read_text(path / store.EXPERIMENT, limits.YAML_BYTES))
    except UserError:
        return {}


@functools.cache  # the seeds of an experiment have the same text
def _settings_in(text: str) -> dict[str, Any]:
    from classlab.experiment import stated
    from classlab.yaml_text import parse_yaml

    try:
        document = parse_yaml(text, "")
        return _flat(stated(document)) if isinstance(document, dict) else {}
    except (UserError, AttributeError, TypeError):
        return {}


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        found: dict[str, Any] = {}
        for name, part in value.items():
            found |= _flat(part, f"{key}.{name}".removeprefix("."))
        return found
    return {key.removesuffix(".name"): value}


def _differing(paths: Sequence[str], settings: Mapping[Path, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each run the settings in which the runs of its experiment differ; the default's is left out."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(str(settings[Path(path)].get("name", "")), []).append(path)
    found: dict[str, dict[str, Any]] = {}
    for group in groups.values():
        held = [settings[Path(path)] for path in group]
        keys = [
            key
            for key in dict.fromkeys(key for stated in held for key in stated)
            if len({str(stated.get(key)) for stated in held}) > 1
        ]
        for path in group:
            found[path] = {key: settings[Path(path)][key] for key in keys if key in settings[Path(path)]}
    return found


def _holds(row: Mapping[str, Any], settings: Mapping[str, Any], text: str) -> bool:
    """Say whether a run's folder or status holds a text, or one of its settings: as KEY=VALUE whole, or in part."""
    key, equals, value = text.partition("=")
    stated = [f"{name}={part}" for name, part in settings.items()]
    if equals:
        return any((name == key or name.endswith(f".{key}")) and str(part) == value for name, part in
                   [*settings.items(), ("status", row["status"]), ("seed", row["seed"])])  # fmt: skip
    return any(text.lower() in part.lower() for part in [row["run"], row["status"], *stated])


def _sorted(rows: list[dict[str, Any]], by: By) -> list[dict[str, Any]]:
    """Return the rows in order; what has no such figure comes last."""
    key = KEYS[by]
    known = [row for row in rows if row.get(key) is not None]
    descending = by in (By.date, By.test, By.val)
    return [
        *sorted(known, key=lambda row: row[key], reverse=descending),
        *(row for row in rows if row.get(key) is None),
    ]


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    columns = {name: [_cells(row)[name] for row in rows] for name in _cells(rows[0])}
    if not any(columns["settings"]):
        del columns["settings"]
    if console.width < WIDE:
        columns = {name: cells for name, cells in columns.items() if name not in LEFT_OUT}
    if console.width < NARROW:
        del columns["date"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        text = name in ("contract", "date", "settings", "run")
        table.add_column(
            name, justify="left" if text else "right", no_wrap=name not in ("settings", "run"), overflow="fold"
        )
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, cells))
    console.print(table)
    for row in rows:
        if row["status"].startswith("broken: "):
            console.print(f"[yellow]![/yellow] {escape(row['status'])}", soft_wrap=True)


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    from classlab.study.sweep import short_keys

    names = short_keys(list(row["settings"]))
    return {
        "test": _test(row),
        "val": _accuracy(row.get("val_accuracy")),
        "epochs": "" if row.get("imported") else str(row["epochs"]),
        "parameters": f"{row['parameters']:,}" if "parameters" in row else "",
        "time": duration(row["seconds"]) if "seconds" in row and not row.get("imported") else "",
        "contract": _verdict(row),
        "date": row["date"][:16],
        "settings": ", ".join(f"{names[key]} {value}" for key, value in row["settings"].items()),
        "run": "/".join(Path(row["run"]).parts[-2:]),
    }


def _verdict(row: Mapping[str, Any]) -> str:
    if row["status"] != "finished":
        return row["status"].partition(":")[0].replace("_", " ")
    if row.get("imported"):
        return "imported"
    contract = row.get("contract") or {"checks": [], "passed": None}
    if contract["passed"] and (contract.get("open") or contract.get("not_judged")):
        return "kept so far"
    return ("kept" if contract["passed"] else "not kept") if contract["checks"] else "none"


def _test(row: Mapping[str, Any]) -> str:
    if row.get("test_accuracy") is None and "test_loss" in row:
        return f"loss {loss(row['test_loss'])}"
    return _accuracy(row.get("test_accuracy"))


def _accuracy(fraction: float | None) -> str:
    return "" if fraction is None else percent(fraction)

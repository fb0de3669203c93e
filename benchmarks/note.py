"""Write down what was measured: tables on the screen and in Markdown, both made of one document, which is kept too."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.measure import OURS, median, peak_share, ratios, step_ratios

FOLDER = Path("docs/benchmarks")
NAMES = {OURS: "classlab", "reports": "reports' way", "plain": "plain", "lightning": "Lightning", "skorch": "skorch"}
Rows = list[list[str]]
Document = dict[str, Any]


def speed(document: Document) -> tuple[list[str], Rows]:
    """Return headings and rows: images a second, and how many times as fast as each other way."""
    headings = ["workload", "images/s", "× reports' way", "solid/aim", "× plain", "× Lightn.", "× skorch"]
    rows = []
    for entry in document["workloads"]:
        goal = entry["target"]
        mark = "" if goal["against"] == "reports" else f" {goal['against']}"
        rates = entry["images_per_second"]
        rows.append(
            [
                entry["name"],
                f"{median(rates[OURS]):,.0f}" if OURS in rates else "",
                spread(ratios(entry, "reports")),
                f"{goal['solid']:g}/{goal['aim']:g}{mark}",
                (spread if goal["against"] == "plain" else _ratio)(ratios(entry, "plain")),
                _ratio(ratios(entry, "lightning")),
                _ratio(ratios(entry, "skorch")),
            ]
        )
    return headings, rows


def steps(document: Document) -> tuple[list[str], Rows]:
    """Return headings and rows: the step by itself, native and torch's, on one and the same batch."""
    headings = ["workload", "native, images/s", "torch's step", "times as fast", "solid/aim", "GFLOP/s", "of peak"]
    rows = []
    for entry in document["workloads"]:
        goal, alone = entry.get("native_target"), entry["ceilings"]
        if not goal or not alone.get("step"):
            continue
        if not step_ratios(entry):
            rows.append(
                [entry["name"], "", f"{median(alone['step']):,.0f}", "not native", f"{goal[0]:g}/{goal[1]:g}", "", ""]
            )
            continue
        work, share = peak_share(entry, median(alone["step"]))
        rates = [f"{median(alone[kind]):,.0f}" for kind in ("step", "torch_step")]
        aims = f"{goal[0]:g}/{goal[1]:g}"
        rows.append([entry["name"], *rates, spread(step_ratios(entry)), aims, f"{work:,.1f}", f"{100 * share:.1f} %"])
    return headings, rows


def starts(document: Document) -> tuple[list[str], Rows]:
    """Return headings and rows: the seconds until a way's first step was done, compiling included."""
    headings = ["workload", *NAMES.values(), "how classlab trained"]
    rows = []
    for entry in document["workloads"]:
        seconds = entry["start_up_seconds"]
        rows.append([entry["name"], *(f"{seconds[k]:.2f}" if k in seconds else "" for k in NAMES), how(entry)])
    return headings, rows


def ceilings(document: Document) -> tuple[list[str], Rows]:
    """Return headings and rows: what bounds a workload: its loader alone, its step alone, the machine's arithmetic."""
    headings = ["workload", "images/s", "loader alone", "step alone", "reports' loader alone", "GFLOP/s", "of peak"]
    rows = []
    for entry in document["workloads"]:
        if OURS not in entry["images_per_second"]:
            continue
        alone = entry["ceilings"]
        work, share = peak_share(entry)
        rates = [f"{median(alone[k]):,.0f}" if k in alone else "" for k in ("loader", "step", "reports_loader")]
        whole = f"{median(entry['images_per_second'][OURS]):,.0f}"
        rows.append([entry["name"], whole, *rates, f"{work:,.1f}", f"{100 * share:.1f} %"])
    return headings, rows


def commands(document: Document) -> tuple[list[str], Rows]:
    """Return headings and rows: the seconds of a command, from nothing to its end."""
    rows = [
        [name, f"{median(seconds):.2f}", f"{min(seconds):.2f}–{max(seconds):.2f}"]
        for name, seconds in document["commands"].items()
    ]
    return ["command", "seconds", "range"], rows


TABLES: dict[str, tuple[str, Callable[[Document], tuple[list[str], Rows]]]] = {
    "Speed": (
        "Images a second, median; how many times as fast as each other way, median (least–greatest).",
        speed,
    ),
    "The native step": (
        "The step alone, on one batch; how many times as fast as torch's, median (least–greatest).",
        steps,
    ),
    "Start": ("Seconds until the first step was done, compiling included; the datasets are in memory.", starts),
    "Ceilings": ("What bounds it: the loader alone and the step alone; peak: of a matrix product.", ceilings),
    "Commands": ("Solid: import classlab and classlab --help in 0.5 s; the aim is 0.2 s.", commands),
}


def show(document: Document, console: Console) -> None:
    """Print the tables."""
    for name, (about, make) in TABLES.items():
        headings, rows = make(document)
        if not rows:
            continue
        console.print(f"[bold]{name}.[/bold] {about}")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, heading in enumerate(headings):
            words = place == 0 or heading.startswith("how")
            table.add_column(heading, justify="left" if words else "right", no_wrap=not heading.startswith("how"))
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print("\n".join(remarks(document)), markup=False, highlight=False)


def remarks(document: Document) -> list[str]:
    """Return what a reader must know to judge the figures."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [
        f"{machine['processor']}, {document['environment']['cores']} cores, device {machine['device']}; "
        f"matrix product fp32 {machine['fp32_gflops']:,.0f}, bf16 {machine['bf16_gflops']:,.0f} GFLOP/s; "
        f"copy {machine['copy_gb_per_second']:.0f} GB/s.",
        f"{versions}.",
        f"Rounds: {document['pairs']}, with {document['seconds']:g} s a turn, all ways by turns; "
        f"{document['minutes']:.0f} min in all. {_load(document['load'], document['environment']['cores'])}",
    ]
    if document["pairs"] < 5:
        lines.append("Fewer than 5 rounds: a trial, not a measurement.")
    return lines


def markdown(document: Document) -> str:
    """Return the dated note."""
    parts = [f"# Benchmarks of {document['date']}", "\n".join(remarks(document)), f"    {document['command']}"]
    for name, (about, make) in TABLES.items():
        headings, rows = make(document)
        if rows:
            parts += [f"## {name}", about, table(headings, rows)]
    parts.append("What the ways are and how they are timed: [benchmarks](../benchmarks.md).")
    return "\n\n".join(parts) + "\n"


def table(headings: list[str], rows: Rows) -> str:
    """Return a Markdown table; figures stand to the right."""
    lines = [headings, ["---", *("---:" for _ in headings[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(document: Document, folder: Path = FOLDER) -> Path:
    """Write the note and the document beside it; return the note. A later one of the same day takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{document['date']}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    note = folder / f"{document['date']}.md"
    note.write_text(markdown(document), encoding="utf-8")
    return note


def spread(values: list[float]) -> str:
    """Return median, least and greatest of ratios in order of size."""
    if not values:
        return ""
    return f"{_figure(median(values))} ({_figure(values[0])}–{_figure(values[-1])})"


def _ratio(values: list[float]) -> str:
    return _figure(median(values)) if values else ""


def _figure(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def how(entry: Document) -> str:
    """Return how classlab trained, in words."""
    settings = entry["settings"]
    words = [settings["precision"], f"{settings['threads']} thread{'s' if settings['threads'] > 1 else ''}"]
    words += ["native"] if settings["native"] else []
    words += ["channels_last"] if settings["channels_last"] else []
    words += [f"{entry['variants']} runs: {entry['place']}"] if entry["variants"] > 1 else []
    return ", ".join(words)


def _load(load: list[float] | None, cores: int) -> str:
    if load is None:
        return "How busy the machine was is not known."
    if load[0] > 0.5:
        return f"The machine was busy: {load[0]:.1f} processes wanted its {cores} cores before the benchmark began."
    return "The machine was quiet."

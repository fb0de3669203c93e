"""The page measured: from an epoch's end to the pixel, what its server takes, how 500 runs are listed, how it grows.

    python -m benchmarks.lab_page                 # everything, some quarter of an hour
    python -m benchmarks.lab_page latency listing # a part
    python -m benchmarks.lab_page growth --minutes 10

Needs Chromium and the extra `dev`. The epoch's end is the moment at which the training process has renamed metrics.csv;
the pixel is the first frame after the row stands in the page, as requestAnimationFrame tells it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

PORT = 8791
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EXPERIMENT = "digits-quick"
# In the page: when each row was drawn, in milliseconds since 1970.
DRAWN = """
window.drawn = {};
new MutationObserver(() => {
  const rows = document.querySelectorAll("#epochs tbody tr").length;
  if (rows && !(rows in window.drawn)) requestAnimationFrame(() => { window.drawn[rows] = Date.now(); });
}).observe(document.querySelector("#epochs tbody"), {childList: true});
"""


@contextmanager
def page(folders: list[Path], port: int = PORT) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve the page from a process of its own; yields its address and the process."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-P",
        "-m",
        "classlab.cli.main",
        "ui",
        *map(str, folders),
        "--port",
        str(port),
        "--no-browser",
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        line = server.stdout.readline()
        assert "the page is at " in line, line
        yield line.split("the page is at ")[1].strip(), server
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def train(out: Path, seed: int, epochs: int) -> subprocess.Popen[bytes]:
    """Train in a process of its own."""
    changes = ["--set", f"training.epochs={epochs}", "--set", "contract={}"]
    command = [
        sys.executable,
        "-P",
        "-m",
        "classlab.cli.main",
        "run",
        EXPERIMENT,
        "--seed",
        str(seed),
        "--out",
        str(out),
    ]
    return subprocess.Popen([*command, *changes], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def ends_of_epochs(log: Path, metrics: Path, seen: dict[int, float]) -> None:
    """Note when metrics.csv last got a row: its time is that of the write before the rename."""
    try:
        lines = metrics.read_bytes().count(b"\n") - 1
        seen.setdefault(lines, metrics.stat().st_mtime)
    except OSError:
        pass


def latency(home: Path, epochs: int = 200) -> dict[str, Any]:
    """From the end of an epoch of digits-quick to its row in the page, over some epochs."""
    out = home / "latency"
    with page([out.parent]) as (address, _), chromium() as browser:
        tab = browser.new_page()
        tab.goto(address)
        trained = train(out, 0, epochs)
        while not (found := [*out.glob("*/*/environment.json")]):
            time.sleep(0.05)
        folder = found[0].parent
        from classlab.ui.listing import key_of

        while tab.goto(f"{address.split('?')[0]}run/{key_of(folder)}").status != 200:
            time.sleep(0.2)
        tab.evaluate(DRAWN)
        ended: dict[int, float] = {}
        while trained.poll() is None:
            ends_of_epochs(folder, folder / "metrics.csv", ended)
            time.sleep(0.005)
        tab.wait_for_timeout(3000)
        drawn = {int(row): at / 1000 for row, at in tab.evaluate("window.drawn").items()}
    # A drawing that shows several rows at once is the pixel of each of them.
    delays = sorted(
        min(at for row, at in drawn.items() if row >= epoch) - when
        for epoch, when in ended.items()
        if epoch >= 1 and any(row >= epoch for row in drawn) and min(drawn) <= epoch
    )
    return {"epochs": len(delays), "median_seconds": median(delays), "worst_seconds": delays[-1]}


def study_latency(home: Path) -> dict[str, Any]:
    """The same for a study of 8 runs on two cores, on the study's page: from a run's end to its cell of the board."""
    declared = {
        "name": "eight", "experiment": EXPERIMENT, "seeds": 4, "set": {"contract": {}, "training.epochs": 40},
        "sweep": {"grid": {"training.optimizer.learning_rate": [0.1, 0.03]}},
    }  # fmt: skip
    file = home / "eight.yaml"
    file.write_text(json.dumps(declared))
    out = home / "studies"
    command = [sys.executable, "-P", "-m", "classlab.cli.main", "study", str(file), "--out", str(out), "--jobs", "2"]
    with page([out]) as (address, _), chromium() as browser:
        tab = browser.new_page()
        tab.goto(address)
        trained = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        from classlab.ui.listing import key_of

        while not (out / "eight" / "plan.json").exists():
            time.sleep(0.1)
        key = key_of((out / "eight").resolve())
        while tab.goto(f"{address.split('?')[0]}study/{key}").status != 200:
            time.sleep(0.2)
        tab.evaluate("""window.cells = {}; new MutationObserver(() => requestAnimationFrame(() => {
            for (const link of document.querySelectorAll('#board td a'))
              if (link.textContent.includes('%') && !(link.href in window.cells)) window.cells[link.href] = Date.now();
        })).observe(document.querySelector('#board'), {childList: true, subtree: true});""")
        trained.wait()
        tab.wait_for_timeout(3000)
        cells = tab.evaluate("window.cells")
    delays = []
    for summary in (out / "eight").rglob("summary.json"):
        at = next((at for href, at in cells.items() if href.endswith(key_of(summary.parent.resolve()))), None)
        if at is not None:
            delays.append(at / 1000 - summary.stat().st_mtime)
    delays.sort()
    return {"runs": len(delays), "median_seconds": median(delays), "worst_seconds": delays[-1]}


def cpu_seconds(process: int) -> float:
    """Return what a process, without its children, has taken of a core."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(process: int) -> float:
    """Return the most memory that a process, without its children, has had."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


def load(home: Path, seconds: float = 40) -> dict[str, Any]:
    """What the server takes of a core while three pages follow a run that trains."""
    out = home / "load"
    with page([out]) as (address, server), chromium() as browser:
        tabs = [browser.new_context().new_page() for _ in range(3)]
        trained = train(out, 1, 100_000)
        try:
            while not (found := [*out.glob("*/*/environment.json")]):
                time.sleep(0.05)
            from classlab.ui.listing import key_of

            for tab in tabs:
                tab.goto(address)
                while tab.goto(f"{address.split('?')[0]}run/{key_of(found[0].parent)}").status != 200:
                    time.sleep(0.2)
            time.sleep(20)  # the charts are loaded, the sections made
            before, started = cpu_seconds(server.pid), time.monotonic()
            rows = (found[0].parent / "metrics.csv").read_bytes().count(b"\n")
            time.sleep(seconds)
            spent = (cpu_seconds(server.pid) - before) / (time.monotonic() - started)
            rows = (found[0].parent / "metrics.csv").read_bytes().count(b"\n") - rows
        finally:
            trained.kill()
            trained.wait()
        return {"share_of_a_core": spent, "epochs_a_second": rows / seconds, "megabytes": megabytes(server.pid)}


def copies(home: Path, runs: int = 500) -> Path:
    """Make so many run folders of 20 epochs, of twenty-five experiments, twenty seeds each."""
    made = home / "made"
    train(made, 0, 20).wait()
    (source,) = (file.parent for file in made.glob("*/*/summary.json"))
    many = home / "many"
    for number in range(runs):
        variant, seed = divmod(number, 20)
        folder = many / EXPERIMENT / f"s{seed}-{variant:08x}"
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.npz"))
        environment = json.loads((folder / "environment.json").read_text())
        (folder / "environment.json").write_text(json.dumps({**environment, "seed": seed}))
        text = (folder / "experiment.yaml").read_text()
        (folder / "experiment.yaml").write_text(
            text.replace("learning_rate: 0.1", f"learning_rate: {0.1 + variant / 100}")
        )
    return many


def listing(home: Path) -> dict[str, Any]:
    """How fast 500 runs of 20 epochs are listed, from the start of the server, and what memory that takes."""
    import http.client

    many, times = copies(home), []
    for place in range(3):
        started = time.monotonic()
        with page([many], PORT + place) as (address, server):
            token = address.partition("token=")[2]
            connection = http.client.HTTPConnection("127.0.0.1", PORT + place, timeout=30)
            connection.request("GET", f"/?token={token}")
            answer = connection.getresponse()
            cookie = answer.getheader("Set-Cookie", "").partition(";")[0]
            answer.read()
            asked = time.monotonic()
            connection.request("GET", "/api/runs", headers={"Cookie": cookie})
            runs = json.loads(connection.getresponse().read())
            now = time.monotonic()
            times.append((now - started, now - asked, cpu_seconds(server.pid), megabytes(server.pid), len(runs)))
    whole, request, processor, memory, count = map(median, zip(*times, strict=True))
    return {
        "runs": int(count), "seconds_from_start": whole, "seconds_of_request": request,
        "seconds_of_the_processor": processor, "megabytes": memory,
    }  # fmt: skip


def growth(home: Path, minutes: float = 10) -> dict[str, Any]:
    """How much the page's own memory grows while it is open on runs that train."""
    out = home / "growth"
    with page([out]) as (address, _), chromium() as browser:
        context = browser.new_context()
        tab = context.new_page()
        session = context.new_cdp_session(tab)
        tab.goto(address)
        trained = train(out, 2, 20_000)
        try:
            while not (found := [*out.glob("*/*/environment.json")]):
                time.sleep(0.05)
            from classlab.ui.listing import key_of

            while tab.goto(f"{address.split('?')[0]}run/{key_of(found[0].parent)}").status != 200:
                time.sleep(0.2)
            time.sleep(30)

            def heap() -> tuple[float, int]:
                session.send("HeapProfiler.collectGarbage")
                used = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
                return used, int(tab.evaluate("document.querySelectorAll('*').length"))

            first, rows = heap(), (found[0].parent / "metrics.csv").read_bytes().count(b"\n")
            time.sleep(60 * minutes)
            last, more = heap(), (found[0].parent / "metrics.csv").read_bytes().count(b"\n")
        finally:
            trained.kill()
            trained.wait()
    return {
        "minutes": minutes, "megabytes_before": first[0], "megabytes_after": last[0], "elements": [first[1], last[1]],
        "rows": [rows, more], "kilobytes_a_row": 1000 * (last[0] - first[0]) / max(1, more - rows),
    }  # fmt: skip


PARTS = {"latency": latency, "study": study_latency, "load": load, "listing": listing, "growth": growth}


def main() -> None:
    """Measure what the command line asks for and print it as JSON, a line a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[*PARTS])
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    for name in given.parts:
        with tempfile.TemporaryDirectory(prefix="classlab-page-") as folder:
            options = {"minutes": given.minutes} if name == "growth" else {}
            print(json.dumps({"part": name, **PARTS[name](Path(folder).resolve(), **options)}), flush=True)


if __name__ == "__main__":
    main()

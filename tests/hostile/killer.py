"""The killer: ends runs, studies, reports and fetches by SIGKILL, goes on with them, and compares bytes.

`python -m tests.hostile.killer FOLDER SEED COUNT PROXY` appends a line of JSON to
FOLDER/kills.jsonl for each piece of work.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile import child, donors, kills, zygote
from tests.hostile.case import often, random_of

TRAINING = {**donors.TRAINING, "epochs": 8}
RUN: dict[str, Any] = {
    **donors.TINY,
    "name": "killed",
    "training": {**donors.TINY["training"], "epochs": 12, "early_stopping": None},
}
STUDY: dict[str, Any] = {**donors.RATES, "experiment": {**donors.RATES["experiment"], "training": TRAINING}}  # type: ignore[dict-item]
SAME = (
    "best.safetensors", "last.safetensors", "predictions.npz", "calibration.safetensors", "experiment.yaml",
    "split.json", "results.csv", "plan.json", "study.yaml", "failures.json", "mnist.safetensors", "report.html",
    "report.pdf",
)  # fmt: skip
OUR_SECONDS = 120.0


@dataclass
class Work:
    """What is killed. words: of the command. again: words added to go on. code: how it ends undisturbed.

    weight: how often it is done. prepare: what has to be there. check: what must hold after every kill. environment:
    changes of it.
    """

    name: str
    words: list[str]
    weight: int
    again: list[str] = field(default_factory=list)
    prepare: Callable[[Path], Any] = lambda folder: None
    check: Callable[[Path, Path], list[str]] = lambda folder, whole: []
    environment: dict[str, str] = field(default_factory=dict)
    code: int = 0
    seconds: float = 0.0


def main() -> None:
    """Kill, and write down what came of it; what is written down is not done again."""
    folder, seed, count, proxy = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    zygote.prepare(folder)
    done = kills.results(folder)
    killed, number = sum(result["kills"] for result in done), len(done)
    works = _works(folder, proxy)
    order = [work for work in works for _ in range(work.weight)]
    while killed < count:
        random = random_of(seed, "kill", number)
        # The first ones are of different kinds.
        work = works[number] if number < len(works) else random.choice(order)
        _measure(work, folder / "whole" / work.name)
        result = {"number": number, **_piece(work, folder, random, min(3, count - killed))}
        with (folder / kills.RESULTS).open("a") as file:
            file.write(json.dumps(result) + "\n")
        killed, number = killed + result["kills"], number + 1
        print(f"{killed} of {count} kills", file=sys.stderr)


def _works(folder: Path, proxy: str) -> list[Work]:
    """Return every kind of work that can be killed here."""
    files = folder / "files"
    files.mkdir(exist_ok=True)
    for name, document in (
        ("run", RUN),
        ("one by one", STUDY),
        ("processes", {**STUDY, "place": "processes"}),
    ):
        (files / f"{name}.yaml").write_text(donors.to_yaml(document))

    def study(place: str, weight: int) -> Work:
        return Work(
            f"study, {place}",
            ["study", str(files / f"{place}.yaml"), "--out", "out", "--jobs", "2"],
            weight,
            ["--resume"],
        )

    found = folder / "donors" / donors.names(folder / "donors")["tiny"]
    works = [
        Work("run", ["run", str(files / "run.yaml"), "--out", "out"], 8, ["--resume"]),
        Work(
            "report",
            ["report", "run", "--pdf", "--author", "New"],
            5,
            prepare=lambda place: _old_report(place, found),
            check=_whole_report,
        ),
        study("one by one", 4),
        study("processes", 2),
    ]
    if proxy:
        surroundings = {"http_proxy": proxy, "HTTP_PROXY": proxy, "CLASSLAB_DATA": "out"}
        works.insert(2, Work("fetch", ["data", "fetch", "mnist"], 3, environment=surroundings))
    return works


def _old_report(place: Path, run: Path) -> None:
    shutil.copytree(run, place / "run")
    (place / "run" / "report.html").write_text("old</html>")
    (place / "run" / "report.pdf").write_text("%PDF old %%EOF")


def _whole_report(place: Path, whole: Path) -> list[str]:
    """Return what is wrong with a report that a kill left: it is the old one or the new one, whole."""
    wrong = []
    for name, old, end in (("report.html", "old</html>", "</html>"), ("report.pdf", "%PDF old %%EOF", "%%EOF")):
        file = place / "run" / name
        text = file.read_bytes().decode(errors="replace").strip() if file.exists() else ""
        size = (whole / "run" / name).stat().st_size if (whole / "run" / name).exists() else len(text)
        if text != old and (not text.endswith(end) or len(text.encode()) < 0.5 * size):
            wrong.append(f"{name} is neither the old one nor a whole new one ({len(text):,} characters)")
    return wrong


def _measure(work: Work, place: Path) -> None:
    """Do a piece of work undisturbed, once a campaign, and keep what it gives to be compared with."""
    noted = place.with_suffix(".json")
    if not noted.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        work.prepare(place)
        began = time.monotonic()
        code, errors, _ = _command(work, work.words, place)
        if code not in (0, 1):
            raise SystemExit(f"{work.name} fails without any kill: {errors[-1500:]}")
        noted.write_text(json.dumps([code, time.monotonic() - began]))
    work.code, work.seconds = json.loads(noted.read_text())


def _piece(work: Work, folder: Path, random: Random, most: int) -> dict[str, Any]:
    """Kill a piece of work some times, go on with it, and compare what it gives with the undisturbed one's."""
    place, whole = folder / "scratch", folder / "whole" / work.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    work.prepare(place)
    wanted = min(most, random.choice([1, 1, 2, 3]))
    result: dict[str, Any] = {"work": work.name, "kills": 0, "aimed": 0, "late": 0, "moments": [], "wrong": []}
    for number in range(wanted):
        aimed = often(random, 40)
        moment = random.uniform(0, work.seconds) * (0.9 if number == 0 else 0.5)
        words = [*work.words, *(work.again if number else [])]
        code, errors, seconds = _command(work, words, place, moment, aimed)
        result["moments"].append(f"{seconds:.2f} s{' at a half-written file' if aimed else ''}")
        result["kills" if code == -signal.SIGKILL else "late"] += 1
        result["aimed"] += aimed and code == -signal.SIGKILL
        result["wrong"] += work.check(place, whole)
        if code != -signal.SIGKILL:
            break
    code, errors, _ = _command(work, [*work.words, *work.again], place)
    if code != work.code:
        result["wrong"].append(f"going on ends with {code} and not {work.code}: {errors.strip()[-600:]}")
    result["wrong"] += [*work.check(place, whole), *_differences(place, whole)]
    return result


def _command(
    work: Work, words: list[str], place: Path, moment: float | None = None, aimed: bool = False
) -> tuple[int, str, float]:
    """Run a command in a child and return (code, errors, seconds).

    moment: in seconds, when to kill it. aimed: then, or later, at the first half-written file.
    """
    log = place.parent / "log.txt"
    log.write_bytes(b"")
    began = time.monotonic()
    process = os.fork()
    if not process:
        os.environ.update({**work.environment, "CLASSLAB_DATA": str(place / "out")} if work.environment else {})
        os.chdir(place)
        child.end(lambda: child.command(words), log, log)
    while True:
        seconds = time.monotonic() - began
        if moment is not None and seconds > moment and (not aimed or _half_written(place)):
            _kill(process, everything=moment * 1000 % 2 < 1)
            moment = None
        if seconds > OUR_SECONDS:
            os.kill(process, signal.SIGKILL)
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        time.sleep(0.0005)
    seconds = time.monotonic() - began
    child.ended(process)
    return os.waitstatus_to_exitcode(status), log.read_text(errors="replace"), seconds


def _kill(process: int, everything: bool) -> None:
    """Kill a process. everything: also those that it has started, which else see that they are alone, and end."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split() if everything else []
    for number in (*map(int, children), process):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _half_written(place: Path) -> bool:
    for _, folders, files in os.walk(place):
        if any(name.endswith(".part") or name.startswith((".writing", ".fetching")) for name in [*files, *folders]):
            return True
    return False


def _differences(place: Path, whole: Path) -> list[str]:
    """Return in what a folder differs from the one of an undisturbed process."""
    wrong = []
    names = {file.relative_to(whole) for file in whole.rglob("*") if file.is_file()}
    have = {file.relative_to(place) for file in place.rglob("*") if file.is_file()}
    for name in sorted(have - names):
        if name.name.endswith(".part") or name.name.startswith((".writing", ".fetching")):
            wrong.append(f"{name} is left half written")
        elif not name.name.endswith(".lock"):
            wrong.append(f"{name} is there, and an undisturbed process leaves none")
    for name in sorted(names - have):
        if not name.name.endswith(".lock"):
            wrong.append(f"{name} is missing")
    compared = 0
    for name in sorted(names & have):
        read = (
            _without_seconds
            if name.name in ("metrics.csv", "summary.json")
            else Path.read_bytes
            if name.name in SAME
            else None
        )
        compared += read is not None
        if read and read(place / name) != read(whole / name):
            wrong.append(f"{name} holds other bytes")
    wrong += [] if compared else ["nothing could be compared"]
    return wrong[:8]


def _without_seconds(file: Path) -> Any:
    """Return what a table of epochs or a summary holds but times and places."""
    if file.suffix == ".json":
        return {key: value for key, value in json.loads(file.read_text()).items() if key not in ("seconds", "run")}
    rows = [line.split(",") for line in file.read_text().splitlines()]
    place = rows[0].index("seconds")
    return [[cell for number, cell in enumerate(row) if number != place] for row in rows]


if __name__ == "__main__":
    main()

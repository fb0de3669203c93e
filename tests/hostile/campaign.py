"""A campaign: many cases over all kinds, a table of what came of them, and every faulty one so that it can be mended.

Results are appended to FOLDER/results.jsonl; what stands there is not done again, unless the package has changed since.
"""

import hashlib
import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from classlab.data import cache
from tests.hostile import kinds

REPOSITORY = Path(__file__).parents[2]
RESULTS = "results.jsonl"
SECONDS_BETWEEN_LINES = 20.0
DATASETS = ("mnist", "fashion-mnist", "cifar10")
Result = dict[str, Any]


def run(folder: Path, seed: int, wanted: Sequence[tuple[str, int]], jobs: int, quiet: bool = False) -> list[Result]:
    """Run what is wanted and not done yet, and return all results of the folder that are wanted."""
    ready(folder, seed)
    done = {result["case"]: result for result in results(folder)}
    waiting = [f"{kind}/{number}" for kind, number in wanted if f"{kind}/{number}" not in done]
    with (folder / RESULTS).open("a", encoding="utf-8") as file:
        file.write("\n")  # after a line that a kill cut short
        for result in _answers(folder, seed, waiting, jobs, quiet):
            file.write(json.dumps(result) + "\n")
            file.flush()
            done[result["case"]] = result
    return [done[f"{kind}/{number}"] for kind, number in wanted if f"{kind}/{number}" in done]


def results(folder: Path) -> list[Result]:
    """Return what a campaign has found so far; a line that a kill cut short counts as not done."""
    found = []
    file = folder / RESULTS
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def ready(folder: Path, seed: int) -> None:
    """Make the donors, the reader's home and the cache of data, unless the folder has them."""
    if (folder / "version.txt").exists() and (folder / "version.txt").read_text() == version(seed):
        return
    for name in (RESULTS, "kills.jsonl"):  # what an older package did says nothing of this one
        (folder / name).rename(folder / f"{name}.old") if (folder / name).exists() else None
    for name in ("donors", "whole", "scratch", "worlds", "home"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("home", "data", "worlds", "bin", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # A command that finds a damaged folder takes the cache next. With nothing there it would ask the network, as it
    # should, and the case would seem at fault.
    subprocess.run([sys.executable, "-m", "classlab.cli.main", "data", "fetch", *DATASETS], cwd=REPOSITORY, check=True)
    for file in sorted(path for place in cache.folders() for path in place.glob("*.safetensors")):
        link = folder / "data" / file.name
        if not link.is_symlink():
            link.symlink_to(file)
    words = [sys.executable, "-m", "tests.hostile.donors", str(folder)]
    made = subprocess.run(words, cwd=REPOSITORY, env=environment(folder), capture_output=True, text=True, timeout=600)
    if made.returncode:
        raise SystemExit(f"the donors could not be made:\n{made.stderr[-3000:]}")
    (folder / "version.txt").write_text(version(seed))


def version(seed: int) -> str:
    """Return the digest of the package, of the campaign itself and of the seed: others make other results."""
    digest = hashlib.sha256(str(seed).encode())
    for place in ("classlab", "tests/hostile"):
        for file in sorted((REPOSITORY / place).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.read_bytes())
    return digest.hexdigest()


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of every process of a campaign: offline, with one thread, and no programs to start."""
    places = [REPOSITORY, REPOSITORY / "tests" / "lesson", REPOSITORY / "tests" / "data"]
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "HOME": str(folder / "home"),
        "PATH": str(folder / "bin"),
        "TMPDIR": str(folder / "tmp"),
        "CLASSLAB_DATA": str(folder / "data"),
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        **dict.fromkeys(threads, "1"),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
    }


def shield(folder: Path) -> list[str]:
    """Return the words that start a process where only the folder can be written, and no network is there.

    Empty where that is not allowed: then the verdict rests on what is seen in the folder and heard of the process.
    """
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind / && exec "$@"'
    words = ["unshare", "--mount", "--net", "sh", "-c", script, str(folder)]
    if not all(shutil.which(name) for name in ("unshare", "mount", "sh")):
        return []
    tried = subprocess.run([*words, sys.executable, "-c", ""], capture_output=True)
    return words if tried.returncode == 0 else []


def _answers(folder: Path, seed: int, waiting: list[str], jobs: int, quiet: bool) -> Iterable[Result]:
    """Hand the cases to zygotes and yield what they answer, in the order in which they end."""
    progress = _Progress(len(waiting), quiet)
    words = [*shield(folder), sys.executable, "-m", "tests.hostile.zygote", str(folder), str(seed)]
    todo = iter(waiting)
    chosen = selectors.DefaultSelector()
    zygotes = [_start(words, folder) for _ in range(min(jobs, len(waiting)))]
    for zygote in zygotes:
        chosen.register(zygote.stdout, selectors.EVENT_READ, zygote)  # type: ignore[arg-type]
        _ask(zygote, next(todo, None))
    while chosen.get_map():
        for key, _ in chosen.select():
            zygote = key.data
            line = zygote.stdout.readline()
            if not line:
                chosen.unregister(zygote.stdout)
                if zygote.wait():
                    raise SystemExit(
                        f"a zygote ended with {zygote.returncode}; the case is the last of {folder / RESULTS}"
                    )
                continue
            result = json.loads(line)
            progress.tell(result)
            yield result
            _ask(zygote, next(todo, None))


def _start(words: list[str], folder: Path) -> "subprocess.Popen[str]":
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    path = {"PATH": os.environ["PATH"]} if words[0] == "unshare" else {}
    inner = ["env", f"PATH={folder / 'bin'}"] if path else []
    place = words.index(sys.executable)
    return subprocess.Popen(
        [*words[:place], *inner, *words[place:]], **pipes, text=True, cwd=REPOSITORY, env=environment(folder) | path
    )  # type: ignore[call-overload]


def _ask(zygote: "subprocess.Popen[str]", case: str | None) -> None:
    assert zygote.stdin
    if case is None:
        zygote.stdin.close()
    else:
        zygote.stdin.write(f"{case}\n")
        zygote.stdin.flush()


class _Progress:
    """A line on standard error once in a while: on a terminal the same line."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.total, self.quiet = total, quiet
        self.done = self.faulty = 0
        self.began = time.monotonic()
        self.said = self.began

    def tell(self, result: Result) -> None:
        self.done += 1
        self.faulty += bool(result["faults"])
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if self.quiet or (now - self.said < (0.5 if terminal else SECONDS_BETWEEN_LINES) and self.done < self.total):
            return
        self.said = now
        rate = self.done / (now - self.began)
        left = (self.total - self.done) / rate / 60
        text = (
            f"{self.done:,} of {self.total:,} cases, {self.faulty:,} faulty, {rate:.1f} a second, {left:.0f} min left"
        )
        print(
            f"\r\x1b[K{text}" if terminal else text,
            end="" if terminal and self.done < self.total else "\n",
            file=sys.stderr,
        )


def report(found: Sequence[Result]) -> str:
    """Return the table by kind, the distinct faults and the faulty cases as Markdown."""
    lines = [*_table(found), ""]
    groups = grouped(found)
    if not groups:
        return "\n".join([*lines, f"No faults in {len(found):,} cases."])
    lines += [f"## {len(groups)} distinct faults in {sum(bool(result['faults']) for result in found):,} cases", ""]
    for (kind, fault, detail), cases in groups.items():
        lines.append(f"- {fault} · {kind} · {len(cases)} × · {detail} · {cases[0]}")
    lines += ["", "## Faulty cases", ""]
    for result in found:
        if result["faults"]:
            lines += _told(result)
    return "\n".join(lines)


def _table(found: Sequence[Result]) -> list[str]:
    """Return the table: for each kind cases, exits, faults by type, the worst time and memory."""
    lines = [
        "| kind | cases | exit 0 | exit 1 | exit 2 | other | faulty | faults | worst time, s | worst memory, MB |",
        "|---|---:|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    present = [kind for kind in kinds.KINDS if any(result["kind"] == kind for result in found)]
    for kind in [*present, "together"]:
        here = [result for result in found if kind in (result["kind"], "together")]
        exits = Counter(result.get("exit") for result in here)
        types = Counter(fault["type"] for result in here for fault in result["faults"])
        others = len(here) - exits[0] - exits[1] - exits[2]
        faulty = sum(bool(result["faults"]) for result in here)
        slow = max(here, key=lambda result: result.get("seconds", 0))
        large = max(here, key=lambda result: result.get("megabytes", 0))
        said = ", ".join(f"{count} {name}" for name, count in types.most_common()) or "none"
        lines.append(
            f"| {kind} | {len(here):,} | {exits[0]:,} | {exits[1]:,} | {exits[2]:,} | {others} | {faulty} | {said} | "
            f"{slow.get('seconds', 0):.1f} ({slow['case']}) | {large.get('megabytes', 0):,} ({large['case']}) |"
        )
    return lines


def grouped(found: Sequence[Result]) -> dict[tuple[str, str, str], list[str]]:
    """Return the cases of each distinct fault, the most frequent first; numbers and paths make no fault distinct."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for result in found:
        for fault in result["faults"]:
            detail = (
                fault["detail"].split("\n")[0]
                if fault["type"] != "harness"
                else fault["detail"].strip().split("\n")[-1]
            )
            detail = re.sub(r"/[\w./-]*/worlds/\d+", "WORLD", detail)
            detail = re.sub(r"'[^']{25,}'", "'…'", re.sub(r"\b0x[0-9a-f]+|(?<![:\w.])\d[\d,.]*", "N", detail))[:190]
            command = result.get("command", "").split(" ")[0]
            groups.setdefault((f"{result['kind']}, {command}", fault["type"], detail), []).append(result["case"])
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def _told(result: Result) -> list[str]:
    """Return what is needed to make a case again and to see what is wrong."""
    lines = [f"### {result['case']}, exit {result.get('exit')}", ""]
    lines += [f"- {fault['type']}: {fault['detail'][:1500]}" for fault in result["faults"]]
    if "command" in result:
        lines += [
            f"- command: `{result['command']!a}`{' (as a process of its own)' if result['whole'] else ''}",
            f"- what is hostile: {result['note']!a}",
        ]
        lines += [f"      {line[:200]!a}" for line in result["stderr"].splitlines()[:6]]
    return [*lines, ""]

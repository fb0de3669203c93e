"""The verdict on a case: what a command may never do, whatever it is given."""

import fnmatch
import hashlib
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hostile.attacks import IMAGE, SCRIPT
from tests.hostile.case import UNDAMAGED, Case, World

if TYPE_CHECKING:
    from tests.hostile.child import Outcome

EXITS = (0, 1, 2)
SENTENCE = 2000  # characters
LINES = 60  # on standard error before the sentence: what was met on the way
FLOOD = 20_000_000  # bytes that a command prints
WRITTEN = 300_000_000  # bytes of the files that a command writes
DIGESTED = 4_000_000  # bytes of a file up to which its content is looked at, and not only its size and time
# Marks and signs that no terminal should be sent, as they change what else it shows.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
WHOLE_SECONDS = 6.0  # more for a process that has to load everything by itself
Snapshot = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Fault:
    """What a command did wrong. type: a word to count by. detail: a line to tell cases apart by."""

    type: str
    detail: str


def faults(world: World, case: Case, outcome: "Outcome", before: Snapshot) -> list[Fault]:
    """Return everything that is wrong with how a command ended."""
    found = [*_ending(case, outcome), *_printed(case, outcome), *_spent(case, outcome)]
    found += _executed(world, outcome)
    after = snapshot(world.root)
    found += _touched(case, before, after)
    found += _documents(world, before, after)
    return found


def snapshot(root: Path) -> Snapshot:
    """Return what every file below a folder is and holds. No link is followed; no device, pipe or huge file is read."""
    found: Snapshot = {}
    waiting = [str(root)]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            about = entry.stat(follow_symlinks=False)
            name = os.path.relpath(entry.path, root)
            if stat.S_ISDIR(about.st_mode):
                waiting.append(entry.path)
                found[name] = ("folder",)
            elif stat.S_ISLNK(about.st_mode):
                found[name] = ("link", Path(entry.path).readlink())
            elif stat.S_ISREG(about.st_mode):
                found[name] = (
                    "file",
                    about.st_size,
                    about.st_mtime_ns,
                    about.st_mode,
                    _digest(entry.path, about.st_size),
                )
            else:
                found[name] = (stat.S_IFMT(about.st_mode),)
    return found


def sweep(root: Path) -> None:
    """Remove a world, whatever has come into it."""
    shutil.rmtree(os.fsencode(root), ignore_errors=True)


def _digest(path: str, size: int) -> str:
    if size > DIGESTED:
        return ""
    return hashlib.sha1(Path(path).read_bytes()).hexdigest()


def _ending(case: Case, outcome: "Outcome") -> list[Fault]:
    found = []
    errors = outcome.err.decode(errors="replace")
    if outcome.hung:
        found.append(Fault("hung", "killed after 20 s"))
    elif outcome.code not in EXITS:
        found.append(Fault("exit", f"exit code {outcome.code}{last_line(errors)}"))
    if "Traceback (most recent call last)" in errors or b"Traceback (most recent" in outcome.out:
        found.append(Fault("traceback", where(errors)))
    elif outcome.code == 2:
        found += _sentence(errors)
        found += [Fault("harness", f"an undamaged file is refused: {errors[-200:]}")] if case.note == UNDAMAGED else []
    elif outcome.code == 1 and not outcome.out and not errors.strip():
        found.append(Fault("silent", "exit 1 without a word"))
    if outcome.left:
        found.append(Fault("processes", f"{outcome.left} processes are left"))
    return found


def _sentence(errors: str) -> list[Fault]:
    lines = [line for line in errors.splitlines() if line.strip()]
    if not lines:
        return [Fault("silent", "exit 2 without a word")]
    last = lines[-1]
    if not last.startswith("classlab: "):
        return [Fault("sentence", f"does not begin with classlab: {last[:150]!r}")]
    if len(last) > SENTENCE or len(lines) > LINES:
        return [Fault("sentence", f"{len(last):,} characters after {len(lines) - 1:,} lines: {last[:80]!r}")]
    return []


def last_line(errors: str) -> str:
    """Return the last line that was printed, to tell cases apart by."""
    lines = errors.strip().splitlines()
    return f": {lines[-1][:150]}" if lines else ""


def where(errors: str) -> str:
    """Return a traceback in one line: the error, and the last line of our own code in it."""
    places = re.findall(r'File "[^"]*?/(classlab/[^"]+)", line (\d+)', errors)
    place = f"{places[-1][0]}:{places[-1][1]}" if places else "outside of classlab"
    last = next(
        (
            line
            for line in reversed(errors.splitlines())
            if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning|Iteration|Refused|\w+)?(:|$)", line)
        ),
        "",
    )
    return f"{place} {last[:160]}"


def _printed(case: Case, outcome: "Outcome") -> list[Fault]:
    found = []
    for name, content in (("stdout", outcome.out), ("stderr", outcome.err)):
        if len(content) > FLOOD:
            found.append(Fault("flood", f"{len(content):,} bytes on {name}"))
        try:
            text = content.decode(case.encoding)
        except UnicodeDecodeError:
            found.append(Fault("control", f"{name} is no {case.encoding}"))
            continue
        steering = CONTROL.search(text.replace("\r\n", "\n"))
        if steering:
            around = text[max(0, steering.start() - 60) : steering.end() + 10]
            found.append(Fault("control", f"{name} holds {steering[0]!r} in {around!r}"))
    warned = re.search(
        r"^(?:.*/)?([\w/.-]+\.py):\d+: (\w+Warning: .*)", outcome.err.decode(errors="replace"), re.MULTILINE
    )
    if warned:
        found.append(Fault("warning", f"{warned[1]} {warned[2][:150]}"))
    if "--json" in case.words and outcome.code == 0:
        found += _json(outcome.out.decode(errors="replace"))
    return found


def _json(text: str) -> list[Fault]:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        return [Fault("json", f"{error} in {text[:60]!r}")]
    return []


def _spent(case: Case, outcome: "Outcome") -> list[Fault]:
    found = []
    seconds = case.seconds + (WHOLE_SECONDS if case.whole else 0)
    if outcome.seconds > seconds and not outcome.hung:
        found.append(Fault("time", f"{outcome.seconds:.1f} s of processor time"))
    if outcome.megabytes > case.megabytes:
        found.append(Fault("memory", f"{outcome.megabytes:,.0f} MB"))
    return found


def _executed(world: World, outcome: "Outcome") -> list[Fault]:
    found = []
    if os.path.lexists(world.canary):
        text = world.canary.read_text(errors="replace") if world.canary.is_file() else ""
        found.append(Fault("executed", f"the sender's code ran: {text[:100]}".strip()))
    for line in dict.fromkeys(outcome.audit.splitlines()):
        found.append(Fault("audit", line[:200]))
    return found[:5]


def _touched(case: Case, before: Snapshot, after: Snapshot) -> list[Fault]:
    """Return what was written, changed or removed that the command had no business with."""
    allowed = [*case.writes, "home", "home/.cache*", "canary"]
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    found = []
    size = 0
    for name in changed:
        if name not in after:
            what = "removed"
        elif name not in before:
            what = "written"
        else:
            what = "changed"
        size += after[name][1] if after.get(name, ("",))[0] == "file" else 0
        half = name.endswith(".part") or ".writing-" in name
        if half and what == "written":
            found.append(Fault("left", f"half written: {_plain(name)}"))
        elif what == "removed" or not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed):
            cleared = what == "removed" and before[name][0] == "file" and name.endswith((".lock", ".part"))
            found += [] if cleared else [Fault("touched", f"{what} {_plain(name)}")]
    if size > WRITTEN:
        found.append(Fault("flood", f"{size:,} bytes written"))
    return found[:6]


def _plain(name: str) -> str:
    """Return a file's name without what differs from case to case."""
    name = re.sub(r"[0-9a-f]{8,}", "#", name)
    return name.encode(errors="backslashreplace").decode()[:120]


def _documents(world: World, before: Snapshot, after: Snapshot) -> list[Fault]:
    """Return the documents that were written in which the sender's markup would come alive."""
    found = []
    for name in after:
        ending = Path(name).suffix.lower()
        if before.get(name) == after[name] or after[name][0] != "file" or ending not in (".html", ".svg", ".tex"):
            continue
        text = (world.root / name).read_text(errors="replace")
        alive = (SCRIPT, IMAGE) if ending != ".tex" else ("\n\\input{/etc", " \\input{/etc", "& \\input{/etc")
        found += [Fault("markup", f"{_plain(Path(name).name)} holds {mark!r}") for mark in alive if mark in text]
    return found

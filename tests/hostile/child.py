"""The child that a case runs in: what it may use, what is heard of it, and how it ended."""

import atexit
import io
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.hostile.case import Case, World

WALL_SECONDS = 20.0
STILL_SECONDS = 0.3  # of processor time in so many seconds by the clock, below which a process waits for something
CPU_SECONDS = 30  # after which the system ends the process
DATA = 8 * 2**30  # bytes of memory that can be written, above what the zygote has
FILE_BYTES = 2 * 2**30
LEFT_SECONDS = 3.0  # until processes that a command started must be gone


@dataclass
class Outcome:
    """How a command ended. code: minus the signal where one ended it. megabytes: above a process that only waits."""

    code: int
    seconds: float
    wall: float
    megabytes: float
    hung: bool
    left: int
    out: bytes
    err: bytes
    audit: str


def run(world: World, case: Case, others: Collection[int] = ()) -> Outcome:
    """Run a case in a child and return how it ended. others: children of ours that have nothing to do with it."""
    files = [world.root.with_suffix(ending) for ending in (".out", ".err", ".audit")]
    for file in files:
        file.write_bytes(b"")
    began = time.monotonic()
    process = os.fork()
    if not process:
        end(lambda: _case(world, case, files[2]), files[0], files[1], case.encoding)
    code, usage, hung = _waited(process)
    left = ended(process, others)
    out, err, audit = (file.read_bytes()[:50_000_000] for file in files)
    seconds, megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000 - _idle_megabytes()
    wall = time.monotonic() - began
    return Outcome(code, seconds, wall, megabytes, hung, left, out, err, audit.decode(errors="replace"))


def end(work: Callable[[], int], out: Path, err: Path, encoding: str = "utf-8") -> NoReturn:
    """Do some work in a child that was just forked, with its output in files, and end as Python ends."""
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for place, file in enumerate((out, err), 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), place)
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding)
        errors = io.BufferedWriter(io.FileIO(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(errors, encoding, "backslashreplace", line_buffering=True)
        code = work()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        code = 120
    os._exit(code & 0xFF)


def command(words: list[str]) -> int:
    """Run a command line in this process."""
    import tempfile

    from classlab.cli.main import main

    tempfile.tempdir = None
    sys.argv = ["classlab", *words]
    main()
    return 0


def _case(world: World, case: Case, audit: Path) -> int:
    """Become the process of a case and run its command."""
    _limit()
    os.environ |= {"HOME": str(world.root / "home"), "TMPDIR": str(world.root / "tmp")}
    if case.encoding != "utf-8":
        os.environ["PYTHONIOENCODING"] = case.encoding
    os.chdir(world.root / case.folder)
    if case.whole:
        script = Path(sys.executable).with_name("classlab")
        os.execv(sys.executable, [sys.executable, str(script), *case.words])
    _watch(os.open(audit, os.O_WRONLY | os.O_APPEND), str(world.root))
    return command(case.words)


def _limit() -> None:
    held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    for kind, most in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (
            resource.RLIMIT_DATA,
            held + DATA,
        ),  # not RLIMIT_AS: the engine that draws charts reserves terabytes it never uses
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


_STARTS = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
    "subprocess.Popen",
    "webbrowser.open",
}
_ALLOWED = (
    "classlab.study.worker",
    "('uname', ['uname', '-p']",
)  # a study's processes, and what Python's platform asks
_CONNECTS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "pickle.find_class"}
_CHANGES = {
    "os.mkdir": 1,
    "os.rename": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.link": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.utime": 1,
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _watch(number: int, root: str) -> None:
    """Note in a file what a command does that none should: start programs, connect, write outside of its world."""

    def outside(path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False
        place = os.path.realpath(os.fsdecode(path))
        return not place.startswith((root, "/dev/null", "/dev/tty", "/proc/"))

    def hear(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            noted = isinstance(given[2], int) and given[2] & _WRITES and outside(given[0])
        elif event in _CHANGES:
            noted = any(outside(path) for path in given[: _CHANGES[event]])
        else:
            noted = event in _CONNECTS or (event in _STARTS and not any(name in repr(given) for name in _ALLOWED))
        if noted:
            os.write(number, f"{event} {repr(given)[:300]}\n".encode(errors="backslashreplace"))

    sys.addaudithook(hear)


def _waited(process: int) -> tuple[int, Any, bool]:
    """Wait for a child and return (exit code, its resources, whether it had to be killed).

    It is killed where it has not ended in time, unless it still computes, and only the machine is busy.
    """
    descriptor, used = os.pidfd_open(process), 0.0
    while not select.select([descriptor], [], [], WALL_SECONDS)[0]:
        before, used = used, _used(process)
        if used > WALL_SECONDS or used - before < STILL_SECONDS:
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            hung = True
            break
    else:
        hung = False
    os.close(descriptor)
    _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), usage, hung


def _used(process: int) -> float:
    """Return the processor time of a child so far, in seconds."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ended(process: int, others: Collection[int] = ()) -> int:
    """Wait until all that a child has started is gone; end what stays, and return how many these were."""
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    until, left = time.monotonic() + LEFT_SECONDS, 0
    while here := [number for number in map(int, children.read_text().split()) if number not in others]:
        gone = [number for number in here if os.waitpid(number, os.WNOHANG)[0]]
        if not gone and time.monotonic() > until:
            for number in here:
                left += 1
                os.kill(number, signal.SIGKILL)
            until = time.monotonic() + LEFT_SECONDS
        elif not gone:
            time.sleep(0.01)
    return left


_IDLE: list[float] = []  # what an idle child held at first, and what we held then


def _idle_megabytes() -> float:
    """Return what a child holds that does nothing: as measured once, and what we have grown by since."""
    held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    if not _IDLE:
        process = os.fork()
        if not process:
            os._exit(0)
        _IDLE.extend((os.wait4(process, 0)[2].ru_maxrss / 1000, held))
    return _IDLE[0] + max(0.0, held - _IDLE[1])

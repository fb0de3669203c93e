"""A process that runs students' code: without network, and able to write in one folder alone.

`python -m classlab.course.confined FOLDER` reads a job from standard input, cuts itself off, weighs the hand-in and
writes what it found into FOLDER. Nothing that it writes is believed beyond the hand-in's own figures: the process that
started it reads the record as text. Linux alone can cut a process off so (namespaces, mount_setattr since 5.12);
elsewhere students' code is not run.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from classlab import limits
from classlab.plain_text import on_a_line

NEW_MOUNTS, NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x20000, 0x10000000, 0x20000000, 0x40000000  # <linux/sched.h>
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000  # <sys/mount.h>
SET_ATTRIBUTES, HERE, BELOW_TOO, READ_ONLY = 442, -100, 0x8000, 1  # mount_setattr, its flags
DIE_WITH_PARENT, DROP_FROM_BOUND, NO_NEW_RIGHTS, CAPABILITIES_3 = 1, 24, 38, 0x20080522  # prctl, capset
SECONDS = 3600  # of processor time for one hand-in
FILE_BYTES = 2_000_000_000
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "XDG_CACHE_HOME")  # of the environment: nothing secret


class Attributes(ctypes.Structure):
    """struct mount_attr of <linux/mount.h>."""

    _fields_ = (("set", ctypes.c_uint64), ("clear", ctypes.c_uint64), ("spread", ctypes.c_uint64),
                ("user", ctypes.c_uint64))  # fmt: skip


def run(module: str, job: str, folder: Path) -> str:
    """Run a module's `confined(job, folder)` in a process of its own; return why it did not end, "" where it did.

    job: JSON, handed over as it is. folder: the only one that the process can write in.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    words = [sys.executable, "-P", "-B", "-m", "classlab.course.confined", module, str(folder.resolve())]
    try:
        done = subprocess.run(
            words, input=job, text=True, capture_output=True, env=environment, timeout=2 * SECONDS, check=False,
            cwd=folder, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"the student's code did not end within {2 * SECONDS // 60} minutes"
    if done.returncode == 3:
        return (
            f"the student's code is not run, for this system does not let a process be cut off: {done.stderr.strip()}"
        )
    if done.returncode:
        said = on_a_line(done.stderr.strip().rpartition("\n")[2])[: limits.ECHO]
        return f"the student's code ended its process ({done.returncode}): {said}"
    return ""


def cut_off(folder: Path) -> None:
    """Leave this process without network, other processes, rights, or a place to write but `folder`.

    It goes on in a child, which alone sees its own processes; the parent waits and ends as it does. To be called before
    any thread starts. Raises OSError where the system does not allow it.
    """
    if sys.platform != "linux":
        raise OSError(f"there are no namespaces on {sys.platform}")
    c = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    _do(c.unshare, NEW_MOUNTS | NEW_NETWORK | NEW_PROCESSES | (NEW_USER if user else 0))
    if user:  # what the process may do in its own namespace it does as itself
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _close_disk(c, os.fsencode(folder))
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    _do(c.prctl, DIE_WITH_PARENT, 9, 0, 0, 0)
    for what, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_FSIZE, FILE_BYTES), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    _give_up_rights(c)
    os.chdir(folder)
    tempfile.tempdir = str(folder)


def _close_disk(c: ctypes.CDLL, place: bytes) -> None:
    _do(c.mount, None, b"/", None, RECURSIVE | PRIVATE, None)
    _do(c.mount, place, place, None, BIND, None)
    closed, open_again = Attributes(set=READ_ONLY), Attributes(clear=READ_ONLY)
    size = ctypes.sizeof(Attributes)
    _do(c.syscall, SET_ATTRIBUTES, HERE, b"/", BELOW_TOO, ctypes.byref(closed), size)
    _do(c.syscall, SET_ATTRIBUTES, HERE, place, 0, ctypes.byref(open_again), size)


def _give_up_rights(c: ctypes.CDLL) -> None:
    """Give up every capability for good: with them the disk could be opened again, also by root."""
    for right in range(64):
        c.prctl(DROP_FROM_BOUND, right, 0, 0, 0)  # those that this kernel does not have are refused
    _do(c.prctl, NO_NEW_RIGHTS, 1, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
    _do(c.capset, ctypes.byref(header), ctypes.byref(none))


def _do(call: "ctypes._NamedFuncPointer", *words: object) -> None:
    if call(*words) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{getattr(call, '__name__', 'call')}: {os.strerror(code)}")


def main() -> None:
    """Cut this process off, then let the module do the job. Exit 3: it could not be cut off."""
    module, folder, job = sys.argv[1], Path(sys.argv[2]), json.load(sys.stdin)
    try:
        cut_off(folder)
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    import importlib

    importlib.import_module(module).confined(job, folder)


if __name__ == "__main__":
    main()

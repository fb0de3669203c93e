"""What a case may cost: a refusal two seconds of the processor and 500 MB, whatever it is refused for."""

import os
import resource
import time
from contextlib import contextmanager


@contextmanager
def within(seconds=2.0, megabytes=500):
    """Fail where the block takes more. Memory is counted above the most that this process has had before."""
    began, had = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    took = time.process_time() - began
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - had) / 1024
    assert took < seconds, f"{took:.1f} s"
    assert more < megabytes, f"{more:.0f} MB"


@contextmanager
def full_disk(room=100):
    """Let no file grow beyond `room` bytes, as on a disk that is full; Python then meets an OSError."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def put_in_the_way(folder, ending):
    """Make what is no regular file, each with that ending, and return their paths."""
    made = {kind: folder / f"{kind}{ending}" for kind in ("pipe", "device", "folder", "linked-pipe", "loop", "nothing")}
    os.mkfifo(made["pipe"])
    made["device"].symlink_to("/dev/zero")
    made["folder"].mkdir()
    made["linked-pipe"].symlink_to(made["pipe"])
    made["loop"].symlink_to(made["loop"])
    made["nothing"].symlink_to(folder / "nowhere")
    return list(made.values())

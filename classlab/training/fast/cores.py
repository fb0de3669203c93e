"""How many cores there are to work on, and whether one is idle. (Without torch, which takes a second to load.)"""

import os
from pathlib import Path

LOAD = Path("/proc/loadavg")  # Linux: the fourth figure begins with how many processes and threads are running now


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_idle_core(threads: int) -> bool:
    """Whether a core is free at this moment beside so many threads of this process; False where nobody can say."""
    try:
        running = int(LOAD.read_text().split()[3].split("/")[0]) - 1  # but for this process
    except (OSError, ValueError, IndexError):
        return False
    return running + threads < cores()

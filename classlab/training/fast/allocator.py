"""Memory that is freed stays with the process: given back, it would have to be made again for the next step.

glibc gives large freed blocks back to the system and asks for them again at the next step, page by page. Of a step of
eva7-net8 that was a quarter (docs/log.md).
"""

import ctypes
import functools
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as glibc's malloc.h numbers them
LARGE = 2**30  # bytes: smaller blocks come from memory that is kept
LARGE_AT_MOST = 2**25  # what an older glibc takes
ALL = 2**31 - 1


@functools.cache
def keep() -> None:
    """Let the C library keep what is freed, from now on; where it is not glibc, nothing is changed."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    # In this order: the second alone would end the adapting of the first, which then stays small.
    if mallopt(M_MMAP_THRESHOLD, LARGE) or mallopt(M_MMAP_THRESHOLD, LARGE_AT_MOST):
        mallopt(M_TRIM_THRESHOLD, ALL)

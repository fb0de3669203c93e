"""Memory that a step frees is there for the next one; a fresh process each, for what is set stays set."""

import subprocess
import sys

import pytest

COUNT = """
import resource, sys, torch
from classlab.training.fast import allocator
if sys.argv[1] == "kept":
    allocator.keep()
def touch(megabytes):
    torch.ones(megabytes * 2**18)
for _ in range(20):
    touch(48)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    touch(48)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="set on Linux alone")
def test_large_tensors_are_made_of_memory_that_was_used_before():
    def faults(how: str) -> int:
        return int(
            subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True).stdout
        )

    assert faults("kept") < faults("given back") / 10

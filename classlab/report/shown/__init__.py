"""The pictures of the reproduced reports, one file each: `blocks(part, runs)` returns what stands under its name.

part: a section of a report, see published.py. runs: the part's run names in its order, each with its finished runs by
seed; a list may be empty, and a run may have diverged or not learnt: both are told, and none is an error.
"""

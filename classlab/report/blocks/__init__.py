"""The blocks of reports, one file each: `blocks(material)` returns what stands under the file's name in a spec.

A block with nothing to say returns an empty list. A run may be missing, may have diverged or not learnt: each is a
result, and no error; see material.py.
"""

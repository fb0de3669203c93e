"""Repetition: a finished run trained again, and how alike the two are: the same bytes, one more seed's worth, another.

The second run lies beside the first, and its experiment is the first one's, every setting spelled out.
"""

from typing import Literal

from classlab.runs import store

Word = Literal["the same bytes", "within another seed", "another run"]
# What must be equal byte for byte. summary.json, log.txt and metrics.csv hold times, of the last the rest is compared.
BYTES = (store.LAST, store.BEST)
SETTINGS = {
    "threads": "threads", "device": "device", "precision": "precision", "channels_last": "layout",
    "compiled": "compiled step", "native": "native step",
}  # fmt: skip
MACHINE = {"processor": "processor", "torch": "torch", "python": "Python", "platform": "operating system", "gpu": "GPU"}

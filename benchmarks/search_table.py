"""The table that searches are replayed from: 60 settings of a small network on the digits, 30 seeds each, 1,800 runs.

    python -m benchmarks.search_table benchmarks/search_table.npz

Trained in one process, a run after the other; a run that is in the file is not trained again. Each run is an ordinary
one, and what is kept of it are its validation and its test accuracy.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import classlab as cl

RATES = [0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.8, 1.6]
WIDTHS = [4, 8, 12, 16, 24, 32]
SEEDS = 30
SETTINGS = [(rate, width) for rate in RATES for width in WIDTHS]
BASELINE = SETTINGS.index((0.03, 8))
BATCH = 30  # runs between two times that the file is written


def experiment(rate: float, width: int) -> dict:
    """Return the experiment of a setting: about half a second a run."""
    return {
        "name": "table",
        "data": {"dataset": "digits", "val_size": 300, "augmentations": [{"name": "rotate", "degrees": 10}]},
        "model": {"name": "perceptron", "widths": [width]},
        "training": {
            "epochs": 4, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": rate, "momentum": 0.9},
        },
    }  # fmt: skip


def main(file: Path) -> None:
    """Train what the file lacks."""
    import numpy as np

    shape = (len(SETTINGS), SEEDS)
    held = dict(np.load(file)) if file.exists() else {name: np.full(shape, np.nan) for name in ("val", "test")}
    missing = [(seed, place) for seed in range(SEEDS) for place in range(len(SETTINGS))]
    missing = [(seed, place) for seed, place in missing if np.isnan(held["val"][place, seed])]
    began = time.monotonic()
    with TemporaryDirectory() as out:
        for number, (seed, place) in enumerate(missing, start=1):
            run = cl.train(experiment(*SETTINGS[place]), seed=seed, out=out, threads=1, verbose=False)
            held["val"][place, seed] = run.summary["val_accuracy"]
            held["test"][place, seed] = run.summary["test_accuracy"]
            if number % BATCH == 0 or number == len(missing):
                np.savez_compressed(file, **held)
                each = (time.monotonic() - began) / number
                print(f"{number} of {len(missing)} runs, {each:.2f} s each", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

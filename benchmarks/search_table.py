"""The table that searches are replayed from: 60 settings of a small network on the digits, 30 seeds each, 1,800 runs.

    python -m benchmarks.search_table benchmarks/search_table.npz

Trained in one process, a run after the other; a run that is in the file is not trained again. What is kept of a run are
its validation and its test accuracy, those of an ordinary run: --check 20 asks cl.train for twenty of them.
"""

import argparse
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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


def accuracies(fields: dict[str, Any], seed: int, dataset: Any) -> tuple[float, float]:
    """Return a run's validation and test accuracy: the parts of runs.execute, without a folder and its files."""
    from classlab.runs.preparation import choose_settings, place_model, place_splits, prepare
    from classlab.training.epoch_metrics import evaluate_split
    from classlab.training.train import Epoch, train_network

    declared = cl.load_experiment(fields)
    prepared = prepare(declared, seed, {}, None, dataset)
    settings, _ = choose_settings(prepared, "cpu", 1)
    splits, model = place_splits(prepared, settings), place_model(prepared.model, settings)
    rows = [it.row for it in train_network(model, splits, declared, seed, settings) if isinstance(it, Epoch)]
    tested = evaluate_split(model, "test", splits["test"], declared, seed, 0, settings)
    return float(rows[-1]["val_accuracy"]), (tested.correct or 0) / len(splits["test"])


def main() -> None:
    """Train what the file lacks."""
    import numpy as np

    from classlab.data.loading import prepare as prepare_data

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", type=int, default=0)
    asked = parser.parse_args()
    file, shape = asked.file, (len(SETTINGS), SEEDS)
    held = dict(np.load(file)) if file.exists() else {name: np.full(shape, np.nan) for name in ("val", "test")}
    missing = [(seed, place) for seed in range(SEEDS) for place in range(len(SETTINGS))]
    missing = [(seed, place) for seed, place in missing if np.isnan(held["val"][place, seed])]
    dataset = prepare_data(cl.load_experiment(experiment(*SETTINGS[0])).data)
    began = time.monotonic()
    for number, (seed, place) in enumerate(missing, start=1):
        held["val"][place, seed], held["test"][place, seed] = accuracies(experiment(*SETTINGS[place]), seed, dataset)
        if number % BATCH == 0 or number == len(missing):
            np.savez_compressed(file, **held)
            print(f"{number} of {len(missing)} runs, {(time.monotonic() - began) / number:.2f} s each", flush=True)
    same, chosen = 0, random.Random(0)
    with TemporaryDirectory() as out:
        for _ in range(asked.check):
            seed, place = chosen.randrange(SEEDS), chosen.randrange(len(SETTINGS))
            run = cl.train(experiment(*SETTINGS[place]), seed=seed, out=out, threads=1, verbose=False)
            known = held["val"][place, seed], held["test"][place, seed]
            same += np.allclose(known, (run.summary["val_accuracy"], run.summary["test_accuracy"]), atol=1e-6)
    if asked.check:
        print(f"{same} of {asked.check} runs are those of cl.train")


if __name__ == "__main__":
    main()

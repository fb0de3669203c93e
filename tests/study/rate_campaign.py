"""Does the range that `classlab rate` finds hold the best rate of a study of 7 rates × 3 seeds? And with other seeds?

python -m tests.study.rate_campaign        (some ten minutes; --only NAME for one)
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

DIGITS = {"dataset": "digits", "val_size": 300}
SGD = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}
EXPERIMENTS = {
    "perceptron, SGD": {
        "data": DIGITS, "model": {"name": "perceptron", "widths": [32], "activation": "relu"},
        "training": {"epochs": 15, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}}},
    "perceptron, Adam": {"data": DIGITS, "model": {"name": "perceptron", "widths": [32], "activation": "relu"},
                         "training": {"epochs": 15, "batch_size": 32,
                                      "optimizer": {"name": "adam", "learning_rate": 0.001}}},
    "convolutions, momentum, cosine": {
        "data": DIGITS, "model": {"name": "convnet", "filters": [8, 16], "kernel": 3, "padding": 1, "pool_after": [1]},
        "training": {"epochs": 10, "batch_size": 64, "optimizer": SGD, "schedule": "cosine"}},
    "convolutions, batch 4": {
        "data": {**DIGITS, "max_per_class": 60, "val_size": 100},
        "model": {"name": "convnet", "filters": [6], "kernel": 3, "pool_after": [1]},
        "training": {"epochs": 10, "batch_size": 4, "optimizer": {**SGD, "learning_rate": 0.001}}},
    "squeeze on MNIST, one cycle": {
        "data": {"dataset": "mnist", "max_per_class": 300, "max_test_per_class": 100, "val_size": 1000},
        "model": {"name": "squeeze", "width": 16},
        "training": {"epochs": 5, "batch_size": 64, "optimizer": SGD,
                     "schedule": {"name": "one_cycle", "warmup_percent": 20}}},
    "autoencoder, Adam": {
        "data": DIGITS, "model": {"name": "autoencoder", "widths": [32, 8]},
        "training": {"epochs": 15, "batch_size": 32, "loss": "reconstruction",
                     "optimizer": {"name": "adam", "learning_rate": 0.001}}},
}  # fmt: skip


def best_of_study(experiment, rates, place):
    """Return each rate's mean validation figure at the end over three seeds, and which rate is the best."""
    import classlab as cl

    means = {}
    for rate in rates:
        plan = cl.load_experiment(experiment, ["protocol.validate_on=val", "protocol.select=last",
                                               f"training.optimizer.learning_rate={rate!r}"])  # fmt: skip
        values = []
        for seed in range(10, 13):
            last = cl.train(plan, seed=seed, out=place, verbose=False).history.iloc[-1]
            values.append(last["val_accuracy"] if "val_accuracy" in last else -last["val_loss"])
        means[rate] = float(np.mean(values))
    finite = {rate: mean for rate, mean in means.items() if np.isfinite(mean)}
    return max(finite, key=lambda rate: finite[rate]), means


def main():
    import torch

    import classlab as cl

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=EXPERIMENTS)
    given = parser.parse_args()
    for name, fields in EXPERIMENTS.items():
        if given.only and name != given.only:
            continue
        plan = cl.load_experiment({"name": "tried", **fields})
        found = [cl.rate(plan, first_seed=first) for first in (0, 20)]
        middle = found[0].best
        rates = [float(f"{middle * 10 ** (place / 3):.3g}") for place in range(-3, 4)]
        with tempfile.TemporaryDirectory() as place:
            best, means = best_of_study(plan, rates, Path(place))
        same = found[0].low <= found[1].best <= found[0].high and found[1].low <= found[0].best <= found[1].high
        print(json.dumps({
            "experiment": name, "intervals": [[float(f"{end:.3g}") for end in (answer.low, answer.best, answer.high)]
                                              for answer in found],
            "best of the study": best, "held": [answer.low <= best <= answer.high for answer in found],
            "the same answer": same, "study": {f"{rate:g}": round(mean, 4) for rate, mean in means.items()},
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

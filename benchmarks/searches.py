"""Searches replayed from a table of finished runs: is the confirmed figure right, and is the search worth its cost?

    python -m benchmarks.search_table benchmarks/search_table.npz     # the table, once
    python -m benchmarks.searches benchmarks/search_table.npz --times 200

A replay takes the seeds of its runs at random from the table's 30, so that the mean over 30 seeds is what each
setting is in truth. Nothing is trained.
"""

import argparse
import math
from collections import Counter
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from benchmarks.search_table import BASELINE, RATES, SETTINGS, WIDTHS
from classlab import statistics
from classlab.statistics import ACCURACY
from classlab.study.proposals import propose
from classlab.study.search import Search
from classlab.study.space import Space
from classlab.study.standing import Standing, stand

IMAGES = {"val": 300, "test": 360}
KEYS = "training.optimizer.learning_rate", "model.width"
SEARCH_SEEDS = 3


class Table:
    """val, test: accuracies, (settings, seeds). `run` gives the row of a run with a seed of the replay's own."""

    def __init__(self, val: np.ndarray, test: np.ndarray, random: np.random.Generator) -> None:
        self.val, self.test, self.random = val, test, random
        self.drawn: dict[tuple[int, int], int] = {}

    def run(self, setting: int, seed: int) -> tuple[float, float]:
        """Return the validation and the test accuracy of a run; the same seed again is the same run."""
        place = self.drawn.setdefault((setting, seed), int(self.random.integers(self.val.shape[1])))
        return float(self.val[setting, place]), float(self.test[setting, place])


def search_for(budget: int, sampler: str, seed: int, patience: int) -> tuple[Search, Space]:
    """Return the search that is replayed, and its space."""
    settings = {KEYS[0]: {"choices": RATES}, KEYS[1]: {"choices": WIDTHS}}
    search = Search(**settings, budget={"runs": budget}, sampler=sampler, seed=seed, patience=patience)
    return search, Space(search, {KEYS[0]: list(map(str, RATES)), KEYS[1]: list(map(str, WIDTHS))})


def searched(table: Table, search: Search, space: Space) -> tuple[Standing, list[int], int]:
    """Replay a search up to its end; return how it stands, the setting of each variant, and how many runs it took."""
    point = lambda setting: {KEYS[0]: setting // len(WIDTHS), KEYS[1]: setting % len(WIDTHS)}  # noqa: E731
    settings, values = [BASELINE], dict[str, dict[int, float | None]]()
    seeds = list(range(SEARCH_SEEDS))
    while True:
        names = [str(setting) for setting in settings]
        now = stand(search, seeds, names, values, len(SETTINGS) - len(settings), ACCURACY.rounding(IMAGES["val"]))
        if now.due:
            for name in now.due:
                held = values.setdefault(name, {})
                held.update({seed: table.run(int(name), seed)[0] for seed in now.due_seeds})
        elif now.ask:
            known = [(point(setting), now.means.get(str(setting))) for setting in settings]
            new = propose(space, known, now.ask)
            settings += [int(found[KEYS[0]]) * len(WIDTHS) + int(found[KEYS[1]]) for found in new]
        else:
            return now, settings, sum(map(len, values.values()))


def best_of(table: Table, settings: list[int], seeds: int) -> int:
    """Return the setting of the best mean over the first seeds."""
    return max(settings, key=lambda setting: fmean(table.run(setting, seed)[0] for seed in range(seeds)))


def grid(count: int) -> list[int]:
    """Return about `count` settings, evenly spread over both settings."""
    rates = max(1, min(len(RATES), round(math.sqrt(count * len(RATES) / len(WIDTHS)))))
    widths = max(1, min(len(WIDTHS), count // rates))
    return [
        round(rate) * len(WIDTHS) + round(width)
        for rate in np.linspace(0, len(RATES) - 1, rates)
        for width in np.linspace(0, len(WIDTHS) - 1, widths)
    ]


def confirmed(table: Table, winner: int, fresh: range) -> tuple[statistics.Estimate, bool, float]:
    """Return the winner's estimate on fresh seeds by test accuracy, whether it is a gain, and its validation mean."""
    name, runs = str(winner), {seed: table.run(winner, seed) for seed in fresh}
    estimate = statistics.over_seeds([test for _, test in runs.values()], images=IMAGES["test"])
    ours = statistics.Variant(name, {seed: test for seed, (_, test) in runs.items()})
    base = statistics.Variant("baseline", {seed: table.run(BASELINE, seed)[1] for seed in fresh})
    gain = False
    if winner != BASELINE:
        (comparison,) = statistics.compare([ours], base, images=IMAGES["test"])
        gain = bool(comparison.different) and comparison.effect > 0
    return estimate, gain, fmean(val for val, _ in runs.values())


def replayed(file: Path, times: int, budget: int, sampler: str, patience: int) -> None:
    """Print how searches do against a grid and random choice of equal cost, and whether their intervals hold."""
    held = np.load(file)
    val, test = held["val"], held["test"]
    truth = test.mean(axis=1)
    regrets: dict[str, list[float]] = {}
    lucks, covered, gains, ends, spent, given_up = [], 0, 0, Counter[str](), [], []
    for number in range(times):
        random = np.random.default_rng(number)
        table = Table(val, test, random)
        search, space = search_for(budget, sampler, number, patience)
        now, settings, runs = searched(table, search, space)
        winner = int(now.best or BASELINE)
        count = max(1, runs // SEARCH_SEEDS)
        others = [int(place) for place in random.permutation(len(SETTINGS))]
        picked = {
            "search": winner,
            "grid": best_of(table, grid(count), SEARCH_SEEDS),
            "random": best_of(table, others[:count], SEARCH_SEEDS),
            "random, one seed": best_of(table, others[: min(runs, len(SETTINGS))], 1),
        }
        for name, setting in picked.items():
            regrets.setdefault(name, []).append(float(truth.max() - truth[setting]))
        estimate, gain, mean = confirmed(table, winner, range(SEARCH_SEEDS, SEARCH_SEEDS + search.confirm))
        covered += estimate.low <= truth[winner] <= estimate.high  # pyrefly: ignore  (several seeds have an interval)
        gains += gain
        lucks.append(now.means[str(winner)] - mean)
        ends[now.ended] += 1
        spent.append(runs)
        given_up.append(len(now.given_up) / len(settings))
    print(f"{times} searches of at most {budget} runs, {sampler}, patience {patience}: {dict(ends)}")
    print(f"  runs before the confirmation {fmean(spent):.1f}; variants given up {fmean(given_up):.0%}")
    for name, values in regrets.items():
        half = 1.96 * stdev(values) / math.sqrt(times)
        print(f"  regret of {name}: {100 * fmean(values):.2f} ± {100 * half:.2f} points")
    low, high = statistics.wilson(covered, times)
    print(f"  the confirmed interval covers the mean of 30 seeds: {covered / times:.1%} ({low:.1%} to {high:.1%})")
    print(f"  gain over the baseline said in {gains / times:.1%}; luck {100 * fmean(lucks):.2f} points in the mean")


def equal(file: Path, times: int, budget: int, sampler: str, patience: int) -> None:
    """Print how often a gain is said where all settings are the same, and how often a variant is given up."""
    held = np.load(file)
    gains = variants = lost = 0
    for number in range(times):
        random = np.random.default_rng(10**6 + number)
        place = int(held["test"].mean(axis=1).argmax())
        val, test = (np.repeat(held[name][place][None], len(SETTINGS), axis=0) for name in ("val", "test"))
        search, space = search_for(budget, sampler, number, patience)
        table = Table(val, test, random)
        now, settings, _ = searched(table, search, space)
        winner = int(now.best or BASELINE)
        gains += confirmed(table, winner, range(SEARCH_SEEDS, SEARCH_SEEDS + search.confirm))[1]
        variants += len(settings) - 1
        lost += len(now.given_up)
    low, high = statistics.wilson(times - gains, times)
    print(f"{times} searches over 60 equal settings: no gain in {1 - gains / times:.1%} ({low:.1%} to {high:.1%})")
    print(f"  {lost} of {variants} variants given up, {lost / variants:.2%}")


def main() -> None:
    """Replay what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--patience", type=int, default=3)
    asked = parser.parse_args()
    for show in (replayed, equal):
        show(asked.file, asked.times, asked.budget, asked.sampler, asked.patience)


if __name__ == "__main__":
    main()

"""Train the README's experiments from several seeds and write what came out, for the README's table.

python -m benchmarks.accuracy mnist-20k=20 mnist-quick=20 digits-quick=20 --out build/accuracy

Finished runs are not trained again, so the seeds may be trained in pieces: what is asked for last is written.
"""

import argparse
import json
import statistics
from datetime import date
from pathlib import Path

from benchmarks.note import FOLDER
from classlab import lookup
from classlab.errors import listing

FILE = FOLDER / "accuracy.json"


def measured(experiment: str, seeds: int, out: Path) -> dict[str, object]:
    """Train the seeds 0 … seeds − 1 of a shipped experiment and return its figures. Accuracies are per cents."""
    import classlab as cl

    runs = [cl.train(experiment, seed=seed, out=out) for seed in range(seeds)]
    accuracies = [100 * run.summary["test_accuracy"] for run in runs]
    settings = runs[0].environment["settings"]
    return {
        "experiment": experiment,
        "parameters": runs[0].summary["parameters"],
        "epochs": runs[0].summary["epochs"],
        "seeds": seeds,
        "mean_percent": round(statistics.mean(accuracies), 3),
        "sd_points": round(statistics.stdev(accuracies), 3) if seeds > 1 else None,
        "test_accuracies_percent": [round(accuracy, 4) for accuracy in accuracies],
        "median_seconds": round(statistics.median(run.summary["seconds"] for run in runs), 1),
        "precision": settings["precision"],
        "threads": settings["threads"],
        "measured_on": str(date.today()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("asked", nargs="+", metavar="EXPERIMENT=SEEDS")
    parser.add_argument("--out", type=Path, default=Path("build/accuracy"), help="where the runs lie")
    given = parser.parse_args()
    asked = []
    for part in given.asked:
        experiment, _, seeds = part.partition("=")
        if experiment not in lookup.names("experiment"):
            known = listing(lookup.names("experiment"), 20)
            parser.error(f"there is no shipped experiment {experiment!r}; known: {known}")
        if not seeds.isdecimal() or int(seeds) < 1:
            parser.error(f"write EXPERIMENT=SEEDS, as mnist-20k=20; got {part!r}")
        asked.append((experiment, int(seeds)))
    entries = {entry["experiment"]: entry for entry in json.loads(FILE.read_text())} if FILE.exists() else {}
    for experiment, seeds in asked:
        entries[experiment] = measured(experiment, seeds, given.out)
        FILE.write_text(json.dumps(list(entries.values()), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

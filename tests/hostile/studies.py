"""Study files that somebody sent, to be planned and trained. None names code, which `study` would run."""

import json
from random import Random
from typing import Any

from tests.hostile import attacks, commands, damage, documents, donors
from tests.hostile.case import UNDAMAGED, Case, World, often


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged study file."""
    if often(random, 10):
        return from_within(world, random)
    document = json.loads(json.dumps(donors.RATES))
    if often(random, 30):
        document["sweep"] = {
            "variants": [
                {"name": "plain"},
                {"name": "wide", "set": {"model.widths": [12]}},
                {"name": "own", "experiment": "swept.yaml"},
            ]
        }
        (world.sent / "swept.yaml").write_text(damage.written({**donors.RATES["experiment"], "name": "other"}))  # type: ignore[dict-item]
    if often(random, 20):
        document |= {
            "compare": {"metric": "test_loss", "equivalent_within": 0.5},
            "set": {"training.batch_size": 64},
            "place": random.choice(["population", "auto", "processes"]),
        }
    file, note = documents.write(world, random, "study.yaml", document, lambda fields: change(world, fields, random))
    words = ["study", commands.placed(world, file, "work"), *damage.maybe(random, 25, "--json")]
    if note != UNDAMAGED:
        words += damage.maybe(random, 15, "--set", setting(world, random))
        words += damage.maybe(random, 8, "--seeds", str(random.choice(attacks.NUMBERS)))
    trains = often(random, 40)
    words += ["--jobs", "1"] if trains else ["--dry-run"]
    writes = ["work/studies", "work/studies/*"] if trains else []
    case = Case(words, note, "work", writes, encoding=commands.encoding(random), whole=commands.whole(random, note))
    case.seconds = 12.0 if trains else 5.0  # a worker loads everything anew
    return case


def from_within(world: World, random: Random) -> Case:
    """Return a study of the reader's, started from within a folder that holds modules under the names of Python's."""
    document = {**donors.RATES, "place": random.choice(["auto", "processes"]), "seeds": 1}
    (world.work / "rates.yaml").write_text(damage.written(document))
    names = attacks.put_beside(world, random, world.sent, most=len(attacks.BESIDE))
    words = ["study", "../work/rates.yaml", "--out", "../work/studies", "--jobs", random.choice(["1", "2"])]
    case = Case(words, f"beside: {names}", "sent", ["work/studies", "work/studies/*"], whole=often(random, 30))
    case.seconds = 20.0  # its processes load everything anew
    return case


def setting(world: World, random: Random) -> str:
    """Return a change as --set takes it."""
    keys = (
        "seeds",
        "name",
        "compare.metric",
        "compare.baseline",
        "sweep.grid",
        "sweep.variants",
        "training.epochs",
        "model.widths",
        "experiment",
        "place",
        "question",
        "x",
        "",
    )
    value = attacks.odd(world, random, attacks.RAW_YAML, named_code=False)
    return (
        f"{random.choice(keys)}={damage.written(value)[:60_000]}".replace("\0", "0").encode(errors="replace").decode()
    )


def change(world: World, document: dict[str, Any], random: Random) -> str:
    """Ask for too many runs, or name variants and files oddly."""
    text = attacks.odd_text(world, random)
    huge = random.choice([10**9, 2**63, 10**29, 20_001])
    experiment = document["experiment"]
    ways = {
        "seeds": lambda: document.update(seeds=huge),
        "list of seeds": lambda: document.update(
            seeds=random.choice([[], [0, 0], [huge], [-1], list(range(10_001)), ["0"], [0.0], [2**64]])
        ),
        "grid": lambda: document.update(
            sweep={
                "grid": {
                    "training.epochs": [1] * 40,
                    "training.batch_size": list(range(1, 40)),
                    "model.widths": [[4], [8]],
                }
            }
        ),
        "large grid": lambda: document.update(
            sweep={"grid": {f"model.widths.{number}": [1, 2] for number in range(random.choice([60, 5000]))}}
        ),
        "grid of code": lambda: document.update(sweep={"grid": {"x": [text, text]}}),
        "odd key": lambda: document.update(sweep={"grid": {text: [1, 2]}}),
        "long key": lambda: document.update(sweep={"grid": {"model." * 2000 + "x": [1, 2]}}),
        "variants": lambda: document.update(
            sweep={"variants": [{"name": text}, {"name": f"{text}2", "set": {"training.batch_size": 32}}]}
        ),
        "many variants": lambda: document.update(
            sweep={
                "variants": [
                    {"name": f"v{number}", "set": {"training.batch_size": number + 1}} for number in range(1500)
                ]
            }
        ),
        "same variants": lambda: document.update(sweep={"variants": [{"name": "a"}, {"name": "a"}]}),
        "file": lambda: document.update(
            experiment=random.choice(
                ["/dev/zero", "/dev/stdin", ".", "study.yaml", "nowhere.yaml", "../work/notes.txt", "x" * 300]
            )
        ),
        "itself": lambda: document.update(sweep={"variants": [{"name": "a", "experiment": "study.yaml"}]}),
        "name": lambda: document.update(
            name=random.choice([text, "..", ".", "a/b", "../decoy", "/tmp/x", "", "con", "x" * 101])
        ),
        "experiment's name": lambda: experiment.update(name=random.choice([text, "..", "a/b", "-x"])),
        "question": lambda: document.update(question=text, description=text),
        "metric": lambda: document.update(
            compare={
                "metric": random.choice([text, "val_loss", "best_test_accuracy", "spread_val_accuracy"]),
                "baseline": random.choice([None, text]),
            }
        ),
        "within": lambda: document.update(compare={"equivalent_within": random.choice([1e-300, 1e300, huge])}),
        "size": lambda: experiment.update(model={"name": "perceptron", "widths": [huge]}),
        "contract": lambda: experiment.update(contract={"max_parameters": 1}),
        "rate": lambda: document.update(sweep={"grid": {"training.optimizer.learning_rate": [1e300, 1e-300]}}),
    }
    way = random.choice(list(ways))
    ways[way]()
    return way

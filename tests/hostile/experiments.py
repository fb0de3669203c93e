"""Experiment files that somebody sent, to be inspected, trained and looked at. None names code: `run` would run it."""

import json
from random import Random
from typing import Any

from tests.hostile import attacks, commands, damage, documents, donors
from tests.hostile.case import UNDAMAGED, Case, World, often

SETTABLE = (
    "training.epochs", "data.val_size", "data.augmentations.0.degrees", "model.widths", "model.widths.0", "model",
    "training.optimizer", "training.loss.label_smoothing", "data.dataset.name", "data.classes", "contract.max_epochs",
    "contract", "protocol.select", "name", "x.y", "", ".", "data.augmentations.99.degrees", "data.augmentations.-1",
    "training.",
)  # fmt: skip


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged experiment file."""
    document = json.loads(json.dumps(random.choice([donors.TINY, donors.TINY, donors.AUTOENCODER, donors.ENCODER])))
    file, note = documents.write(world, random, "mine.yaml", document, lambda fields: change(world, fields, random))
    return on_file(world, random, str(commands.placed(world, file, "work")), note)


def on_file(world: World, random: Random, path: str, note: str) -> Case:
    """Return a command that reads an experiment file."""
    name = damage.pick(random, {"inspect": 30, "run": 35, "show": 10, "stats": 10, "study": 6})
    json_ = damage.maybe(random, 25, "--json")
    more = damage.maybe(random, 20, "--set", setting(world, random))
    writes = []
    if name == "inspect":
        files = [f"net{ending}" for ending in (".html", ".csv", ".tex", ".svg", ".png") if often(random, 12)]
        words = [
            "inspect",
            path,
            *json_,
            *(word for file in files for word in ("--out", file)),
            *damage.maybe(random, 10, "--sanity"),
        ]
        writes = ["work/net.*"]
    elif name == "run":
        words = [
            "run",
            path,
            *json_,
            *damage.maybe(random, 15, "--report"),
            *damage.maybe(random, 10, "--seed", str(random.choice(attacks.NUMBERS))),
        ]
        writes = ["work/runs", "work/runs/*"]
    elif name == "study":
        (world.work / "study.yaml").write_text(
            json.dumps({"name": "x", "experiment": str(world.work / path), "seeds": 1})
        )
        words, writes = ["study", "study.yaml", "--dry-run", *json_], []
    else:
        out = ["--out", random.choice(["sheet.png", "sheet.html", "sheet.svg"])]
        words = ["data", name, "--like", path, *json_, *(out if name == "show" else [])]
        writes = ["work/*sheet.*"]
    if note == UNDAMAGED:
        words, more, writes = ["run", path], [], ["work/runs", "work/runs/*"]
    case = Case(
        [*words, *more], note, "work", writes, encoding=commands.encoding(random), whole=commands.whole(random, note)
    )
    case.seconds = 8.0 if "--report" in words or "--sanity" in words else 5.0
    return case


def setting(world: World, random: Random) -> str:
    """Return a change as --set takes it."""
    value = attacks.odd(world, random, attacks.RAW_YAML, named_code=False)
    text = f"{random.choice(SETTABLE)}={damage.written(value)[:60_000]}".replace("\0", "\\0")
    return text.encode(errors="replace").decode() if often(random, 95) else text.partition("=")[0]


def change(world: World, document: dict[str, Any], random: Random) -> str:
    """Ask for what is too much, or for what does not go together."""
    model, data, training = document["model"], document["data"], document["training"]
    huge = random.choice([10**9, 2**31, 2**63, 10**29])
    chosen = random.choice(
        [
            lambda: document.update(model={"name": "perceptron", "widths": [huge]}),
            lambda: document.update(model={"name": "perceptron", "widths": [1] * 5000}),
            lambda: document.update(model={"name": "autoencoder", "widths": [huge, 1]}),
            lambda: document.update(model={"name": "convnet", "filters": [huge], "kernel": 3}),
            lambda: document.update(model={"name": "convnet", "filters": [8] * 300, "kernel": 3}),
            lambda: document.update(
                model={"name": "convnet", "filters": [8, 8], "kernel": random.choice([0, -3, 99, huge, 2.5])}
            ),
            lambda: document.update(model={"name": "squeeze", "width": huge}),
            lambda: model.update(widths=[0]),
            lambda: model.update(widths=[]),
            lambda: model.update(nonsense=1),
            lambda: document.update(
                model={"name": "convnet", "filters": [8], "kernel": 3, "pool_after": [1] * 50, "padding": huge}
            ),
            lambda: training.update(batch_size=huge),
            lambda: training.update(epochs=huge),
            lambda: training.update(early_stopping={"patience": huge}),
            lambda: training.update(
                optimizer={"name": "sgd", "learning_rate": random.choice([1e300, 0.0, -1.0, 1e-300, huge])}
            ),
            lambda: training.update(optimizer={"name": "adam", "learning_rate": 0.01, "betas": [1, 1]}),
            lambda: training.update(schedule={"name": "step", "every": 0}),
            lambda: data.update(val_size=random.choice([huge, 1437, 1436, 0.999999999, 1e-300, 1e300])),
            lambda: data.update(classes=random.choice([[], [0], [0, 0], [0, huge], ["0", 0], [0] * 9000])),
            lambda: data.update(max_per_class=random.choice([1, huge]), max_test_per_class=1),
            lambda: data.update(normalise={"mean": [0.0] * 3, "std": [1e-300]}),
            lambda: data.update(normalise={"mean": [1e300], "std": [1e-300]}),
            lambda: data.update(augmentations=[{"name": "rotate", "degrees": 1e300}]),
            lambda: data.update(augmentations=[{"name": "rotate", "degrees": 10}] * 30),
            lambda: data.update(expansion=[[]] * random.choice([1, 20])),
            lambda: data.update(augmentations=[{"name": "shift", "pixels": huge}]),
            lambda: data.update(augmentations=[{"name": "zoom", "percent": random.choice([100, 1e9])}]),
            lambda: data.update(
                dataset={
                    "name": "folder",
                    "path": random.choice(["/", "/proc", "/dev", "/sys", ".", "..", "", "~", str(world.decoy)]),
                }
            ),
            lambda: data.update(
                dataset={
                    "name": "npz",
                    "path": random.choice(
                        ["/dev/zero", "/dev/stdin", "/proc/self/mem", ".", "", str(world.decoy / "thesis.tex")]
                    ),
                }
            ),
            lambda: data.update(
                dataset={
                    "name": random.choice(["mnist", "fashion-mnist", "cifar10"]),
                    "folder": random.choice(["/", "/dev", "", str(world.decoy), "x" * 300]),
                }
            ),
            lambda: document.update(
                contract=random.choice(
                    [
                        "/dev/zero",
                        "/dev/stdin",
                        "..",
                        "",
                        "nowhere.yaml",
                        "under-20",
                        str(world.decoy / "thesis.tex"),
                        "mine.yaml",
                    ]
                )
            ),
            lambda: document.update(contract={"max_parameters": 1}),
            lambda: document.update(name=attacks.odd_text(world, random)),
            lambda: document.update(description=attacks.odd_text(world, random)),
            lambda: document.update(
                model={
                    "name": "encoder_classifier",
                    "widths": [16, 8],
                    "hidden": [8],
                    "encoder": random.choice(["/dev/zero", "/", ".", "", "x" * 300, str(world.decoy)]),
                }
            ),
            lambda: document.update(
                protocol={"validate_on": "test", "select": "best"}, contract={"min_val_accuracy_percent": 3}
            ),
            lambda: document.update(protocol={"augment": "all", "train_metrics": "re-evaluated"}),
            lambda: training.update(precision=random.choice(["fp64", "bf16", "fp16"])),
            lambda: training.update(
                loss={"name": "cross_entropy", "label_smoothing": random.choice([1.0, -1, 2, 1e300])}
            ),
            lambda: data.update(dataset="digits", val_size=1400),
            lambda: training.update(loss=random.choice(["reconstruction", "mse", "hinge", ""])),
        ]
    )
    chosen()
    return f"too much: {damage.written(document)[:200]}"

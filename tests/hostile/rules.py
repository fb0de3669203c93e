"""Rules files that somebody sent, and odd details of a student."""

from random import Random
from typing import Any

from classlab import lookup
from classlab.yaml_text import read_yaml
from tests.hostile import attacks, commands, damage, documents
from tests.hostile.case import UNDAMAGED, Case, World, often

SMALL = {
    "title": "Small digits",
    "about": "One network on small images.",
    "salt": "salt",
    "hand_in": ["A report."],
    "quantities": {
        "MM": {"part": "month"},
        "DD": {"part": "day"},
        "sum": {"sum": ["MM", "DD"]},
        "roll": {"last_digits": 3},
        "last": {"last_digit": "roll"},
        "letters": {"letters": "first"},
        "product": {"product": ["sum", "roll"]},
        "rest": {"remainder": ["product", 7]},
        "digits": {"digit_sum": "product"},
    },
    "decisions": {
        "width": {
            "about": "width",
            "branches": [
                {"when": {"odd": "sum"}, "value": 8, "means": "eight"},
                {"value": 16, "means": "sixteen", "ours": True},
            ],
        },
        "rate": {
            "about": "rate",
            "of": "last",
            "table": {number: {"value": number / 100 + 0.01} for number in range(10)},
        },
        "deep": {
            "branches": [
                {"when": {"all": [{"not": {"even": "MM"}}, {"decided": ["width", 8]}]}, "value": [8, 8]},
                {"value": [8]},
            ]
        },
    },
    "experiments": {
        "net": {
            "data": {"dataset": "digits", "val_size": 200},
            "model": {"name": "perceptron", "widths": {"decided": "deep"}},
            "training": {
                "epochs": 1,
                "batch_size": 64,
                "optimizer": {"name": "sgd", "learning_rate": {"decided": "rate"}},
            },
        }
    },
    "contracts": {"net": {"dataset": "digits", "layers": {"linear": 2}}},
}


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged rules file."""
    big = often(random, 20)
    document: Any = read_yaml(lookup.path("assignment", "dl-minor-1")) if big else _copy(SMALL)
    file, note = documents.write(world, random, "rules.yaml", document, lambda fields: change(world, fields, random))
    student = {
        "--born": "18/03/02",
        "--roll": "B20AI052",
        "--first": "Ada",
        "--last": "Lovelace",
        "--programme": "B.Tech",
    }
    if note != UNDAMAGED and often(random, 15):
        key = random.choice(list(student))
        student[key] = attacks.odd_text(world, random)[:60_000].replace("\0", "0").encode(errors="replace").decode()
        note += f"; {key} {student[key][:60]!a}"
    words = [
        "assign",
        commands.placed(world, file, "work"),
        "--out",
        "tasks",
        *(word for pair in student.items() for word in pair),
    ]
    words += damage.maybe(random, 25, "--json")
    return Case(
        words,
        note,
        "work",
        ["work/tasks", "work/tasks/*"],
        encoding=commands.encoding(random),
        whole=commands.whole(random, note),
    )


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value


def change(world: World, document: dict[str, Any], random: Random) -> str:
    """Let quantities grow, conditions nest, decisions go round, and names lead elsewhere."""
    quantities, decisions, experiments = document["quantities"], document["decisions"], document["experiments"]
    text = attacks.odd_text(world, random)
    net = next(iter(experiments.values()))

    def grow() -> None:
        quantities["g0"] = {"last_digits": 3}
        for number in range(1, random.choice([8, 30, 200])):
            quantities[f"g{number}"] = {"product": [f"g{number - 1}"] * random.choice([2, 9])}
        decisions["grown"] = {
            "about": "grown",
            "branches": [{"when": {"odd": list(quantities)[-1]}, "value": 1}, {"value": 2}],
        }

    def nest() -> None:
        condition: Any = {"odd": next(iter(quantities))}
        levels, twice = random.choice([(5, True), (11, True), (30, False), (500, False)])
        for _ in range(levels):
            both = {"all": [condition, condition] if twice else [condition]}
            condition = random.choice([{"not": condition}, both])
        decisions["nested"] = {"about": "nested", "branches": [{"when": condition, "value": 1}, {"value": 2}]}

    def wide() -> None:
        decisions["wide"] = {
            "about": "wide",
            "branches": [{"when": {"odd": next(iter(quantities))}, "value": text, "means": text}] * 2000
            + [{"value": 1}],
        }

    ways = {
        "grow": grow,
        "nest": nest,
        "wide": wide,
        "round": lambda: quantities.update(a={"sum": ["b"]}, b={"sum": ["a"]}),
        "itself": lambda: quantities.update(a={"sum": ["a"]}),
        "zero": lambda: quantities.update(z={"difference": ["MM", "MM"]}, y={"remainder": ["MM", 0]}),
        "digits": lambda: quantities.update(d={"last_digits": random.choice([0, -1, 10**9, 10**29, 40, "3"])}),
        "name": lambda: experiments.update({text: net}),
        "path": lambda: experiments.update(
            {random.choice(["../../decoy/thesis", "/etc/x", "..", "task", "tasks", "a/b", ""]): net}
        ),
        "contract": lambda: document.update(contracts={"../../decoy/thesis": {"max_epochs": 1}}),
        "means": lambda: decisions.update(t={"about": text, "branches": [{"value": text, "means": text}]}),
        "about": lambda: document.update(title=text, about=text, hand_in=[text] * random.choice([1, 3000])),
        "salt": lambda: document.update(salt=text),
        "value": lambda: decisions.update(
            {next(iter(decisions)): {"about": "x", "branches": [{"value": {"decided": next(iter(decisions))}}]}}
        ),
        "table": lambda: decisions.update(
            t={"of": next(iter(quantities)), "table": {10**40: {"value": 1}, -1: {"value": 2}}}
        ),
        "many": lambda: experiments.update({f"e{number}": net for number in range(300)}),
        "huge": lambda: net.update(model={"name": "perceptron", "widths": [10**9]}),
    }
    way = random.choice(list(ways))
    ways[way]()
    return way

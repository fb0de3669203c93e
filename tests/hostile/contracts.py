"""Contract files that somebody sent: a run is compared with them, and experiments name them."""

import json
from random import Random
from typing import Any

from tests.hostile import attacks, commands, damage, documents, donors
from tests.hostile.case import UNDAMAGED, Case, World, often

CONTRACT: dict[str, Any] = {
    "max_parameters": 19999,
    "max_epochs": 20,
    "min_val_accuracy_percent": 5,
    "min_test_accuracy_percent": 10.5,
    "seeds": [0, 1],
    "judged_by": "lower_bound",
    "max_seconds": 60,
    "dataset": {"name": "digits"},
    "classes": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    "must_contain": ["linear"],
    "must_not_contain": ["dropout"],
    "layers": {"linear": 2, "convolution": 0},
    "first_layer_filters": 16,
}


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged contract."""
    kept = ["dataset", *random.sample(list(CONTRACT), random.randint(2, len(CONTRACT)))]
    document = json.loads(json.dumps({key: CONTRACT[key] for key in CONTRACT if key in kept}))
    by_reader = often(random, 25)
    file, note = documents.write(world, random, "limits.yaml", document, named_code=not by_reader and often(random, 40))
    if often(random, 15):
        note += f"; beside: {attacks.put_beside(world, random, world.sent)}" if note != UNDAMAGED else ""
    path = commands.placed(world, file, "work")
    json_ = damage.maybe(random, 25, "--json")
    if by_reader:  # an experiment of the reader's names the file
        experiment = {**donors.TINY, "contract": str(file)}
        (world.work / "mine.yaml").write_text(damage.written(experiment), errors="surrogatepass")
        words, writes = random.choice([["inspect", "mine.yaml"], ["run", "mine.yaml"]]), ["work/runs", "work/runs/*"]
    else:
        runs = [
            str(world.donors / commands.world_name(world, name))
            for name in random.choice([["run"], ["tiny"], ["run", "seed"], ["run", "tiny", "auto"]])
        ]
        words, writes = ["check", *runs, "--contract", path], []
    return Case(
        [*words, *json_], note, "work", writes, encoding=commands.encoding(random), whole=commands.whole(random, note)
    )

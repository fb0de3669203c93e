"""Study folders as a hostile sender leaves them: damaged as a study, in their runs, and naming code."""

import json
from pathlib import Path
from random import Random
from typing import Any

from classlab.yaml_text import parse_yaml
from tests.hostile import attacks, commands, damage, donors, run_folders
from tests.hostile.case import Case, World, often

RECORDS = ("plan.json", "failures.json")


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged study folder."""
    study = world.take(commands.world_name(world, random.choice(["study", "study", "cut study"])), "studies/rates")
    note = harm(world, study, random)
    if often(random, 15):
        note += f"; beside: {attacks.put_beside(world, random, random.choice([study, world.sent, study.parent]))}"
    return going_on(world, random, study, note) if often(random, 35) else opened(world, random, study, note)


def opened(world: World, random: Random, study: Path, note: str) -> Case:
    """Return a command that opens a study folder."""
    folder = commands.standing(random)
    path = commands.placed(world, study, folder)
    name = damage.pick(random, {"report": 45, "compare": 20, "runs": 15, "check": 15, "figures": 4})
    json_ = damage.maybe(random, 25, "--json")
    if name in ("report", "figures"):
        words = [
            "report",
            path,
            *json_,
            *damage.maybe(random, 15, "--pdf"),
            *(["--figures", "figures"] if name == "figures" else []),
        ]
    elif name == "check":
        words = ["check", random.choice([path, f"{path}/runs"]), "--contract", "under-20k", *json_]
    else:
        words = [name, random.choice([f"{path}/runs", f"{path}/runs", path]), *json_]
    writes = [*commands.REPORTS, "work/figures*", "sent/figures*"] if name in ("report", "figures") else []
    case = Case(words, note, folder, writes, encoding=commands.encoding(random), whole=commands.whole(random, note))
    case.seconds = 12.0 if name == "figures" else 8.0 if "--pdf" in words else 5.0
    return case


def going_on(world: World, random: Random, study: Path, note: str) -> Case:
    """Return a reader's own study, whose folder lies in what was sent."""
    document: dict[str, Any] = json.loads(json.dumps(donors.RATES))
    if often(random, 30):
        document["place"] = random.choice(["auto", "population"])
    (world.work / "rates.yaml").write_text(damage.written(document))
    folder = commands.standing(random)
    words = [
        "study",
        commands.placed(world, world.work / "rates.yaml", folder),
        "--out",
        commands.placed(world, study.parent, folder),
        "--jobs",
        "1",
    ]
    words += random.choice([["--resume"], ["--resume"], [], ["--dry-run"], ["--seeds", "3"]]) + damage.maybe(
        random, 20, "--json"
    )
    inside = ["", "/*", "/runs/*"]
    writes = [] if "--dry-run" in words else [f"sent/studies/rates{place}" for place in inside]
    case = Case(words, note, folder, writes, encoding=commands.encoding(random), whole=commands.whole(random, note))
    case.seconds = 14.0 if not writes or document["place"] == "one by one" else 20.0  # workers load everything anew
    return case


def harm(world: World, study: Path, random: Random) -> str:
    """Damage a study folder and say how."""
    way = damage.pick(
        random, {"record": 28, "study": 16, "code": 18, "run": 22, "place": 8, "bytes": 6, "missing": 3, "table": 5}
    )
    if way == "record":
        return _damage_record(world, study, random)
    if way in ("study", "code"):
        return _damage_study(world, study, random, way == "code")
    if way == "run":
        runs = sorted((study / "runs").glob("*/*"))
        return run_folders.harm(world, random.choice(runs), random)
    files = sorted(file for file in study.iterdir() if file.is_file())
    if way == "place":
        more = [
            study / name
            for name in (
                "report.html",
                "report.pdf",
                "results.csv",
                "times.csv",
                "log.txt",
                ".lock",
                "failures.json",
                "populations",
                "runs",
            )
        ]
        return damage.stand_in(world, random.choice([*files, *more]), random)
    file = random.choice(files)
    if way == "missing":
        file.unlink()
        return f"without {file.name}"
    if way == "table":
        file = study / "results.csv"
        text, note = damage.table(file.read_text(), random, lambda: attacks.odd(world, random))
        file.write_text(text, errors="surrogatepass")
        return f"results.csv: {note}"
    content, note = damage.flip(file.read_bytes(), random)
    file.write_bytes(content)
    return f"{file.name}: {note}"


def _damage_record(world: World, study: Path, random: Random) -> str:
    file = study / random.choice(["plan.json", "plan.json", "plan.json", "failures.json"])
    document: Any = json.loads(file.read_text())
    runs = [run for entry in json.loads((study / "plan.json").read_text())["entries"] for run in entry["runs"]]
    if file.name == "failures.json":
        document = {run["run"]: attacks.odd_text(world, random) for run in runs[: random.randint(0, 3)]} | {
            "nowhere": "x"
        }
        note = "failures"
    elif often(random, 40):
        run = random.choice([run for entry in document["entries"] for run in entry["runs"]])
        places = [
            "../../../decoy",
            str(world.decoy),
            "/",
            "",
            ".",
            "..",
            "runs/../../../decoy/x/y",
            "runs/swept",
            "runs/swept/s0-x/",
            "a",
            "/etc/x/y/z",
            "runs/swept/\x1b[2J",
            "~/x/y",
            runs[0]["run"],
        ]
        run[random.choice(["run", "run", "variant", "seed"])] = random.choice([*places, attacks.odd(world, random)])
        note = f"a run in another place: {str(run)[:150]}"
    elif often(random, 25):
        document["entries"] = document["entries"] * random.choice([2, 500])
        note = "entries repeated"
    else:
        document, note = damage.fields(document, random, lambda: attacks.odd(world, random), random.choice([1, 1, 2]))
    file.write_text(damage.written(document), errors="surrogatepass")
    return f"{file.name}: {note}"


def _damage_study(world: World, study: Path, random: Random, named_code: bool) -> str:
    """Damage study.yaml, or let it name code where an experiment, a set or a sweep may."""
    file = study / "study.yaml"
    document: Any = parse_yaml(file.read_text(), "donor")
    if not named_code:

        def odd() -> Any:
            return attacks.odd(world, random, attacks.RAW_YAML)

        if often(random, 40):
            text, note = damage.yaml_text(file.read_text(), random, odd)
        else:
            document, note = damage.fields(document, random, odd, random.choice([1, 1, 2]))
            text = damage.written(document)
        file.write_text(text, errors="surrogatepass")
        return f"study.yaml: {note}"
    for folder in {study, world.sent, random.choice([world.work, study.parent])}:
        attacks.put_beside(world, random, folder)
    code = attacks.code(world, random)
    keys = [
        "model",
        "model.name",
        "data.dataset",
        "training.loss",
        "training.optimizer.name",
        "training.schedule",
        "training.initialise",
        "data.augmentations",
        "contract",
        "contract.dataset",
        "data.expansion",
    ]
    key = random.choice(keys)
    value = [code] if key.endswith("augmentations") else [[code]] if key.endswith("expansion") else code
    way = random.choice(["experiment", "set", "grid", "variant", "variant's experiment", "file", "name", "question"])
    if way == "experiment":
        run_folders.put_code(world, document["experiment"], random, study)
    elif way == "set":
        document["set"] = {key: value}
    elif way == "grid":
        document["sweep"] = {"grid": {key: [value, "digits"]}}
    elif way == "variant":
        document["sweep"] = {"variants": [{"name": "a", "set": {key: value}}, {"name": "learning_rate=0.1"}]}
    elif way == "variant's experiment":
        experiment = json.loads(json.dumps(donors.RATES["experiment"]))
        run_folders.put_code(world, experiment, random, study)
        document["sweep"] = {"variants": [{"name": "a", "experiment": experiment}]}
    elif way == "file":
        (study / "evil.yaml").write_text(damage.written({**donors.TINY, "model": code}), errors="surrogatepass")
        named = random.choice(["evil.yaml", "./evil.yaml", str(study / "evil.yaml"), "runs/../evil.yaml"])
        document |= random.choice(
            [{"experiment": named}, {"sweep": {"variants": [{"name": "a", "experiment": named}]}}]
        )
    else:
        document[way] = code
    file.write_text(damage.written(document), errors="surrogatepass")
    return f"study.yaml names code in {way}, {key}: {str(code)[:100]}"

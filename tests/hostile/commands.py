"""The commands that are run on what somebody sent, with what each of them may write."""

from pathlib import Path
from random import Random

from tests.hostile import donors
from tests.hostile.attacks import odd_text
from tests.hostile.case import Case, World, often
from tests.hostile.damage import maybe, pick

REPORTS = ["*/report.html", "*/report.pdf"]
CONTRACT = {"max_parameters": 19999, "max_epochs": 20, "min_test_accuracy_percent": 20, "dataset": "digits"}


def placed(world: World, path: Path, folder: str) -> str:
    """Return a path as it is typed in one of the world's folders."""
    here = world.root / folder
    typed = path.relative_to(here) if path.is_relative_to(here) else Path("..") / path.relative_to(world.root)
    return str(typed)


def standing(random: Random) -> str:
    """Return where the reader stands: mostly in a folder of theirs, at times in the one that was sent."""
    return "sent" if often(random, 25) else "work"


def on_run(world: World, run: Path, random: Random, note: str) -> Case:
    """Return a command that opens a run folder."""
    folder = standing(random)
    name = pick(
        random,
        {"report": 25, "pdf": 6, "figures": 4, "check": 15, "predict": 13, "compare": 15, "runs": 12, "together": 4},
    )
    path = placed(world, run, folder)
    json = maybe(random, 25, "--json")
    writes = REPORTS if name in ("report", "pdf", "figures") else []
    if name in ("report", "pdf", "figures"):
        words = [
            "report",
            path,
            *maybe(random, 20, "--author", odd_text(world, random)[:2000].replace("\0", "")),
            *json,
        ]
        words += ["--pdf"] if name == "pdf" else []
        words += ["--figures", "figures"] if name == "figures" else []
        writes = [*REPORTS, "work/figures*", "sent/figures*"]
    elif name == "check":
        (world.work / "limits.yaml").write_text(donors.to_yaml(CONTRACT))
        limits = placed(world, world.work / "limits.yaml", folder)
        words = ["check", path, "--contract", random.choice([limits, limits, "under-20k"]), *json]
    elif name == "predict":
        words = ["predict", path, str(world.donors / "digits.png"), *json, *maybe(random, 30, "--explain", "why.png")]
        words += maybe(random, 30, "--csv", "answers.csv")
        writes = ["work/why.png", "work/answers.csv", "sent/why.png", "sent/answers.csv"]
    elif name == "compare":
        other = str(world.donors / random.choice([world_name(world, "run"), world_name(world, "tiny")]))
        words = [
            "compare",
            *random.choice([[path, other], [other, path]]),
            *json,
            *maybe(random, 20, "--images", "differ.png"),
        ]
        words += maybe(random, 20, "--metric", random.choice(["val_loss", "test_accuracy", "best_val_accuracy", "x"]))
        writes = ["work/differ.png", "sent/differ.png"]
    elif name == "runs":
        words = ["runs", placed(world, run.parents[1], folder), *json]
    else:
        limits = ["--contract", "under-20k-five-seeds"]
        words = random.choice(
            [
                ["check", placed(world, run.parents[1], folder), *limits],
                ["compare", placed(world, run.parents[1], folder)],
            ]
        )
    seconds = 9.0 if name == "figures" else 6.0 if name == "pdf" else 5.0
    return Case(words, note, folder, writes, seconds=seconds, encoding=encoding(random), whole=whole(random, note))


def going_on(world: World, random: Random, words: list[str], run: Path, note: str) -> Case:
    """Return a command that finds a run folder of its own experiment in what was sent, and may go on with it."""
    folder = standing(random)
    out = ["--out", placed(world, run.parents[1], folder)]
    more = random.choice([[], ["--resume"], ["--resume"], ["--again"], ["--report"], ["--resume", "--report"]])
    inside = f"sent/{run.parents[0].relative_to(world.sent)}"
    writes = [
        f"{inside}/{run.name}",
        f"{inside}/{run.name}/*",
        f"{inside}/{run.name}-[0-9]*",
        f"{inside}/.{run.name}*",
        f"{inside}/*.lock",
    ]
    return Case(
        [*words, *out, *more, *maybe(random, 20, "--json")],
        note,
        folder,
        writes,
        encoding=encoding(random),
        whole=whole(random, note),
    )


def world_name(world: World, name: str) -> str:
    """Return where a donor lies."""
    return donors.names(world.donors)[name]


def whole(random: Random, note: str) -> bool:
    """Say whether a command is run as a process of its own: more often where what lies beside may be imported."""
    return often(random, 10 if "beside" in note or "code" in note else 2)


def encoding(random: Random) -> str:
    """Return what standard output and error can hold."""
    return random.choices(["utf-8", "ascii", "cp1252"], [88, 8, 4])[0]

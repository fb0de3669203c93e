"""The plan: which runs, where each is trained, with how many threads. Frozen in plan.json, where it only grows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field
from typing_extensions import TypedDict

from classlab import limits
from classlab.errors import UserError
from classlab.runs import records, store
from classlab.study.forecast import Work
from classlab.study.sweep import Variant

FILE = "plan.json"
FORMAT = 1
RUNS = "runs"  # the folder of the study's run folders
MOST_MEMBERS = 64

Place = Literal["population", "processes", "one by one"]


@dataclass(frozen=True)
class Planned:
    """One run: its variant, its seed, its folder within the study's."""

    variant: str
    seed: int
    run: str

    @property
    def digest(self) -> str:
        """The digest in the folder's name."""
        return self.run.rpartition("-")[2]


@dataclass(frozen=True)
class Entry:
    """Runs trained in the same way. threads: of each run, or of the population. device: where."""

    place: Place
    threads: int
    device: str
    runs: tuple[Planned, ...]


@dataclass(frozen=True)
class Plan:
    """The entries, in the order in which they are trained."""

    entries: tuple[Entry, ...] = ()

    @property
    def runs(self) -> list[Planned]:
        """Every run of every entry."""
        return [one for entry in self.entries for one in entry.runs]


@pydantic.with_config(records.CLOSED)
class PlannedRecord(TypedDict):
    """A run in plan.json. Its folder lies within the study's, wherever the file comes from."""

    variant: records.Text
    seed: records.Count
    run: Annotated[str, Field(pattern=r"^runs/[A-Za-z0-9][A-Za-z0-9._-]{0,99}/s[0-9]{1,20}-[0-9a-f]{8}$")]


@pydantic.with_config(records.OPEN)
class EntryRecord(TypedDict):
    """An entry in plan.json."""

    place: Place
    threads: Annotated[int, Field(ge=1, le=1024)]
    device: records.Device
    runs: Annotated[list[PlannedRecord], Field(min_length=1, max_length=limits.RUNS)]


@pydantic.with_config(records.OPEN)
class PlanRecord(TypedDict):
    """plan.json. Another format is another version's."""

    format: Literal[1]
    entries: list[EntryRecord]


def choose_path(group: Sequence[Work], wanted: str = "auto") -> Place:
    """Return where a group of runs is trained. group: the work of every run. wanted: what the study asks for.

    On a CPU one process a core beat a population for every network measured (docs/log.md): one network fits in a core's
    cache, thirty do not. A GPU waits for its orders while one small network trains; there a population pays.
    """
    keys = {work.group for work in group}
    pooled = len(group) >= 2 and len(keys) == 1 and None not in keys
    if pooled and (wanted == "population" or (wanted == "auto" and group[0].device != "cpu")):
        return "population"
    small = len(group) >= 2 and all(work.threads == 1 and work.device == "cpu" for work in group)
    return "processes" if small and wanted != "one by one" else "one by one"


def extend(
    plan: Plan, variants: Sequence[Variant], seeds: Sequence[int], works: Mapping[str, Work], wanted: str = "auto"
) -> Plan:
    """Return the plan with new entries for the runs that it does not hold; the old entries stay as they are.

    A pure function of its arguments: the same study is planned in the same way wherever its work is the same.
    """
    held = {(one.variant, one.seed) for one in plan.runs}
    populations: dict[str, list[Planned]] = {}
    others: dict[tuple[int, str], list[Planned]] = {}
    for variant in variants:
        new = [
            Planned(variant.name, seed, run_folder(variant, seed)) for seed in seeds if (variant.name, seed) not in held
        ]
        work = works[variant.name]
        if work.group is not None:
            populations.setdefault(work.group, []).extend(new)
        else:
            others.setdefault((work.threads, work.device), []).extend(new)
    entries: list[Entry] = []
    for runs in filter(None, populations.values()):
        work = works[runs[0].variant]
        if choose_path([works[one.variant] for one in runs], wanted) == "population":
            entries += [Entry("population", work.threads, work.device, part) for part in _parts(runs)]
        else:
            others.setdefault((work.threads, work.device), []).extend(runs)
    for (threads, device), runs in others.items():
        if runs:
            place = choose_path([works[one.variant] for one in runs], wanted)
            entries.append(Entry(place, threads, device, tuple(runs)))
    return Plan((*plan.entries, *entries))


def _parts(runs: Sequence[Planned]) -> Iterator[tuple[Planned, ...]]:
    """Cut a large group into populations of nearly equal size."""
    count = math.ceil(len(runs) / MOST_MEMBERS)
    size = math.ceil(len(runs) / count)
    for start in range(0, len(runs), size):
        yield tuple(runs[start : start + size])


def run_folder(variant: Variant, seed: int) -> str:
    """Return the folder of a run within its study's."""
    return store.folder(RUNS, variant.experiment.name, seed, variant.experiment.digest()).as_posix()


def write(folder: Path, plan: Plan) -> None:
    """Freeze the plan."""
    store.write_json(folder / FILE, {"format": FORMAT, "entries": [asdict(entry) for entry in plan.entries]})


def read(folder: Path) -> Plan:
    """Return the plan of a study's folder, an empty one where there is none yet. Raises UserError."""
    if not (folder / FILE).exists():
        return Plan()
    try:
        document = records.read(folder / FILE, PlanRecord, limits.SPLIT_BYTES)
    except UserError as error:
        raise UserError(f"{folder / FILE} is not a plan that this version of classlab can read ({error})") from None
    entries = [
        Entry(entry["place"], entry["threads"], entry["device"], tuple(Planned(**run) for run in entry["runs"]))
        for entry in document["entries"]
    ]
    return Plan(tuple(entries))

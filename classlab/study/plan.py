"""The plan: which runs, where each is trained, with how many threads. Frozen in plan.json, where it only grows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field
from typing_extensions import TypedDict

from classlab import limits, lookup
from classlab.errors import UserError, listing
from classlab.runs import records, store
from classlab.study.forecast import Work
from classlab.study.sweep import Variant
from classlab.yaml_text import value_text

FILE = "plan.json"
FORMAT = 1
RUNS = "runs"  # the folder of the study's run folders


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
    """Runs trained in the same way. place: a file of study/places. threads: of each run. device: where."""

    place: str
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
        return [run for entry in self.entries for run in entry.runs]


@pydantic.with_config(records.CLOSED)
class PlannedRecord(TypedDict):
    """A run in plan.json. Its folder lies within the study's, wherever the file comes from."""

    variant: records.Text
    seed: records.Count
    run: Annotated[str, Field(pattern=r"^runs/[A-Za-z0-9][A-Za-z0-9._-]{0,99}/s[0-9]{1,20}-[0-9a-f]{8}$")]


@pydantic.with_config(records.OPEN)
class EntryRecord(TypedDict):
    """An entry in plan.json. Earlier versions trained runs together as a population, and planned some so."""

    place: records.Text
    threads: Annotated[int, Field(ge=1, le=1024)]
    device: records.Device
    runs: Annotated[list[PlannedRecord], Field(min_length=1, max_length=limits.RUNS)]


@pydantic.with_config(records.OPEN)
class PlanRecord(TypedDict):
    """plan.json. Another format is another version's."""

    format: Literal[1]
    entries: list[EntryRecord]


def choose_place(group: Sequence[Work], wanted: str = "auto") -> str:
    """Return where a group of runs is trained. group: the work of every run. wanted: what the study asks for."""
    if wanted not in ("auto", "processes"):
        return wanted
    small = all(_takes_one_core(work.threads, work.device) for work in group)
    return "processes" if small and len(group) >= 2 else "one by one"


def _takes_one_core(threads: int, device: str) -> bool:
    """Whether a run leaves the other cores idle, so that other runs may be trained on them at the same time."""
    return threads == 1 and device == "cpu"


def extend(
    plan: Plan, variants: Sequence[Variant], seeds: Sequence[int], works: Mapping[str, Work], wanted: str = "auto"
) -> Plan:
    """Return the plan with new entries for the runs that it does not hold; the old entries stay as they are.

    A pure function of its arguments: the same study is planned in the same way wherever its work is the same.
    """
    held = {(run.variant, run.seed) for run in plan.runs}
    groups: dict[tuple[int, str], list[Planned]] = {}
    for variant in variants:
        new = [
            Planned(variant.name, seed, run_folder(variant, seed)) for seed in seeds if (variant.name, seed) not in held
        ]
        work = works[variant.name]
        groups.setdefault((work.threads, work.device), []).extend(new)
    entries = [
        Entry(choose_place([works[run.variant] for run in runs], wanted), threads, device, tuple(runs))
        for (threads, device), runs in groups.items()
        if runs
    ]
    return Plan((*plan.entries, *entries))


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
        return Plan(tuple(_entry(**fields) for fields in document["entries"]))
    except UserError as error:
        raise UserError(f"{folder / FILE} is not a plan that this version of classlab can read ({error})") from None


def _entry(place: str, threads: int, device: str, runs: Sequence[Mapping[str, Any]]) -> Entry:
    """Return an entry of plan.json; the runs of an earlier version's population go where such runs go today."""
    if place == "population":
        place = "processes" if _takes_one_core(threads, device) and len(runs) >= 2 else "one by one"
    if place not in lookup.names("place"):
        raise UserError(f"it plans runs for the place {value_text(place)}; there are {listing(lookup.names('place'))}")
    return Entry(place, threads, device, tuple(Planned(**run) for run in runs))


def population_state(folder: Path, entry: Entry) -> Path:
    """Return where an earlier version kept what a population needed to go on, while it trained the entry's runs."""
    return folder / "populations" / Path(entry.runs[0].run).name / "population.safetensors"

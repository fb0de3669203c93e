"""What the page may read: the runs and studies below the listed folders, each by an id that is not a path.

Nothing that a browser sends ever becomes a path. It names an id, and an id means what was found here. Links are not
followed: in a folder that somebody sent they may lead anywhere.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from classlab import limits
from classlab.errors import UserError
from classlab.plain_text import printable
from classlab.runs import store

STUDY = "study.yaml"
MOST_DEPTH = 6  # folders below a listed one: studies/NAME/runs/EXPERIMENT/RUN are five
FRESH = 2.0  # seconds: a folder changed so lately may change again without its time showing it


@dataclass(frozen=True)
class Place:
    """A run's or a study's folder. key: what addresses name it by. name: its path below the root, for readers."""

    key: str
    path: Path
    name: str


@dataclass
class _Folder:
    """What a folder held when it was last read."""

    place: Place
    changed: int
    read: float
    inside: list[Path] = field(default_factory=list)
    is_run: bool = False
    is_study: bool = False

    @property
    def is_still_a_run(self) -> bool:
        """Whether this was a run and its experiment is there; asked of every run at every look."""
        return self.is_run and (self.place.path / store.EXPERIMENT).exists()


def key_of(path: Path) -> str:
    """Return the id of a folder, the same whenever the page is started."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


class Listing:
    """The runs and studies found below some folders, which need not exist yet."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.roots = list(dict.fromkeys(folder.resolve() for folder in folders))
        self.runs: dict[str, Place] = {}
        self.studies: dict[str, Place] = {}
        self._known: dict[Path, _Folder] = {}
        self._looking = threading.Lock()

    def look(self) -> bool:
        """Look again; return whether a run or a study has come or gone. A folder is read when its time has changed."""
        with self._looking:
            return self._look()

    def _look(self) -> bool:
        runs, studies = dict[str, Place](), dict[str, Place]()
        seen = set[Path]()
        for root in self.roots:
            for folder in self._walk(root, root, MOST_DEPTH, seen):
                place = folder.place
                if folder.is_run and len(runs) < limits.RUNS:
                    runs[place.key] = place
                if folder.is_study:
                    studies[place.key] = place
        self._known = {path: folder for path, folder in self._known.items() if path in seen}
        changed = runs.keys() != self.runs.keys() or studies.keys() != self.studies.keys()
        self.runs, self.studies = runs, studies
        return changed

    def _walk(self, root: Path, path: Path, depth: int, seen: set[Path]) -> Iterator[_Folder]:
        folder = self._read(root, path)
        if folder is None or path in seen:
            return
        seen.add(path)
        yield folder
        if depth and not folder.is_run:
            for inside in folder.inside:
                yield from self._walk(root, inside, depth - 1, seen)

    def _read(self, root: Path, path: Path) -> _Folder | None:
        known = self._known.get(path)
        if known and known.is_still_a_run:  # what is in it is for whoever reads the run
            return known
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return None
        if known and known.changed == changed and known.read - changed / 1e9 > FRESH:
            return known
        folder = _Folder(Place(key_of(path), path, _name(root, path)), changed, time.time())
        with suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                folder.is_run |= entry.name == store.EXPERIMENT and entry.is_file(follow_symlinks=False)
                folder.is_study |= entry.name == STUDY and entry.is_file(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    folder.inside.append(Path(entry.path))
        folder.inside.sort()
        self._known[path] = folder
        return folder


def _name(root: Path, path: Path) -> str:
    below = path.relative_to(root).as_posix()
    return printable(path.name if below == "." else below)


def refuse_links(folder: Path) -> None:
    """Raise UserError where a file of a run's or a study's folder is a link, or the folder is gone."""
    try:
        with os.scandir(folder) as entries:
            links = sorted(entry.name for entry in entries if entry.is_symlink())
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from None
    if links:
        raise UserError(f"{links[0]} in {folder} is a link, and this page reads nothing through links")

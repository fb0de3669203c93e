"""A case: one command line, the world that it runs in, and what it may write there."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SECONDS = 5.0  # of processor time
MEGABYTES = 1000  # above those of a process that has only loaded the package

UNDAMAGED = "nothing"  # is hostile in a case that has to work, so that the others mean something

THESIS = "\\documentclass{article} % three years of work\n"
MARKS = "roll,mark\nB20AI052,9\n"


@dataclass
class Case:
    """One command. Paths are relative to the world, whose `folder` the command runs in.

    words: of the command line. note: what is hostile here. writes: patterns of the files that the command may write,
    by `fnmatch`. whole: run as a process of its own, and not as the child of one that has everything loaded. encoding:
    of standard output and error. seconds, megabytes: what is allowed.
    """

    words: list[str]
    note: str
    folder: str = "work"
    writes: list[str] = field(default_factory=list)
    whole: bool = False
    encoding: str = "utf-8"
    seconds: float = SECONDS
    megabytes: int = MEGABYTES


@dataclass(frozen=True)
class World:
    """The folders of one case.

    sent: what somebody else made. work: where the reader stands and writes. decoy: what is the reader's and must stay.
    donors: healthy runs, studies and files, to be copied and damaged; shared by all cases and never changed.
    """

    root: Path
    donors: Path

    @property
    def sent(self) -> Path:
        """What somebody else made."""
        return self.root / "sent"

    @property
    def work(self) -> Path:
        """Where the reader stands."""
        return self.root / "work"

    @property
    def decoy(self) -> Path:
        """What nobody may touch."""
        return self.root / "decoy"

    @property
    def canary(self) -> Path:
        """A file that is there as soon as anything of the sender's was executed."""
        return self.root / "canary"

    def lay_out(self, home: Path) -> None:
        """Make the folders anew. home: whose files the reader's home begins with."""
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in (self.sent, self.work, self.decoy, self.root / "tmp"):
            folder.mkdir(parents=True)
        shutil.copytree(home, self.root / "home")
        (self.decoy / "thesis.tex").write_text(THESIS)
        (self.decoy / "marks.csv").write_text(MARKS)
        (self.work / "notes.txt").write_text("my own notes\n")

    def take(self, donor: str, name: str | None = None) -> Path:
        """Copy a healthy folder or file into the sent folder, under its own relative path or another, and return it."""
        copy = self.sent / (name or donor)
        copy.parent.mkdir(parents=True, exist_ok=True)
        source = self.donors / donor
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
        return copy


def random_of(seed: int, kind: str, number: int) -> Random:
    """Return what draws a case: the same for the same seed, kind and number."""
    return Random(f"{seed}/{kind}/{number}")


def often(random: Random, percent: float) -> bool:
    """Say yes in so many cases of a hundred."""
    return 100 * random.random() < percent

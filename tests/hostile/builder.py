"""The builder: a process of its own that makes the worlds of cases, small and with nothing of what it makes in ours."""

import json
import os
import resource
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from tests.hostile import kinds
from tests.hostile.case import Case, World, random_of

DEPTH = 10_000  # of calls, for documents may be nested deeply
# What a mistake of ours may cost the machine, for each case.
DATA = 4 * 2**30  # bytes of memory
SECONDS = 60


class Unbuilt(Exception):
    """A case could not be made: a mistake of ours."""


@dataclass
class Builder:
    """Asks the process for cases. number: its own."""

    seed: int
    number: int
    questions: TextIO
    answers: TextIO

    def build(self, world: World, kind: str, number: int) -> Case:
        """Make a case and its world. Raises Unbuilt."""
        self.questions.write(json.dumps([str(world.root), str(world.donors), kind, number]) + "\n")
        self.questions.flush()
        line = self.answers.readline()
        answer = json.loads(line) if line else f"the builder ended with {os.waitpid(self.number, 0)[1]}"
        if isinstance(answer, str):
            raise Unbuilt(answer)
        return Case(**answer)


def start(folder: Path, seed: int) -> Builder:
    """Fork the process; it ends when ours does."""
    kinds.load()
    (asked, questions), (answers, answered) = os.pipe(), os.pipe()
    number = os.fork()
    if not number:
        os.close(questions)
        os.close(answers)
        _answer(folder, seed, os.fdopen(asked), os.fdopen(answered, "w"))
    os.close(asked)
    os.close(answered)
    return Builder(seed, number, os.fdopen(questions, "w"), os.fdopen(answers))


def _late(*given: object) -> None:
    raise TimeoutError(f"a case takes more than {SECONDS} s to be made")


def _answer(folder: Path, seed: int, asked: TextIO, answered: TextIO) -> None:
    sys.setrecursionlimit(DEPTH)
    resource.setrlimit(resource.RLIMIT_DATA, (DATA, DATA))
    signal.signal(signal.SIGALRM, _late)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libraries warn of what is made wrong on purpose
    for line in asked:
        root, donors, kind, number = json.loads(line)
        world = World(Path(root), Path(donors))
        try:
            signal.alarm(SECONDS)
            world.lay_out(folder / "home")
            answer: object = asdict(kinds.make(world, kind, random_of(seed, kind, number)))
            signal.alarm(0)
        except Exception:
            answer = traceback.format_exc()[-1500:]
        answered.write(json.dumps(answer) + "\n")
        answered.flush()
    os._exit(0)

"""Jobs: the runs that a place is asked to train, each with all that it takes to train it in any process."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classlab import files
from classlab.errors import Refused, UserError
from classlab.experiment import Experiment
from classlab.runs.events import Event

# What every file of study/places holds under the name `train`.
Place = Callable[[Sequence["Job"], int, Path], Iterator[Event | None]]
SENTENCE = 300  # characters of an error that is kept


@dataclass(frozen=True)
class Job:
    """One run to train, or to continue. run: its folder, whose name holds its seed and digest.

    after: the folder of the run that must have finished before this one begins, whose weights it starts from.
    """

    run: Path
    experiment: Experiment
    seed: int
    device: str
    threads: int
    after: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What runs.execute is asked with besides the experiment, as plain data."""
        out, digest = str(self.run.parents[1]), self.run.name.rpartition("-")[2]
        return {
            "seed": self.seed, "out": out, "device": self.device, "threads": self.threads, "digest": digest,
            "resume": True,
        }  # fmt: skip


def sentence(error: BaseException) -> str:
    """Return an error in one line."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[0] if len(lines[0]) <= SENTENCE else lines[0][: SENTENCE - 1] + "…"
    return text if isinstance(error, UserError | Refused) else f"{type(error).__name__}: {text}".rstrip(": ")


def note(log: Path, job: Job, error: BaseException) -> None:
    """Write an error's traceback into a log. The log is for people: where it cannot be written, nothing is lost."""
    text = "".join(traceback.format_exception(error))
    with suppress(UserError):
        files.append(log, f"{job.experiment.name}, seed {job.seed}:\n{text}\n")

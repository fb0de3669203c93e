"""In this process, one run after the other, each with as many threads as its work can use."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from classlab.runs.events import Event, Failed
from classlab.study.jobs import Job, note, sentence


def train(jobs: Sequence[Job], processes: int, log: Path) -> Iterator[Event | None]:
    """Train the jobs in their order, see study.places; the order has what a run starts from before it."""
    from classlab.runs import execute

    for job in jobs:
        try:
            yield from execute.events(execute.ask(job.experiment, **job.options))
        except Exception as error:  # of the reader's own code there may be any kind
            note(log, job, error)
            yield Failed(job.run, sentence(error))

"""What a protocol let the test images decide, for the captions of the tables and figures that come from it."""

from collections.abc import Mapping, Sequence

from classlab.experiment import Experiment
from classlab.report import words
from classlab.runs.finished import FinishedRun

CHOSE = "the test images chose the epoch"
WATCHED = "the test images were watched after every epoch"


def note(experiment: Experiment) -> str:
    """Return what the test images decided, in a clause; nothing where they were seen once, at the end."""
    if experiment.protocol.validate_on != "test":
        return ""
    return CHOSE if experiment.chosen_on else WATCHED


def notes(experiments: Mapping[str, Experiment]) -> str:
    """Return the same of several, by name, where it is not so of all."""
    found = {name: note(experiment) for name, experiment in experiments.items()}
    clauses = []
    for clause in (CHOSE, WATCHED):
        names = [name for name, said in found.items() if said == clause]
        if names:
            clauses.append(clause if len(names) == len(found) else f"{clause} of {words.listed(names)}")
    return "; ".join(clauses)


def notes_of_runs(runs: Mapping[str, Sequence[FinishedRun]]) -> str:
    """Return the notes of the runs that there are."""
    return notes({name: seeds[0].experiment for name, seeds in runs.items() if seeds})


def sentence(clause: str) -> str:
    """Return a note as what follows a caption's sentence: nothing, or the clause as a sentence of its own."""
    return f" {words.capital(clause)}." if clause else ""


def clause(note: str) -> str:
    """Return a note as the end of a table's caption, which has no full stop."""
    return f"; {note}" if note else ""

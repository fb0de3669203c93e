"""How the page opens a run or a study: no link followed, no code run, and no file read that lies elsewhere.

With --trust the reader says that the listed folders are their own.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import lookup
from classlab.errors import UserError
from classlab.ui.listing import STUDY, refuse_links
from classlab.yaml_text import echoed, read_yaml

if TYPE_CHECKING:
    from classlab.lab import Run, StudyResult

TRUST = "CLASSLAB_UI_TRUST"  # what tells the child process
FILE_DATASETS = ("folder", "npz")
PATH_OPTIONS = ("path", "folder", "root")  # by which a dataset reads files of the reader's own


def trusted() -> bool:
    """Say whether this process was told to trust what the listed folders name."""
    return os.environ.get(TRUST) == "1"


def run(path: str) -> "Run":
    """Return the run in a folder. Raises UserError where it would have files read that lie elsewhere."""
    from classlab.lab import load_run
    from classlab.runs import store

    folder = Path(path)
    refuse_links(folder)
    if not trusted():
        file = folder / store.EXPERIMENT
        refuse_other_files(read_yaml(file), str(file))
    return load_run(folder, trust=trusted())


def study(path: str) -> "StudyResult":
    """Return the study in a folder, with the same care for each of its runs."""
    from classlab.lab import load_study

    folder, file = Path(path), Path(path) / STUDY
    refuse_links(folder)
    if not trusted():
        document = read_yaml(file)
        refuse_other_files(document, str(file))
        for key, value in settings_in(document):
            if key == "experiment" and isinstance(value, str):
                raise _only_with_trust(str(file), f"takes an experiment from {echoed(value)}")
    opened = load_study(folder, trust=trusted())
    for by_seed in opened.folders.values():
        for place in by_seed.values():
            for above in (place.parent.parent, place.parent, place):
                if above.exists():
                    refuse_links(above)
    return opened


def refuse_other_files(document: Any, where: str) -> None:
    """Raise UserError where an experiment would have files read that lie elsewhere: a contract, a dataset of files."""
    for key, value in settings_in(document):
        last = key.rpartition(".")[2]
        if last == "contract" and isinstance(value, str) and value not in lookup.names("contract"):
            raise _only_with_trust(where, f"takes its contract from the file {echoed(value)}")
        if last == "dataset":
            named = value.get("name") if isinstance(value, Mapping) else value
            reads = isinstance(value, Mapping) and any(value.get(option) is not None for option in PATH_OPTIONS)
            if named in FILE_DATASETS or reads:
                raise _only_with_trust(where, "takes its images from files of the reader's own")
        if last in PATH_OPTIONS and key != last:  # data.dataset.path in a study's settings
            raise _only_with_trust(where, "takes its images from files of the reader's own")


def _only_with_trust(where: str, what: str) -> UserError:
    return UserError(f"{where} {what}, and this page reads files outside of its folders only with --trust")


def settings_in(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of a document with its value, however deep."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield str(key).strip(), part
            yield from settings_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from settings_in(part)

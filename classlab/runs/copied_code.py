"""Code of the reader's own, kept with the run that was made with it: `code/` in the run's folder.

An edit of the reader's file then changes no run that is there already, and a run can be given away. Opening it runs
that code, so it still needs trust; and it is run only while it is what the run was made with, by its SHA-256.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from classlab import experiment as experiments
from classlab import files, limits, own_code
from classlab.errors import listing
from classlab.experiment import Experiment
from classlab.own_code import CopiedCode
from classlab.runs import records, store
from classlab.runs.preparation import changed_code, names_in
from classlab.terminal import say

NAMED = re.compile(r"""([^\s'"\[\]{},]+\.py):""")  # a file of the reader's own in a YAML file


def keep(experiment: Experiment, path: Path) -> dict[str, Any]:
    """Copy the reader's own code that an experiment names, with its neighbours, into a run's folder; return the record.

    The first folder that code comes from is `code`, a second one `code/2`: their files may have the same names.
    """
    record: dict[str, Any] = {}
    roots: dict[Path, str] = {}
    for name in sorted(set(filter(own_code.is_own_code, names_in(experiment.model_dump(mode="json"))))):
        source = name.rpartition(":")[0]
        contents = own_code.contents(name)
        if not contents:  # a module, which is installed somewhere
            continue
        root = roots.setdefault(Path(source).resolve().parent, f"{len(roots) + 1}" if roots else "")
        for below, content in contents.items():
            file = path / store.CODE / root / below
            files.make_folder(file.parent)
            store.write(file, content)
        record[source] = {"folder": root, "file": next(iter(contents)), "digests": own_code.digests_of(contents)}
    return record


def load_experiment(path: Path, trust: bool = False) -> Experiment:
    """Return the experiment of a run's folder; names of the reader's own files mean the copies that the run keeps.

    A run of an earlier version keeps none: its names mean the files that are there now, and what was edited is said.
    Raises UserError, and Untrusted for code that is not trusted.
    """
    copies = of_runs([path], path / store.EXPERIMENT)
    with own_code.copied(copies):
        experiment = experiments.load(path / store.EXPERIMENT, trust=trust)
    if not copies and any(map(own_code.is_own_code, names_in(experiment.model_dump(mode="json")))):
        changed = _changed(path, experiment)
        if changed:
            say(f"classlab: {listing(changed)} was changed since {path} was made, and no copy is kept there: what is "
                "computed now may be something else")  # fmt: skip
    return experiment


def of_runs(folders: Iterable[Path], document: Path) -> Mapping[str, CopiedCode]:
    """Return the copies that run folders keep, by the file as it was named, the first of each.

    document: a YAML file; the runs are asked only for what it names. Raises UserError for a damaged environment.json.
    """
    try:
        wanted = set(NAMED.findall(files.read_text(document, limits.YAML_BYTES)))
    except files.MissingFile:
        return {}
    found: dict[str, CopiedCode] = {}
    for folder in folders if wanted else ():
        for source, copy in _record(folder).items():
            place = folder / store.CODE / copy["folder"]
            found.setdefault(source, CopiedCode(place, copy["file"], copy["digests"]))
        if wanted <= set(found):
            break
    return found


def edited(folders: Iterable[Path], document: Path) -> list[str]:
    """Return the reader's files that runs keep a copy of, and that are others now. Arguments as for of_runs.

    The files as they are now were imported already, by whoever asked for the runs.
    """
    held = of_runs(folders, document)
    return [
        source for source, copy in held.items() if own_code.digests_of(own_code.contents(f"{source}:")) != copy.digests
    ]


def _record(folder: Path) -> Mapping[str, records.CopyRecord]:
    try:
        return records.read_environment(folder / store.ENVIRONMENT).get("copies", {})
    except files.MissingFile:
        return {}


def _changed(path: Path, experiment: Experiment) -> list[str]:
    try:
        return changed_code(records.read_environment(path / store.ENVIRONMENT), experiment)
    except files.MissingFile:
        return []

"""Compare any runs: what differs in their experiments, the table, the test, the images on which they disagree.

Nothing that an experiment names is loaded for this, neither networks nor data. So folders of other people can be
compared, and two hundred runs are read in a second or two.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files, limits, metrics
from classlab.errors import UserError
from classlab.runs import records, store
from classlab.runs.finished import FinishedRun
from classlab.study import plan, results
from classlab.study.answer import Answer, answer, watched
from classlab.study.sweep import flat, short_keys, short_values_each
from classlab.yaml_text import parse_yaml

if TYPE_CHECKING:
    import numpy as np
    import pandas

KEYS_IN_A_NAME = 3
SURE_FIRST = 400  # disagreements listed, the most confident first


@dataclass(frozen=True, eq=False)
class Compared:
    """Runs side by side, gathered into variants: runs of one experiment that differ in their seed alone.

    folders: variant -> seed -> the run's folder. documents: variant -> its resolved experiment, as the file holds it.
    measured: what each folder's run gave, see results.row.
    baseline: the variant that the others are compared with. metric: what they are held by, see study.Compare.
    """

    folders: dict[str, dict[int, Path]]
    documents: dict[str, dict[str, Any]]
    measured: dict[Path, results.Row]
    baseline: str
    metric: str

    @cached_property
    def rows(self) -> list[results.Row]:
        """One row for each run."""
        return [
            {"variant": name, "seed": seed, **self.measured[folder], "run": str(folder)}
            for name, by_seed in self.folders.items()
            for seed, folder in by_seed.items()
        ]

    @property
    def results(self) -> "pandas.DataFrame":
        """The rows as a table."""
        import pandas

        return pandas.DataFrame(self.rows, columns=results.columns(self.rows, []))

    @property
    def differences(self) -> dict[str, dict[str, str]]:
        """The settings that differ: dotted key -> variant -> its value, as short text; and what Python handed over."""
        given = {name: _given(next(iter(by_seed.values()))) for name, by_seed in self.folders.items()}
        more = {"given in Python": given} if len(set(given.values())) > 1 else {}
        weights = {name: _weights(next(iter(by_seed.values()))) for name, by_seed in self.folders.items()}
        more |= {"weights": weights} if len(set(weights.values())) > 1 else {}
        return differing_settings(self.documents) | more

    @property
    def watched(self) -> str | None:
        """The split that was evaluated after every epoch, val before test."""
        return watched(self.rows, self.metric)

    @property
    def both_answer(self) -> bool:
        """Whether there are two variants whose runs all name classes and have finished."""
        answered = all(row["status"] in results.ENDED and row["test_accuracy"] is not None for row in self.rows)
        return len(self.folders) == 2 and answered

    @cached_property
    def answer(self) -> Answer:
        """Each variant's mean with its interval, and each comparison with the baseline."""
        by_variant = {name: [row for row in self.rows if row["variant"] == name] for name in self.folders}
        folders = [folder for by_seed in self.folders.values() for folder in by_seed.values()]
        chance = next(filter(None, map(results.largest_class_share, folders)), None)
        return answer(by_variant, self.baseline, self.metric, self._right, chance)

    def sentences(self) -> list[str]:
        """Return the answer in plain words."""
        return [*self.answer.sentences(), *results.differences(self.rows)]

    def _right(self, variant: str, seed: int) -> "np.ndarray | None":
        return results.right(self.folders[variant][seed])

    def disagreements(self) -> list[dict[str, Any]]:
        """Return the test images on which two variants' answers differ, those with the most confident answers first.

        Each row: index in the test set, true, first, second (class numbers), sure (the product of both confidences).
        Several seeds answer together, by the mean of their probabilities. Raises UserError unless there are two
        variants whose runs classify and have finished.
        """
        import numpy as np

        if len(self.folders) != 2:
            raise UserError(f"disagreements are between two variants; got {len(self.folders)}: name the runs of two")
        (first, labels), (second, _) = (_probabilities(list(by_seed.values())) for by_seed in self.folders.values())
        answers = first.argmax(1), second.argmax(1)
        places = np.flatnonzero(answers[0] != answers[1])
        sure = first.max(1)[places] * second.max(1)[places]
        order = places[np.argsort(-sure, kind="stable")]
        return [
            {
                "index": int(place),
                "true": int(labels[place]),
                "first": int(answers[0][place]),
                "second": int(answers[1][place]),
                "sure": float(first[place].max() * second[place].max()),
            }
            for place in order
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as a program reads it."""
        document = {
            **self.answer.to_json(),
            "differences": self.differences,
            "sentences": self.sentences(),
            "runs": [{key: value for key, value in row.items() if key != "seconds"} for row in self.rows],
        }
        if self.both_answer and self.metric.endswith("accuracy"):
            found = self.disagreements()
            document["disagreements"] = {"count": len(found), "images": found[:SURE_FIRST]}
        return document

    def __repr__(self) -> str:
        runs = sum(map(len, self.folders.values()))
        return f"Compared({len(self.folders)} variants, {runs} runs, by {self.metric})"


def compare(*runs: Any, metric: str | None = None) -> Compared:
    """Put runs side by side; the first one's variant is the baseline.

    runs: run folders, folders that hold some (a study's), Run objects, or lists of them. metric: see study.Compare;
    None takes the test accuracy, or the test loss where no run has an accuracy. Raises UserError for runs of other
    datasets.
    """
    if metric is not None and not metrics.PATTERN.fullmatch(metric):
        raise UserError(f"metric must be one like {', '.join(metrics.NAMES[:8])}; got {metric!r}")
    folders = find([getattr(run, "path", run) for run in _spread(runs)])
    _check_same_images(folders)
    folders_of: dict[str, dict[int, Path]] = {}
    documents: dict[str, dict[str, Any]] = {}
    parsed: dict[str, dict[str, Any]] = {}
    for folder in folders:
        document = _document(folder, parsed)
        key = f"{json.dumps({**document, 'description': ''}, sort_keys=True)} {_digest(folder)}"
        seed = _environment(folder)["seed"]
        twin = folders_of.setdefault(key, {}).setdefault(seed, folder)
        if twin != folder:
            raise UserError(f"{twin} and {folder} are the same experiment with the same seed; a seed counts once")
        documents[key] = document
    names = _names(documents, {key: next(iter(by_seed.values())) for key, by_seed in folders_of.items()})
    named = {names[key]: dict(sorted(by_seed.items())) for key, by_seed in folders_of.items()}
    measured = {folder: results.row(folder) for folder in folders}
    if metric is None:
        accuracy = any(row.get("test_accuracy") is not None for row in measured.values())
        loss = any(row.get("test_loss") is not None for row in measured.values())
        metric = "test_loss" if loss and not accuracy else "test_accuracy"
    return Compared(named, {names[key]: documents[key] for key in folders_of}, measured, next(iter(named)), metric)


def find(paths: Sequence[str | Path]) -> list[Path]:
    """Return the run folders that the paths are or hold, each once. Raises UserError where there is none."""
    found: dict[Path, Path] = {}
    for path in map(store.named, paths):
        inside = [path]
        if not (path / store.EXPERIMENT).is_file():
            inside = sorted(file.parent for file in path.rglob(store.EXPERIMENT)) if path.is_dir() else []
            planned = [(path / run.run) for run in plan.read(path).runs]  # of a study, in its own order
            inside = [folder for folder in planned if folder in inside] + [
                folder for folder in inside if folder not in planned
            ]
        if not inside:
            raise UserError(store.no_run(path, f" and holds none: there is no {store.EXPERIMENT}"))
        found.update({folder.resolve(): folder for folder in inside})
    if not found:
        raise UserError("compare needs runs: run folders, or a folder that holds some")
    return list(found.values())


def _spread(given: Sequence[Any]) -> list[Any]:
    return [run for part in given for run in (part if isinstance(part, list | tuple) else [part])]


def _document(folder: Path, parsed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the resolved experiment as its file holds it; equal files are parsed once."""
    file = folder / store.EXPERIMENT
    text = files.read_text(file, limits.YAML_BYTES)
    if text not in parsed:
        document = parse_yaml(text, str(file))
        if not isinstance(document, dict) or not isinstance(document.get("name"), str):
            raise UserError(f"{file} does not hold an experiment")
        parsed[text] = document
    return parsed[text]


def _environment(folder: Path) -> records.Environment:
    return records.read_environment(folder / store.ENVIRONMENT)


def _digest(folder: Path) -> str:
    """Return the digest in a run folder's name: it also stands for what Python handed over, which no file tells."""
    found = re.match(r"s\d+-([0-9a-f]{8})", folder.name)
    return found.group(1) if found else ""


def _weights(folder: Path) -> str:
    """Return whether a run's weights were trained here."""
    record = records.read_environment(folder / store.ENVIRONMENT).get("imported")
    return f"imported from {record['file']}" if record else "trained here"


def _given(folder: Path) -> str:
    """Return what Python handed over to a run, told apart by its digest; "nothing" where the experiment says it all."""
    given = _environment(folder)["given_in_python"]
    return f"{', '.join(given)} {_digest(folder)}".strip() if given else "nothing"


def _check_same_images(folders: Sequence[Path]) -> None:
    import numpy as np

    first, labels = folders[0], None
    name = _environment(first)["dataset"]["name"]
    for folder in folders:
        other = _environment(folder)["dataset"]["name"]
        if other != name:
            raise UserError(f"runs of one dataset can be compared; {first} is of {name}, {folder} of {other}")
        tested = results.test_labels(folder)
        if labels is None:
            first, labels = (first, None) if tested is None else (folder, tested)
        elif tested is not None and not np.array_equal(labels, tested):
            raise UserError(
                f"runs tested on the same images can be compared; {first} was tested on {len(labels):,} images of "
                f"{name}, {folder} on {'other' if len(tested) == len(labels) else f'{len(tested):,}'} images of it"
            )


def differing_settings(documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the settings that differ: dotted key -> variant -> its value, as short text. documents: by variant."""
    flats = {name: flat(document) for name, document in documents.items()}
    keys = list(dict.fromkeys(key for settings in flats.values() for key in settings))
    found = {}
    for key in keys:
        values = [settings.get(key) for settings in flats.values()]
        if key != "description" and any(value != values[0] for value in values):
            found[key] = dict(zip(flats, short_values_each(values), strict=True))
    return found


def _names(documents: dict[str, dict[str, Any]], folders: dict[str, Path]) -> dict[str, str]:
    """Return a name of its own for each variant.

    It is its experiment's name, or what differs if that is little, or the name with the digest of its folder. A folder
    that somebody renamed shows no digest: then the folder's name stands for it, and if even these agree, a number.
    """
    differing = differing_settings(documents)
    keys = short_keys([key for key in differing if key != "name"])
    by_experiment = {key: document["name"] for key, document in documents.items()}
    if len(set(by_experiment.values())) == len(documents):
        return by_experiment
    named: dict[str, str] = {}
    for key in documents:
        parts = [by_experiment[key]] if "name" in differing else []
        parts += [f"{short}={differing[dotted][key]}" for dotted, short in keys.items()]
        named[key] = ", ".join(parts)
    if 0 < len(keys) <= KEYS_IN_A_NAME and len(set(named.values())) == len(documents):
        return named
    named = {key: f"{by_experiment[key]} {_digest(folder) or folder.name}" for key, folder in folders.items()}
    if len(set(named.values())) < len(named):
        named = {key: f"{name} #{place}" for place, (key, name) in enumerate(named.items(), start=1)}
    return named


def _probabilities(folders: Sequence[Path]) -> "tuple[np.ndarray, np.ndarray]":
    """Return the mean over runs of each image's probabilities (count, classes), and the labels (count,)."""
    import numpy as np

    runs = [FinishedRun(folder) for folder in folders]
    return np.mean([run.probabilities() for run in runs], axis=0), runs[0].labels()

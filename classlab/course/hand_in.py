"""A hand-in: what a task asks of a student's runs in one archive, nothing else, and looked at as the teacher will.

The archive holds task.yaml and a folder for each run. Such a folder holds experiment.yaml, metrics.csv, summary.json,
environment.json, split.json, log.txt, predictions.npz and last.safetensors (best.safetensors where the protocol selects
it). It may also hold epochs/ where the task asks for every epoch, report.html, code/ and graph.onnx. The last is the
graph of a student's network, which can be read without running code.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from classlab import contract as contracts
from classlab import files, limits
from classlab.contract import Check
from classlab.course import check as checks
from classlab.course import hand_in_archive, task_file
from classlab.course.rubric import MeasuredRun
from classlab.course.task_file import AskedRun, TaskFile
from classlab.errors import UserError, listing
from classlab.json_text import to_json
from classlab.own_code import Untrusted
from classlab.runs import records, store

REPORT = "report.html"
# A run's files that are text or small, and are handed in where they are there.
KEPT = (store.EXPERIMENT, store.METRICS, store.SUMMARY, store.ENVIRONMENT, store.SPLIT, store.LOG, store.PREDICTIONS)
WANTED = (store.EXPERIMENT, store.METRICS, store.SUMMARY, store.ENVIRONMENT, store.LAST)
RECORDED = ("name", "measured", "checks", "notes", "weights", "problem")  # of a WeighedRun
TEXTS = (".yaml", ".json", ".csv", ".txt", ".html", ".py")


@dataclass(frozen=True)
class WeighedRun:
    """A run of a hand-in measured again. problem: why it could not be measured, "" where it could."""

    name: str
    measured: dict[str, Any]
    checks: list[Check]
    notes: list[str]
    weights: str = ""
    problem: str = ""

    def for_points(self) -> MeasuredRun | None:
        """Return what points need, None where it could not be measured."""
        if self.problem:
            return None
        return MeasuredRun(tuple(self.checks), self.measured.get("test_accuracy"))

    @property
    def passed(self) -> bool:
        """Whether it was measured and every check passed."""
        return not self.problem and contracts.verdict(self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "checks": [vars(check) for check in self.checks]}

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "WeighedRun":
        """Return what `to_json` gave."""
        checked = [Check(**check) for check in fields["checks"]]
        return WeighedRun(
            fields["name"], fields["measured"], checked, fields["notes"], fields["weights"], fields["problem"]
        )


def assign_runs(folders: Sequence[Path], task: TaskFile) -> dict[str, Path]:
    """Return the run of each experiment that a task asks for, by the digest. Raises UserError for another or none."""
    found: dict[str, Path] = {}
    by_digest = {asked.digest: name for name, asked in task.runs.items()}
    for folder in folders:
        about = store.read_about(folder / store.LAST)
        name = by_digest.get(str(about.get("experiment")))
        if name is None:
            raise UserError(f"{folder} is not a run of this task: it was trained under another experiment than "
                            f"{listing(f'{name}.yaml' for name in task.runs)} of task {task.task}")  # fmt: skip
        if about.get("seed") != task.seed:
            raise UserError(f"{folder} has seed {about.get('seed')}, and task {task.task} asks for seed {task.seed}")
        if name in found:
            raise UserError(f"{found[name]} and {folder} are both runs of {name}.yaml; hand in the one that counts")
        found[name] = folder
    return found


def contents(
    runs: Mapping[str, Path], task: TaskFile, reports: Mapping[str, bytes], graphs: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the files of a hand-in by name. Raises UserError for a run that is not whole.

    reports: each run's, as HTML. graphs: of networks of the student's own, as ONNX.
    """
    made = {task_file.FILE: task.to_yaml().encode()}
    for name, folder in runs.items():
        for file in _files_of(folder, task):
            made[f"{name}/{file}"] = _content(folder, file, task.task)
        if name in reports:
            made[f"{name}/{REPORT}"] = reports[name]
        if name in graphs:
            made[f"{name}/{store.GRAPH}"] = graphs[name]
        _check_private(made, name, folder)
    return made


def _files_of(folder: Path, task: TaskFile) -> list[str]:
    missing = [file for file in WANTED if not (folder / file).is_file()]
    if missing:
        raise UserError(f"{folder} is not a finished run: it has no {listing(missing)}")
    names = [file for file in (*KEPT, store.LAST, store.BEST) if (folder / file).is_file()]
    names += sorted(file.relative_to(folder).as_posix() for file in (folder / store.CODE).rglob("*.py"))
    if task.keep_epochs:
        epochs = records.read_summary(folder / store.SUMMARY)["epochs"]
        for epoch in range(epochs + 1):
            file = store.epoch_checkpoint(folder, epoch)
            if not file.is_file():
                raise UserError(f"the task asks to keep every epoch, and {folder} has no {store.EPOCHS}/{file.name}")
            names.append(f"{store.EPOCHS}/{file.name}")
    return names


def _content(folder: Path, file: str, code: str) -> bytes:
    """Return a file of a run as it is handed in: where it lay on the student's machine is left out."""
    content = files.read(folder / file, limits.HAND_IN_BYTES)
    if file == store.SUMMARY:
        content = to_json({**json.loads(content), "run": code}).encode() + b"\n"
    elif file == store.ENVIRONMENT:
        held = json.loads(content)
        source = re.sub(r"(/|[A-Za-z]:\\)\S*", "a folder", held["dataset"]["source"])
        held["dataset"] = {**held["dataset"], "source": source}
        content = to_json(held).encode() + b"\n"
    return content


def _check_private(made: Mapping[str, bytes], name: str, folder: Path) -> None:
    """Raise UserError where a text still names the student's own folder."""
    homes = {str(Path.home()).encode(), str(folder.resolve().parent).encode()} - {b"/", b"/root"}
    for file, content in made.items():
        if file.startswith(f"{name}/") and file.endswith(TEXTS) and any(home in content for home in homes):
            raise UserError(f"{file} names a folder of this machine, which no hand-in shall hold; train again from the "
                            "task's folder, with files named without their path")  # fmt: skip


def problems(made: Mapping[str, bytes]) -> list[str]:
    """Return why an archive of these files would be refused by the teacher's command."""
    total = sum(map(len, made.values()))
    if len(made) > limits.HAND_IN_FILES:
        return [f"it would hold {len(made):,} files, at most {limits.HAND_IN_FILES:,} are taken"]
    return [f"it would unpack to {total:,} bytes, at most {limits.HAND_IN_BYTES:,} are taken"] * (
        total > limits.HAND_IN_BYTES
    )


def unpacked(path: Path, folder: Path, name: str) -> Path:
    """Unpack a hand-in below a folder and return where its task.yaml lies. Raises BadFile and UserError."""
    with hand_in_archive.opened(path, name) as (archive, members):
        hand_in_archive.unpack(archive, members, folder, name)
    return root(folder, name)


def root(folder: Path, name: str) -> Path:
    """Return the folder, at most four below, that holds the task.yaml of a hand-in. Raises UserError."""
    found = [place for depth in range(5) for place in folder.glob("*/" * depth + task_file.FILE) if place.is_file()]
    if not found:
        raise UserError(f"{name} is not a hand-in: there is no {task_file.FILE} in it; classlab hand-in writes one")
    return found[0].parent


def weigh(place: Path, task: TaskFile, trust: bool = False) -> list[WeighedRun]:
    """Measure every run that a task asks for again, from an unpacked hand-in. Nothing of it is run without trust."""
    return [_weigh(place / name, name, asked, task.seed, trust) for name, asked in task.runs.items()]


def _weigh(folder: Path, name: str, asked: AskedRun, seed: int, trust: bool) -> WeighedRun:
    if not (folder / store.EXPERIMENT).is_file():
        return WeighedRun(name, {}, [], [], problem=f"the run {name} is missing")
    try:
        run = checks.check(folder, asked.contract, trust, measure=("test",))
    except Untrusted:
        why = "more than its network is code of the student's own"
        if not (folder / store.GRAPH).is_file():
            why = f"it names code of the student's own and there is no {store.GRAPH} that stands for it"
        return WeighedRun(name, {}, [], [], problem=f"the run {name} is not measured: {why}; --trust runs that code")
    except UserError as error:
        return WeighedRun(name, {}, [], [], problem=_without(str(error), folder))
    same = run.digest == asked.digest
    word = "kept" if same else "not kept"
    found = [Check("task_experiment", asked.digest, run.digest, same, f"the experiment is {run.digest}, the task's is "
                   f"{asked.digest}: {word}"), _seed_check(run.seed, seed)]  # fmt: skip
    notes = [_without(note, folder) for note in (*run.notes, *_edited_metrics(folder))]
    cleaned = [replace(each, sentence=_without(each.sentence, folder)) for each in run.checks]
    return WeighedRun(name, run.measured, [*found, *cleaned], notes, run.weights)


def _seed_check(seed: int | None, wanted: int) -> Check:
    word = "kept" if seed == wanted else "not kept"
    return Check("student_seed", wanted, str(seed), seed == wanted, f"seed {seed}, the task's is {wanted}: {word}")


def _without(sentence: str, folder: Path) -> str:
    """Leave out where the hand-in was unpacked."""
    return sentence.replace(f"{folder}/", "").replace(str(folder), f"the run {folder.name}")


def _edited_metrics(folder: Path) -> list[str]:
    """Say where metrics.csv gives other losses than the checkpoint counted."""
    try:
        rows = store.read_metrics(folder / store.METRICS)
        losses = store.read_checkpoint(folder / store.LAST)["losses"].tolist()
        watched = ["val_loss", "test_loss", "train_loss"]
        if len(rows) != len(losses):
            return [f"{store.METRICS} has {len(rows)} epochs, the checkpoint counts {len(losses)}"]
        for row, loss in zip(rows, losses, strict=True):
            if not any(name in row and row[name] == loss for name in watched) and loss == loss:
                return [f"{store.METRICS} gives epoch {row['epoch']} another loss than the checkpoint, which has "
                        f"{loss:.4f}"]  # fmt: skip
    except (UserError, KeyError, TypeError) as error:
        return [str(error)]
    return []

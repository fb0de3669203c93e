"""One hand-in measured in a process of its own: unpacked, evaluated again, its training proved, its traits taken."""

import contextlib
import io
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
import pydantic
from typing_extensions import TypedDict

from classlab import files, limits, own_code
from classlab.course import confined as confined_process
from classlab.course import hand_in, hand_in_archive, task_file, training_proof
from classlab.course.collection import Source
from classlab.course.copies import Traits, words_of
from classlab.course.task_file import TaskFile
from classlab.errors import UserError
from classlab.json_text import to_json
from classlab.runs import records, store

COMPARED_IMAGES = 300
RECORD, NUMBERS = "record.json", "traits.npz"  # that a process which is cut off writes
Draw = tuple[str, str, int]  # what epochs are drawn by, the hand-in's digest, how many
Numbers = dict[str, np.ndarray]


class MeasuredRecord(TypedDict, total=False):
    """What was measured, by the keys of contract.check_after."""

    parameters: int
    epochs: int | None
    seconds: float
    val_correct: int
    val_total: int
    val_accuracy: float
    test_correct: int
    test_total: int
    test_accuracy: float


class ProofRecord(TypedDict):
    """A proof as it is recorded, see training_proof.Proof."""

    word: training_proof.Word
    sentence: str
    epochs: list[int]
    distances: list[float]


class RunRecord(TypedDict):
    """A run as it is recorded: what hand_in.WeighedRun holds, and what networks are compared by."""

    name: str
    measured: MeasuredRecord
    checks: list[records.CheckRecord]
    notes: list[str]
    weights: str
    problem: str
    proof: NotRequired[ProofRecord | None]
    seed: NotRequired[int | None]
    curve: NotRequired[list[str]]
    words: NotRequired[list[str]]


RUNS = pydantic.TypeAdapter(list[RunRecord])


@dataclass(frozen=True)
class Job:
    """What a process needs to weigh a hand-in. tasks: of the class, by code. secret: what epochs are drawn by."""

    source: Source
    tasks: Mapping[str, TaskFile]
    secret: str
    spot_checks: int
    trust: bool
    record: Path


def weigh(job: Job) -> str:
    """Weigh a hand-in, write its record and traits, and return the record's name."""
    import torch

    torch.set_num_threads(1)
    document, traits = _weighed(job)
    if traits:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **traits)  # pyrefly: ignore[bad-argument-type]
        files.write(_held(job.record), buffer.getvalue())
    files.write(job.record, to_json(document) + "\n")
    return job.record.name


def _held(record: Path) -> Any:
    return record.with_suffix(".npz")


def _weighed(job: Job) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    source = job.source
    document: dict[str, Any] = {"source": source.name, "code": None, "problem": source.problem, "runs": []}
    if source.problem:
        return document, {}
    with tempfile.TemporaryDirectory(prefix="classlab-grade-") as place:
        try:
            root = _unpacked(source, Path(place))
            claimed = task_file.read(root / task_file.FILE).task
            document["code"] = claimed
            task = job.tasks.get(claimed)
            if task is None:
                raise UserError(f"{source.name} is for task {claimed}, which nobody in the class list has")
            draw = job.secret, source.digest, job.spot_checks
            if job.trust and any((root / name / store.CODE).is_dir() for name in task.runs):
                runs, traits = _measured_apart(root, task, draw)
            else:
                runs, traits = _measured(root, task, draw, trust=False)
        except UserError as error:
            return {**document, "problem": str(error).replace(f"{place}/", "")}, {}
        document["runs"] = runs
        document["report"] = any((root / name / hand_in.REPORT).is_file() for name in task.runs)
        return document, traits


def _measured(root: Path, task: TaskFile, draw: Draw, trust: bool) -> tuple[list[dict[str, Any]], Numbers]:
    """Return what is recorded of each run of an unpacked hand-in, and what it is compared by."""
    runs, traits = [], {}
    for run in hand_in.weigh(root, task, trust):
        folder, record = root / run.name, run.to_json()
        if not run.problem:
            record["proof"] = _proof(folder, run.name, task, draw, trust)
            traits |= {f"{run.name}.{key}": value for key, value in _traits(folder, trust).items()}
            record |= _about(folder)
        runs.append(record)
    return runs, traits


def _measured_apart(root: Path, task: TaskFile, draw: Draw) -> tuple[list[dict[str, Any]], Numbers]:
    """Return the same of a hand-in whose code is run, in a process that is cut off. Raises UserError."""
    _fetch_data(root, task)
    job = to_json({"root": str(root.resolve()), "task": task.model_dump(mode="json"), "draw": draw})
    with tempfile.TemporaryDirectory(prefix="classlab-confined-") as place:
        folder = Path(place)
        if problem := confined_process.run(job, folder):
            raise UserError(problem)
        try:
            runs = RUNS.validate_json(files.read(folder / RECORD, limits.RECORD_BYTES * 10))
            traits = _read_numbers(folder / NUMBERS)
            for run in runs:
                hand_in.WeighedRun.from_json({key: run[key] for key in hand_in.RECORDED})
        except (ValueError, OSError, KeyError, TypeError, UserError, zipfile.BadZipFile):
            raise UserError("the student's code wrote over what was found of it") from None
    for run in runs:
        run["notes"] = [*run["notes"], "the student's code was run: the figures are what its process says"]
    return [dict(run) for run in runs], traits


def _fetch_data(root: Path, task: TaskFile) -> None:
    """Have the images at hand that a process without network will ask for."""
    from classlab.course.graph_network import without_code
    from classlab.data.loading import prepare

    for name in task.runs:
        with contextlib.suppress(UserError):  # it will be said of the run itself
            prepare(without_code(root / name).data)


def confined(job: dict[str, Any], folder: Path) -> None:
    """Do the part of a weighing that runs a student's code; called in a process that is cut off."""
    import torch

    torch.set_num_threads(1)
    secret, digest, count = job["draw"]
    with own_code.trusting():
        runs, traits = _measured(Path(job["root"]), TaskFile(**job["task"]), (secret, digest, count), trust=True)
    (folder / RECORD).write_text(to_json(runs), encoding="utf-8")
    np.savez_compressed(folder / NUMBERS, **traits)  # pyrefly: ignore[bad-argument-type]


def _read_numbers(file: Path) -> Numbers:
    content = files.read(file, limits.HAND_IN_BYTES)  # of a plain file alone, and no more of it
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _unpacked(source: Source, place: Path) -> Path:
    if source.path.is_dir():
        return source.path
    with hand_in_archive.opened(source.path, source.name) as (archive, members):
        inside = [part for part in members if not source.inside or part.name.startswith(f"{source.inside}/")]
        hand_in_archive.unpack(archive, inside, place, source.name)
    return place / source.inside


def _proof(folder: Path, name: str, task: TaskFile, draw: Draw, trust: bool) -> dict[str, Any] | None:
    secret, digest, count = draw
    if not task.keep_epochs or not count:
        return None
    return training_proof.prove(folder, name, task.seed, secret, digest, count, trust).to_json()


def _about(folder: Path) -> dict[str, Any]:
    """Return the seed, the curve and the report's words, which are compared with the class's others."""
    rows = store.read_metrics(folder / store.METRICS) if (folder / store.METRICS).is_file() else []
    report = folder / hand_in.REPORT
    words = words_of(files.read(report, limits.HAND_IN_BYTES).decode(errors="replace")) if report.is_file() else ()
    about = store.read_about(folder / store.LAST)
    return {"seed": about.get("seed"), "curve": [repr(row["train_loss"]) for row in rows[:200]], "words": sorted(words)}


def _traits(folder: Path, trust: bool = False) -> dict[str, np.ndarray]:
    """Return what networks are compared by: sampled weights, and the answers to some test images."""
    from classlab.course.copies import SAMPLED_WEIGHTS
    from classlab.course.graph_network import opened

    experiment, graph = opened(folder, trust)
    state = store.read_checkpoint(store.selected(folder, experiment.protocol.select))
    matrices = [(name, value.float()) for name, value in sorted(state.items())
                if name.startswith("model.") and value.dim() >= 2]  # fmt: skip
    flat = np.concatenate([value.flatten().numpy() for _, value in matrices]) if matrices else np.zeros(0, np.float32)
    step = max(1, -(-flat.size // SAMPLED_WEIGHTS))
    shapes = str([(name, tuple(value.shape)) for name, value in matrices])
    answers, labels = _answers(experiment, state, graph)
    return {"weights": flat[::step], "shapes": np.array(shapes), "answers": answers, "labels": labels}


def _answers(experiment: Any, state: Any, graph: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return a classifier's logits for the first test images and their labels; of a reconstruction none."""
    import torch

    from classlab.models.make import load_weights
    from classlab.runs.preparation import prepare
    from classlab.training.task import reconstructs

    if reconstructs(experiment.training.loss):
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    prepared = prepare(experiment, 0, {**graph}, None)
    if not graph:
        load_weights(prepared.model, state, "the hand-in")
    images = torch.from_numpy(prepared.dataset.test_images[:COMPARED_IMAGES]).float() / 255
    mean, std = (torch.tensor(part).view(1, -1, 1, 1) for part in (prepared.mean, prepared.std))
    with torch.no_grad():
        logits = prepared.model.eval()((images - mean) / std)
    return logits.float().numpy(), prepared.dataset.test_labels[:COMPARED_IMAGES].astype(np.int64)


def read_traits(record: Path, document: Mapping[str, Any], student: str, wanted_seed: int) -> list[Traits]:
    """Return the traits of a hand-in's runs, from its record and the file beside it."""
    if not _held(record).is_file():
        return []
    made = []
    with np.load(_held(record), allow_pickle=False) as held:
        for run in document["runs"]:
            name = run["name"]
            if f"{name}.weights" in held:
                made.append(
                    Traits(
                        student, name, run.get("seed"), wanted_seed, str(held[f"{name}.shapes"]), run["weights"],
                        held[f"{name}.weights"], held[f"{name}.answers"], held[f"{name}.labels"],
                        tuple(run.get("curve", ())), frozenset(run.get("words", ())),
                    )
                )  # fmt: skip
    return made

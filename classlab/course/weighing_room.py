"""One hand-in weighed in a process of its own: unpacked, measured again, its training proved, its traits taken."""

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classlab import files, limits
from classlab.course import hand_in, hand_in_archive, task_file, training_proof
from classlab.course.collection import Source
from classlab.course.copies import Traits, words_of
from classlab.course.task_file import TaskFile
from classlab.errors import UserError
from classlab.json_text import to_json
from classlab.runs import copied_code, store

COMPARED_IMAGES = 300


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
            weighed = hand_in.weigh(root, task, job.trust)
        except UserError as error:
            return {**document, "problem": str(error).replace(f"{place}/", "")}, {}
        document["runs"] = [run.to_json() for run in weighed]
        document["report"] = any((root / run.name / hand_in.REPORT).is_file() for run in weighed)
        traits: dict[str, np.ndarray] = {}
        for number, run in enumerate(weighed):
            folder = root / run.name
            if not run.problem:
                document["runs"][number]["proof"] = _proof(job, folder, run.name, task)
                traits |= {f"{run.name}.{key}": value for key, value in _traits(folder).items()}
                document["runs"][number] |= _about(folder)
        return document, traits


def _unpacked(source: Source, place: Path) -> Path:
    if source.path.is_dir():
        return source.path
    with hand_in_archive.opened(source.path, source.name) as (archive, members):
        inside = [part for part in members if not source.inside or part.name.startswith(f"{source.inside}/")]
        hand_in_archive.unpack(archive, inside, place, source.name)
    return place / source.inside


def _proof(job: Job, folder: Path, name: str, task: TaskFile) -> dict[str, Any] | None:
    if not task.keep_epochs or not job.spot_checks:
        return None
    return training_proof.prove(folder, name, task.seed, job.secret, job.source.digest, job.spot_checks).to_json()


def _about(folder: Path) -> dict[str, Any]:
    """Return the seed, the curve and the report's words, which are compared with the class's others."""
    rows = store.read_metrics(folder / store.METRICS) if (folder / store.METRICS).is_file() else []
    report = folder / hand_in.REPORT
    words = words_of(files.read(report, limits.HAND_IN_BYTES).decode(errors="replace")) if report.is_file() else ()
    about = store.read_about(folder / store.LAST)
    return {"seed": about.get("seed"), "curve": [repr(row["train_loss"]) for row in rows[:200]], "words": sorted(words)}


def _traits(folder: Path) -> dict[str, np.ndarray]:
    """Return what networks are compared by: sampled weights, and the answers to some test images."""
    from classlab.course.copies import SAMPLED_WEIGHTS

    experiment = copied_code.load_experiment(folder)
    state = store.read_checkpoint(store.selected(folder, experiment.protocol.select))
    matrices = [(name, value.float()) for name, value in sorted(state.items())
                if name.startswith("model.") and value.dim() >= 2]  # fmt: skip
    flat = np.concatenate([value.flatten().numpy() for _, value in matrices]) if matrices else np.zeros(0, np.float32)
    step = max(1, -(-flat.size // SAMPLED_WEIGHTS))
    shapes = str([(name, tuple(value.shape)) for name, value in matrices])
    answers, labels = _answers(experiment, state)
    return {"weights": flat[::step], "shapes": np.array(shapes), "answers": answers, "labels": labels}


def _answers(experiment: Any, state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a classifier's logits for the first test images and their labels; of a reconstruction none."""
    import torch

    from classlab.models.make import load_weights
    from classlab.runs.preparation import prepare
    from classlab.training.task import reconstructs

    if reconstructs(experiment.training.loss):
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    prepared = prepare(experiment, 0, {}, None)
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

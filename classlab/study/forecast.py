"""What a study will take: every variant checked before anything trains, its work counted, its time measured."""

import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from classlab.data.loading import NOT_FETCHED
from classlab.errors import Refused, UserError
from classlab.experiment import Data, Experiment
from classlab.runs import records, store
from classlab.study.sweep import Variant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from classlab.data.dataset import Dataset
    from classlab.runs.preparation import Prepared
    from classlab.training.batches import Images
    from classlab.training.settings import Settings

MEASURED = "a short measurement"
MEASURED_SECONDS = 1.0  # of training steps, for each kind of work
WARM_UP_BATCHES = 2
EVALUATED_IMAGES = 1000
# Tensors as large as the weights that an optimizer keeps besides them; of the reader's own, the most there are here.
SLOTS = {"sgd": 1}
MOST_SLOTS = 2


@dataclass(frozen=True)
class Work:
    """What one run of a variant is.

    images: trained on in an epoch. steps: of the whole run. threads, device: chosen as for a run alone.
    disk: bytes of its folder.
    """

    variant: str
    parameters: int
    multiply_adds: int | None
    images: int
    epochs: int
    batch_size: int
    steps: int
    threads: int
    device: str
    disk: int


@dataclass(frozen=True)
class Seconds:
    """How long one run takes alone, and how that is known: from "finished runs" or from "a short measurement".

    step: which step trains it and why, in a sentence; nothing where an earlier version trained it.
    """

    seconds: float
    known_from: str
    step: str = ""


def check(variants: Sequence[Variant], device: str | None, fetch: bool = True) -> dict[str, Work]:
    """Return the work of every variant, having checked its data, its network's shapes and its contract.

    fetch: whether the network may be asked for data; else others of the same sizes stand in, see data.loading.
    Raises UserError or Refused for the first variant that cannot be trained, naming it.
    """
    return {variant.name: _work(variant, device, fetch) for variant in variants}


def _work(variant: Variant, device: str | None, fetch: bool) -> Work:
    from classlab.training.settings import choose

    experiment, plan = variant.experiment, variant.experiment.training
    prepared = prepared_for(variant, fetch)
    images = prepared.epoch_images
    settings = choose(device, plan, prepared.model, prepared.multiply_adds)
    return Work(
        variant=variant.name,
        parameters=prepared.parameters,
        multiply_adds=prepared.multiply_adds,
        images=images,
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        steps=plan.epochs * math.ceil(images / plan.batch_size),
        threads=settings.threads,
        device=settings.device,
        disk=_disk(experiment, prepared),
    )


def prepared_for(variant: Variant, fetch: bool) -> "Prepared":
    """Return a variant's data and network for seed 0. Raises as `check` does."""
    from classlab.runs.preparation import prepare, refuse

    try:
        prepared = prepare(variant.experiment, 0, {}, None, _dataset(variant.experiment.data.model_dump_json(), fetch))
        refuse(prepared)
    except UserError as error:
        raise UserError(f"variant {variant.name}: {error}") from None
    except Refused as error:
        raise Refused(f"variant {variant.name}: {error}") from None
    return prepared


@functools.lru_cache(maxsize=1)
def _dataset(data: str, fetch: bool) -> "Dataset":
    """Return the dataset of a data section, as JSON; the last one is kept, for variants mostly share theirs."""
    from classlab.data.loading import prepare

    return prepare(Data.model_validate_json(data), fetch=fetch)


def _disk(experiment: Experiment, prepared: "Prepared") -> int:
    """Return the bytes of a run folder: its checkpoints and the test set's outputs, which are nearly all of it."""
    slots = SLOTS.get(experiment.training.optimizer.name, MOST_SLOTS)
    checkpoints = 1 if experiment.protocol.validate_on == "none" else 2
    dataset = prepared.dataset
    outputs = len(dataset.test_labels) * 4 * (len(dataset.class_names) + 2)
    return checkpoints * prepared.parameters * 4 * (1 + slots) + outputs


def times(
    variants: Sequence[Variant],
    device: str | None,
    folders: Mapping[str, Sequence[Path]],
    threads: int | None = None,
    fetch: bool = True,
) -> dict[str, Seconds]:
    """Return how long one run of each variant takes.

    folders: variant -> where its runs are or would be; finished ones are believed, else some steps are timed. Variants
    that differ in their learning rate or weight decay alone are the same work and are timed once. threads: of each run,
    None as it would choose.
    fetch: whether the network may be asked for data, as for `check`.
    """
    known: dict[str, Seconds] = {}
    for variant in variants:
        found = _from_runs(folders.get(variant.name, ()))
        if found is not None:
            known[_kind(variant.experiment)] = replace(found, known_from="finished runs")
    for variant in variants:
        if _kind(variant.experiment) not in known:
            prepared = prepared_for(variant, fetch)
            seconds, step = _measured(variant.experiment, prepared, device, threads)
            stood_in = prepared.dataset.source == NOT_FETCHED
            known_from = (
                f"a short measurement without {prepared.dataset.name}, which is not fetched yet"
                if stood_in
                else MEASURED
            )
            known[_kind(variant.experiment)] = Seconds(seconds, known_from, step)
    each = {
        variant.name: (known[_kind(variant.experiment)], variant.experiment.training.epochs) for variant in variants
    }
    return {name: replace(epoch, seconds=epoch.seconds * epochs) for name, (epoch, epochs) in each.items()}


def _from_runs(folders: Sequence[Path]) -> Seconds | None:
    """Return the seconds of an epoch in the runs that are finished, and the step of the first."""
    finished = [folder for folder in folders if (folder / store.SUMMARY).exists()]
    summaries = [records.read_summary(folder / store.SUMMARY) for folder in finished]
    seconds = [summary["seconds"] / summary["epochs"] for summary in summaries if summary.get("epochs")]
    if not seconds:
        return None
    environment = finished[0] / store.ENVIRONMENT
    step = records.read_environment(environment).get("step", "") if environment.exists() else ""
    return Seconds(median(seconds), "", step)


def _kind(experiment: Experiment) -> str:
    """Return what decides the time of an epoch."""
    document: dict[str, Any] = experiment.model_dump(mode="json")
    plan = document["training"]
    kept = {key: plan[key] for key in ("batch_size", "loss", "precision", "native")}
    decisive = [document["data"], document["model"], document["protocol"], kept, plan["optimizer"]["name"]]
    return json.dumps(decisive, sort_keys=True)


def _measured(
    experiment: Experiment, prepared: "Prepared", device: str | None, threads: int | None
) -> tuple[float, str]:
    """Return the seconds of an epoch, from timing its steps for a moment and the evaluation of some images.

    And which step that is, in a sentence.
    """
    from classlab.runs.preparation import choose_settings, place_model, place_splits
    from classlab.training.epoch_metrics import evaluate_split
    from classlab.training.train import Epoch, train_network

    settings, step = choose_settings(prepared, device, threads)
    splits, model = place_splits(prepared, settings), place_model(prepared.model, settings)
    ticks: list[tuple[float, int]] = []
    started = time.perf_counter()
    for happened in train_network(model, splits, experiment, 0, settings):
        if isinstance(happened, Epoch):  # a whole epoch was over before
            return float(happened.row["seconds"]), step
        ticks.append((time.perf_counter(), happened.images))
        if len(ticks) > WARM_UP_BATCHES and ticks[-1][0] - ticks[WARM_UP_BATCHES - 1][0] > MEASURED_SECONDS:
            break
    else:
        return time.perf_counter() - started, step
    first, last = ticks[WARM_UP_BATCHES - 1][0], ticks[-1][0]
    image = (last - first) / sum(count for _, count in ticks[WARM_UP_BATCHES:])
    seconds = image * prepared.epoch_images
    evaluated = {"val": 0, "test": 0, "train": 0}
    if experiment.protocol.validate_on != "none":
        evaluated[experiment.protocol.validate_on] = 1
    if experiment.protocol.test_each_epoch:
        evaluated["test"] = 1
    if experiment.protocol.train_metrics != "running":
        evaluated["train"] = 1
    some = replace(
        splits["test"], pixels=splits["test"].pixels[:EVALUATED_IMAGES], labels=splits["test"].labels[:EVALUATED_IMAGES]
    )
    answer = _answer(model, experiment, settings, splits["train"])
    started = time.perf_counter()
    evaluate_split(model, "test", some, experiment, 0, 1, settings, answer)
    seconds_per_image = (time.perf_counter() - started) / len(some)
    images = sum(len(splits[name]) for name, wanted in evaluated.items() if wanted)
    return seconds + seconds_per_image * images, step


def _answer(
    model: "nn.Module", experiment: Experiment, settings: "Settings", images: "Images"
) -> "Callable[[Tensor], Tensor]":
    """Return the evaluation of a network as a run with these settings has it."""
    import torch

    from classlab.training import choices
    from classlab.training.fast.step import fast_step

    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    first = images.first(experiment.training.batch_size, layout)
    optimizer = choices.optimizer(experiment.training.optimizer, model)
    made = fast_step(lambda *_: None, model, optimizer, experiment, settings, first)
    made.publish()
    return made.answer

"""Prepare a run: from its declaration to data on the device, a network with its first weights, and the first checks."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import contract as contracts
from classlab import files, limits, lookup, own_code
from classlab.data.splits import split
from classlab.errors import Refused, UserError
from classlab.experiment import Data, Experiment
from classlab.terminal import say

if TYPE_CHECKING:
    from torch import nn

    from classlab.data.dataset import Dataset
    from classlab.training.batches import Images
    from classlab.training.settings import Settings


class ContractRefused(Refused):
    """The contract cannot be met, known before training. `summary` is what a program would read."""

    def __init__(self, message: str, summary: dict[str, Any]) -> None:
        super().__init__(message)
        self.summary = summary


@dataclass(frozen=True)
class Prepared:
    """All that training needs, made from the experiment and the seed.

    given: the module or arrays that Python handed over. digests: 8 hexadecimal digits for all that decides the run,
    then those that earlier versions of classlab gave it.
    train, val: indices into the dataset's training images. mean, std: of the normalisation, per channel.
    started: the SHA-256 of the weights taken over from another run, None where there are none.
    fixed_checks: the contract's rules on data and network, which nothing that happens later can change.
    """

    experiment: Experiment
    seed: int
    dataset: "Dataset"
    model: "nn.Module"
    given: dict[str, Any]
    digests: tuple[str, ...]
    train: np.ndarray
    val: np.ndarray
    mean: list[float]
    std: list[float]
    multiply_adds: int | None
    parameters: int
    started: str | None
    fixed_checks: list[contracts.Check]

    @property
    def epoch_images(self) -> int:
        """How many images an epoch trains on, every copy counted."""
        return len(self.train) * self.experiment.data.copies


def prepare(
    experiment: Experiment, seed: int, given: dict[str, Any], test: Any, dataset: "Dataset | None" = None
) -> Prepared:
    """Load the data, build the network and draw its first weights. Raises UserError for what does not fit together.

    dataset: the experiment's own, where another run has loaded it already.
    """
    from classlab.data.arrays import from_arrays
    from classlab.data.loading import prepare as prepare_data
    from classlab.models.make import make
    from classlab.network.contents import contents
    from classlab.network.layer_table import check_last_batch, check_shapes, check_training, layer_table
    from classlab.runs.start import take_over
    from classlab.training.random import number
    from classlab.training.task import reconstructs, softmax_twice

    plan = experiment.data
    if "data" in given:
        dataset = prepare_data(plan, from_arrays(given["data"], test))
    elif test is not None:
        raise UserError("test was given without data; give both as pairs (images, labels)")
    else:
        dataset = dataset or prepare_data(plan)
    tell_of_shared(dataset, plan, "data" in given)
    train, val = split(dataset.labels, plan.val_size, plan.split_seed_of(seed), plan.stratified)
    mean, std = _normalise(plan, dataset)

    classes, initialise = len(dataset.class_names), experiment.training.initialise
    source = given.get("model", experiment.model)
    start = experiment.training.start_from
    part = start.layers if start else None
    model = make(source, initialise, dataset.input_shape, classes, number(seed, 0, "initialise"), part)
    started = take_over(model, start) if start else None
    check_shapes(model, dataset.input_shape, None if reconstructs(experiment.training.loss) else classes)
    images = len(train) * plan.copies
    if "model" in given or own_code.is_own_code(experiment.model.name):
        check_training(model, dataset.input_shape)
    check_last_batch(model, dataset.input_shape, images, experiment.training.batch_size)
    table = layer_table(model, dataset.input_shape)
    if mistake := softmax_twice(table, experiment.training.loss):
        say(mistake)
    more = _given_digests(given, model, dataset)
    return Prepared(
        experiment=experiment,
        seed=seed,
        dataset=dataset,
        model=model,
        given=given,
        digests=(experiment.digest(*more), *experiment.earlier_digests(*more)),
        train=train,
        val=val,
        mean=mean,
        std=std,
        multiply_adds=table.multiply_adds,
        parameters=table.parameters,
        started=started,
        fixed_checks=[
            *contracts.check_data(experiment.contract, None if "data" in given else plan),
            *contracts.check_layers(experiment.contract, contents(table)),
        ],
    )


def tell_of_shared(dataset: "Dataset", plan: Data, is_given: bool = False) -> None:
    """Say where test images stand in the training set too, by their digest; of the reader's own images alone.

    Those of published datasets are what they are, and are known. is_given: the images were handed over in Python.
    """
    name = plan.dataset.name
    if (
        not is_given
        and not own_code.is_own_code(name)
        and hasattr(sys.modules[lookup.find("dataset", name).__module__], "DIGEST")
    ):
        return
    places = {hashlib.sha256(image.tobytes()).digest(): place for place, image in enumerate(dataset.images)}
    digests = [hashlib.sha256(image.tobytes()).digest() for image in dataset.test_images]
    shared = [(place, places[digest]) for place, digest in enumerate(digests) if digest in places]
    if shared:
        test, train = shared[0]
        say(
            f"classlab: {len(shared):,} of the {len(digests):,} test images of {dataset.name} are in the training set "
            f"too, pixel for pixel (test image {test} is training image {train}). The accuracy will be too high"
        )


def digests_of_own_code(experiment: Experiment) -> dict[str, str]:
    """Return the SHA-256 of every file of the reader's own that the experiment takes code from.

    By its path, or by the module's name where it is named as package.module: what else the package has is not counted.
    """
    found = {}
    for name in sorted(filter(own_code.is_own_code, names_in(experiment.model_dump(mode="json")))):
        source = name.rpartition(":")[0]
        module = getattr(sys.modules.get(source), "__file__", None)  # it was found before, and so imported
        file = Path(source if source.endswith(".py") else module or "")
        if file.suffix == ".py" and file.is_file():
            key = str(file) if source.endswith(".py") else source
            found[key] = hashlib.sha256(files.read(file, limits.CODE_BYTES)).hexdigest()
    return found


def changed_code(environment: Mapping[str, Any], experiment: Experiment) -> list[str]:
    """Return the files of the reader's own that a run with this environment was made with and that are others now.

    experiment: with the reader's files as they are now, which were found. Neighbours that they import count too.
    """
    now = digests_of_own_code(experiment)
    changed = [file for file, digest in environment.get("code", {}).items() if now.get(file, digest) != digest]
    for name in sorted(set(filter(own_code.is_own_code, names_in(experiment.model_dump(mode="json"))))):
        source = name.rpartition(":")[0]
        known = environment.get("copies", {}).get(source)
        if known is not None and source not in changed:
            digests = own_code.digests_of(own_code.contents(name))
            both = {**known["digests"], **digests}
            others = [below for below in both if known["digests"].get(below) != digests.get(below)]
            changed += [str(Path(source).parent / below) for below in others]
    return list(dict.fromkeys(changed))


def names_in(value: Any) -> Iterator[str]:
    """Yield every name of something chosen by name in an experiment's document."""
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from names_in(part)


def _given_digests(given: dict[str, Any], model: "nn.Module", dataset: "Dataset") -> list[str]:
    """Return what stands for the things that no file describes, so that other ones make another run."""
    from classlab.data.dataset import digest

    digests = []
    if "model" in given:
        digests += [repr(model), digest(*(value.detach().cpu().numpy() for value in model.state_dict().values()))]
    if "data" in given:
        digests.append(dataset.digest)
    return digests


def _normalise(plan: Data, dataset: "Dataset") -> tuple[list[float], list[float]]:
    """Return mean and std per channel: the experiment's own, or the dataset's."""
    normalise, channels = plan.normalise, dataset.input_shape[0]
    if normalise is None:
        return list(dataset.mean), list(dataset.std)
    for name, values in (("mean", normalise.mean), ("std", normalise.std)):
        if len(values) != channels:
            raise UserError(f"data.normalise.{name} needs one number per channel: {channels}, got {len(values)}")
    return normalise.mean, normalise.std


def refuse(prepared: Prepared) -> None:
    """Raise ContractRefused for a contract that cannot be kept, before any time is spent on it."""
    experiment = prepared.experiment
    before = contracts.check_before(experiment.contract, prepared.parameters, experiment.training.epochs)
    checks = [*before, *prepared.fixed_checks]
    if contracts.verdict(checks):
        return
    broken = "; ".join(check.sentence for check in checks if not check.passed)
    summary = {
        "run": None,
        "experiment": experiment.name,
        "seed": prepared.seed,
        "status": "refused",
        "parameters": prepared.parameters,
        "epochs": experiment.training.epochs,
        "val_accuracy": None,
        "test_accuracy": None,
        "test_interval": None,
        "seconds": 0.0,
        "contract": {"passed": False, "checks": [vars(check) for check in checks]},
    }
    message = f"{experiment.name} is refused before training because its contract cannot be met: {broken}"
    raise ContractRefused(message, summary)


def choose_settings(
    prepared: Prepared, device: str | None, threads: int | None = None, plan: "Experiment | None" = None
) -> "tuple[Settings, str]":
    """Return how the arithmetic of a run is done, and a sentence that says which step it is and why.

    device, threads: None lets choose. plan: the experiment whose length counts, where that is not the prepared one.
    Raises UserError as training.settings.choose does, and where a native step is asked for that cannot be.
    """
    from classlab.network.memory_layout import takes_channels_last
    from classlab.training.fast.native.decision import decide
    from classlab.training.settings import choose

    experiment, images = plan or prepared.experiment, prepared.epoch_images
    settings = choose(device, experiment.training, prepared.model, prepared.multiply_adds, threads)
    shape = prepared.dataset.input_shape
    if settings.channels_last and not takes_channels_last(prepared.model, shape):
        settings = replace(settings, channels_last=False)
    return decide(settings, experiment, prepared.model, shape, images, prepared.multiply_adds)


def place_splits(prepared: Prepared, settings: "Settings") -> "dict[str, Images]":
    """Put the splits on the device, where they stay: a batch is a gather, and nothing is loaded while training."""
    import torch

    from classlab.data.expansion import Expansion, expansion
    from classlab.training.batches import Images
    from classlab.training.task import compares_with_clean

    wants_clean = compares_with_clean(prepared.experiment.training.loss)
    dtype = torch.float64 if settings.precision == "fp64" else torch.float32
    mean, std = (
        torch.tensor(values, dtype=dtype, device=settings.device).view(1, -1, 1, 1)
        for values in (prepared.mean, prepared.std)
    )

    def placed(images: np.ndarray, labels: np.ndarray, copies: Expansion | None = None) -> Images:
        pixels, classes = torch.from_numpy(images).to(settings.device), torch.from_numpy(labels).to(settings.device)
        if settings.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        return Images(pixels, copies.labels(classes) if copies else classes, mean, std, copies, wants_clean)

    dataset, plan = prepared.dataset, prepared.experiment.data
    return {
        "train": placed(
            dataset.images[prepared.train],
            dataset.labels[prepared.train],
            expansion(plan.expansion, plan.expansion_seed),
        ),
        "val": placed(dataset.images[prepared.val], dataset.labels[prepared.val]),
        "test": placed(dataset.test_images, dataset.test_labels),
    }


def place_model(model: "nn.Module", settings: "Settings") -> "nn.Module":
    """Make the network ready to train: on the device, in the settings' layout and precision, with faster layers.

    It is changed in place: some layers take the forms of training.fast.replacements. From now on the process
    keeps the memory that steps free.
    """
    import torch

    from classlab.training.fast import allocator, replacements

    allocator.keep()
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    if settings.precision == "fp64":
        model = model.double()
    # torch's types do not know the keyword that its documentation gives for changing the layout.
    model = replacements.quicken(model, replacements.FORMS if settings.channels_last else replacements.FORMS_OF_ROWS)
    return model.to(torch.device(settings.device)).to(memory_format=layout)  # pyrefly: ignore[no-matching-overload]

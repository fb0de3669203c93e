"""What a network that reconstructs images can reach: the floors of its loss, from its last layer and its images."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from classlab.experiment import Choice, Experiment

if TYPE_CHECKING:
    from torch import Tensor

    from classlab.runs.preparation import Prepared
    from classlab.training.batches import Images

PART = 2000  # images looked at at a time
NOISES = ("uniform_noise", "gaussian_noise")  # drawn for every number by itself, so that nothing in the image tells it


def before_training(prepared: "Prepared") -> tuple[float, float | None] | None:
    """Return the floors of a run's training loss as `floor_on` does; None for a loss that has none."""
    from classlab.network.layer_table import layer_table
    from classlab.network.reconstruction import reachable
    from classlab.runs.preparation import place_splits
    from classlab.training.settings import Settings

    if prepared.experiment.training.loss.name != "reconstruction":
        return None
    low, high = reachable(layer_table(prepared.model, prepared.dataset.input_shape))
    images = replace(place_splits(prepared, Settings("cpu", "fp32", False, 1))["train"], wants_clean=True)
    return floor_on(images, prepared.experiment, prepared.seed, "train", low, high)


def floor_on(
    images: "Images", experiment: Experiment, seed: int, name: str, low: float, high: float
) -> tuple[float, float | None]:
    """Return the floor on a split, and the floor for a network that cannot foresee the noise, where that is known.

    The best answer of such a network is the mean of each noisy number. Where the noise is added to every number by
    itself its mean and variance are the same for all of them, and measured here. low, high: what the last layer can
    give. All images are looked at, those for training in every copy and as augmented in the first epoch.
    """
    from classlab.network.reconstruction import floor, floor_without_noise

    noisy = name == "train" and adds_noise(experiment)
    values, foreseen, sizes = list[float](), list[float](), list[int]()
    for inputs, target, clean in batches(images, experiment, seed, name):
        sizes.append(len(inputs))
        values.append(floor([target], low, high))
        if noisy:
            noise = (inputs - clean).double()
            foreseen.append(floor_without_noise([clean], float(noise.mean()), float(noise.var()), low, high))
    return float(np.average(values, weights=sizes)), float(np.average(foreseen, weights=sizes)) if noisy else None


def batches(
    images: "Images", experiment: Experiment, seed: int, name: str, every: int = 1
) -> "Iterator[tuple[Tensor, Tensor, Tensor]]":
    """Yield, a few images at a time, what the network is given, what it should give back, and the image itself.

    All are normalised, float32 (batch, channels, height, width). A batch lies within one copy of the training set.
    name: of the split. every: 2 takes every second image of each copy, and so on.
    """
    import torch

    from classlab.data.augment import bind
    from classlab.training.random import generator

    augmented = name == "train" or experiment.protocol.augment == "all"
    augmentations = bind(experiment.data.augmentations) if augmented else []
    random = generator(seed, int(name == "train"), f"augment {name}")
    count = len(images.pixels)
    for copy in range(len(images) // count):
        for places in torch.arange(copy * count, (copy + 1) * count, every).split(PART):
            inputs, clean = images.batch(places, augmentations, random)
            yield inputs, clean if experiment.training.loss.options.get("denoise") else inputs, clean


def noise_of(experiment: Experiment) -> list[Choice]:
    """Return what changes the pixels of the training images, and not their geometry, in the first copy that has any."""
    data = experiment.data
    found = ([choice for choice in copy if not _geometric(choice)] for copy in (*data.expansion, data.augmentations))
    return next((noise for noise in found if noise), [])


def adds_noise(experiment: Experiment) -> bool:
    """Say whether noise that nothing tells is part of what should be drawn, and is all that changes the pixels."""
    data = experiment.data
    if experiment.training.loss.options.get("denoise") or not noise_of(experiment):
        return False
    for choices in ([*copy, *data.augmentations] for copy in data.expansion or [[]]):
        geometric = [_geometric(choice) for choice in choices]
        if geometric != sorted(geometric, reverse=True):  # noise that is turned afterwards is not each number's own
            return False
        noises = (choice for choice, turned in zip(choices, geometric, strict=True) if not turned)
        if any(choice.name not in NOISES or choice.options.get("clip", True) for choice in noises):
            return False
    return True


def _geometric(choice: Choice) -> bool:
    from classlab.data.augment import bind

    return bind([choice])[0][1]

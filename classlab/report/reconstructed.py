"""What a network that reconstructs images was given, what it makes of them, and what it could reach."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classlab.errors import UserError
from classlab.experiment import Choice
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


PART = 2000  # images looked at at a time
NOISES = ("uniform_noise", "gaussian_noise")  # drawn for every number by itself, so that nothing in the image tells it


@dataclass(frozen=True)
class Floors:
    """The mean squared error that no training gets under, because of what the network's last layer can give.

    low, high: its lowest and highest number, on the normalised scale. of_each: the floor on each split's images.
    foreseen: the floor on the training images for a network that cannot foresee their noise; None where that is no
    other one, or not known.
    """

    low: float
    high: float
    of_each: dict[str, float]
    foreseen: float | None


def normalisation(run: FinishedRun) -> "tuple[Tensor, Tensor]":
    """Return mean and standard deviation of each channel, on the 0 … 1 scale, (1, channels, 1, 1)."""
    import torch

    mean, std = (torch.tensor(run.environment["normalise"][key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    return mean, std


def reconstruct(model: "nn.Module", images: "Tensor") -> "Tensor":
    """Return what the network makes of normalised images, float32, of the same shape."""
    import torch

    with torch.no_grad():
        return torch.cat([model(part).float() for part in images.split(PART)])


@functools.lru_cache(maxsize=1)
def floors(run: FinishedRun) -> Floors | None:
    """Return the floors of a run, or None where there are none to tell: another loss, or no network or images at hand.

    All images are looked at; those for training in every copy, with their noise, and as augmented in the first epoch.
    """
    from classlab.network.reconstruction import reachable

    if run.experiment.training.loss.name != "reconstruction":
        return None
    try:
        low, high = reachable(run.layer_table)
        names = [name for name in ("train", "val", "test") if name != "val" or run.split()["val"]]
        found = {name: _floor(run, name, low, high) for name in names}
    except UserError:
        return None
    return Floors(low, high, {name: value for name, (value, _) in found.items()}, found["train"][1])


def _floor(run: FinishedRun, name: str, low: float, high: float) -> tuple[float, float | None]:
    """Return the floor on a split, and the floor for a network that cannot foresee the noise, where that is known.

    The best answer of such a network is the mean of each noisy number. Where the noise is added to every number by
    itself its mean and variance are the same for all of them, and measured here.
    """
    from classlab.network.reconstruction import floor, floor_without_noise

    noisy = name == "train" and _adds_noise(run)
    values, foreseen, sizes = list[float](), list[float](), list[int]()
    for inputs, target, clean in batches(run, name):
        sizes.append(len(inputs))
        values.append(floor([target], low, high))
        if noisy:
            noise = (inputs - clean).double()
            foreseen.append(floor_without_noise([clean], float(noise.mean()), float(noise.var()), low, high))
    return float(np.average(values, weights=sizes)), float(np.average(foreseen, weights=sizes)) if noisy else None


def batches(run: FinishedRun, name: str, every: int = 1) -> "Iterator[tuple[Tensor, Tensor, Tensor]]":
    """Yield, a few images at a time, what the network was given, what it should have given back, and the image itself.

    All are normalised, float32 (batch, channels, height, width). A batch lies within one copy of the training set.
    every: 2 takes every second image of each copy, and so on.
    """
    import torch

    from classlab.data.augment import bind
    from classlab.training.random import generator

    images, plan = run.images(name, copies=True), run.experiment
    augmented = name == "train" or plan.protocol.augment == "all"
    augmentations = bind(plan.data.augmentations) if augmented else []
    random = generator(run.seed, int(name == "train"), f"augment {name}")
    count = len(images.pixels)
    for copy in range(len(images) // count):
        for places in torch.arange(copy * count, (copy + 1) * count, every).split(PART):
            inputs, clean = images.batch(places, augmentations, random)
            yield inputs, clean if plan.training.loss.options.get("denoise") else inputs, clean


def noise_of(run: FinishedRun) -> list[Choice]:
    """Return what changes the pixels of the training images, and not their geometry, in the first copy that has any."""
    data = run.experiment.data
    found = ([choice for choice in copy if not _geometric(choice)] for copy in (*data.expansion, data.augmentations))
    return next((noise for noise in found if noise), [])


def _adds_noise(run: FinishedRun) -> bool:
    """Say whether noise that nothing tells is part of what should be drawn, and is all that changes the pixels."""
    data = run.experiment.data
    if run.experiment.training.loss.options.get("denoise") or not noise_of(run):
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

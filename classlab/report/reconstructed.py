"""What a network that reconstructs images was given, what it makes of them, and what it could reach."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classlab.errors import UserError
from classlab.runs import attainable
from classlab.runs.attainable import PART
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


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
        found = {
            name: attainable.floor_on(run.images(name, copies=True), run.experiment, run.seed, name, low, high)
            for name in names
        }
    except UserError:
        return None
    return Floors(low, high, {name: value for name, (value, _) in found.items()}, found["train"][1])


def batches(run: FinishedRun, name: str, every: int = 1) -> "Iterator[tuple[Tensor, Tensor, Tensor]]":
    """Yield what the network was given, what it should have given back, and the image itself; see runs.attainable."""
    yield from attainable.batches(run.images(name, copies=True), run.experiment, run.seed, name, every)

"""Apply a list of augmentations to a batch, geometric neighbours composed into one resampling."""

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from classlab import lookup
from classlab.data.affine import AffineMaps, resample
from classlab.data.draws import Draws
from classlab.experiment import Choice

Augmentation = tuple[Callable[..., Any], bool]


def bind(choices: Sequence[Choice]) -> list[Augmentation]:
    """Return each augmentation with its options filled in, and whether it is geometric (returns AffineMaps)."""
    return [
        (lookup.bind("augmentation", choice.name, choice.options), _is_geometric(choice.name)) for choice in choices
    ]


def augment(images: Tensor, augmentations: Sequence[Augmentation], generator: Draws) -> Tensor:
    """Return the augmented batch.

    images: float32 on the 0…1 scale, (batch, channels, height, width), on the device of `generator`.
    """
    pending: AffineMaps | None = None
    for function, geometric in augmentations:
        if geometric:
            maps = function(images=images, generator=generator)
            if maps is not None and pending is not None and not pending.composes_with(maps):
                images, pending = resample(images, pending), None
            pending = maps if pending is None else pending if maps is None else pending.then(maps)
        else:
            images, pending = resample(images, pending), None
            changed = function(images=images, generator=generator)
            images = images if changed is None else changed
    return resample(images, pending)


def _is_geometric(name: str) -> bool:
    function = lookup.find("augmentation", name)
    returns = typing.get_type_hints(function).get("return", inspect.Signature.empty)
    return returns is AffineMaps or AffineMaps in typing.get_args(returns)

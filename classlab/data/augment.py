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
    """Return the augmented batch: float32 on the 0…1 scale, (batch, channels, height, width), as `images` is."""
    return augment_both(images, images, augmentations, generator)[0]


def augment_both(
    images: Tensor, clean: Tensor, augmentations: Sequence[Augmentation], generator: Draws
) -> tuple[Tensor, Tensor]:
    """Return the augmented batch, and the same batch with the geometric changes alone.

    images: float32 on the 0…1 scale, (batch, channels, height, width), on the device of `generator`. clean: the same
    images before their pixel values were changed. Where nothing changes them, both results are one tensor.
    """
    pending: AffineMaps | None = None
    for function, geometric in augmentations:
        if geometric:
            maps = function(images=images, generator=generator)
            if maps is not None and pending is not None and not pending.composes_with(maps):
                images, clean = _resample_both(images, clean, pending)
                pending = None
            pending = maps if pending is None else pending if maps is None else pending.then(maps)
        else:
            images, clean = _resample_both(images, clean, pending)
            pending = None
            changed = function(images=images, generator=generator)
            images = images if changed is None else changed
    return _resample_both(images, clean, pending)


def _resample_both(images: Tensor, clean: Tensor, maps: AffineMaps | None) -> tuple[Tensor, Tensor]:
    if maps is None:
        return images, clean
    seen = resample(images, maps)
    return seen, seen if clean is images else resample(clean, maps)


def _is_geometric(name: str) -> bool:
    function = lookup.find("augmentation", name)
    returns = typing.get_type_hints(function).get("return", inspect.Signature.empty)
    return returns is AffineMaps or AffineMaps in typing.get_args(returns)

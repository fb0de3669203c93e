"""Apply a list of augmentations to a batch, geometric neighbours composed into one resampling."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from classlab import lookup
from classlab.data import reader_functions
from classlab.data.affine import AffineMaps, resample
from classlab.data.draws import Draws
from classlab.experiment import Choice

Augmentation = tuple[Callable[..., Any], bool]


def bind(choices: Sequence[Choice]) -> list[Augmentation]:
    """Return each augmentation with its options filled in, and whether it is geometric (returns AffineMaps).

    One of the reader's own raises UserError at a call where it returns something else than its kind does.
    """
    return [_bind_one(choice) for choice in choices]


def _bind_one(choice: Choice) -> Augmentation:
    if _is_geometric(choice.name):
        return reader_functions.bind(
            "augmentation", choice, _are_maps, "AffineMaps or None, as its annotation says"
        ), True
    wanted = "images of the shape and type that it was given, or None (AffineMaps where its annotation says so)"
    return reader_functions.bind("augmentation", choice, _are_like_the_images, wanted), False


def _are_maps(result: Any, handed_over: Mapping[str, Any]) -> bool:
    return result is None or isinstance(result, AffineMaps)


def _are_like_the_images(result: Any, handed_over: Mapping[str, Any]) -> bool:
    images = handed_over["images"]
    return result is None or (
        isinstance(result, Tensor) and result.shape == images.shape and result.dtype == images.dtype
    )


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
    try:
        returns = typing.get_type_hints(function).get("return")
    except NameError:  # annotations that only exist while type checking
        return "AffineMaps" in str(inspect.signature(function).return_annotation)
    return returns is AffineMaps or AffineMaps in typing.get_args(returns)

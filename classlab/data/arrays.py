"""The reader's own arrays or tensors as a Dataset."""

from typing import Any

import numpy as np

from classlab.data.dataset import Dataset, statistics_of
from classlab.data.splits import split
from classlab.errors import UserError
from classlab.files import reason


def from_arrays(
    data: Any,
    test: Any = None,
    name: str = "arrays",
    source: str = "arrays given in Python",
    test_share: float = 0.2,
) -> Dataset:
    """Return a Dataset of (images, labels), each a NumPy array, a tensor or a list.

    images: uint8 on 0…255 or float on the scale the network is to see (0…1 in the usual case). Their shape is (count,
    height, width), (count, channels, height, width) or (count, height, width, channels), with 1 or 3 channels.
    labels: whole numbers, (count,); other values than 0 … classes-1 become classes of their own, in sorted order.
    test: the same for the test set; without it test_share of every class becomes the test set.
    Raises UserError for shapes, types or values that are none of these.
    """
    images, labels = _pair(data, "data")
    if test is None:
        train, held_out = split(labels, test_share, seed=0, stratified=True, option="test_share")
        test_images, test_labels = images[held_out], labels[held_out]
        images, labels = images[train], labels[train]
    else:
        test_images, test_labels = _pair(test, "test")
    if images.shape[1:] != test_images.shape[1:] or images.dtype != test_images.dtype:
        raise UserError(
            f"data and test must hold the same kind of image; got {images.shape[1:]} {images.dtype} "
            f"and {test_images.shape[1:]} {test_images.dtype}"
        )
    classes = np.unique(np.concatenate([labels, test_labels]))
    if len(classes) < 2:
        raise UserError(f"the labels must hold at least two classes, got {len(classes)}")
    mean, std = statistics_of(images)
    return Dataset(
        name=name,
        images=images,
        labels=np.searchsorted(classes, labels),
        test_images=test_images,
        test_labels=np.searchsorted(classes, test_labels),
        class_names=tuple(str(value) for value in classes),
        mean=mean,
        std=std,
        source=source,
    )


def _pair(pair: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise UserError(f"{where} must be a pair (images, labels), got {type(pair).__name__}")
    images = _images(_array(pair[0], f"{where}'s images"), where)
    labels = _array(pair[1], f"{where}'s labels")
    if labels.ndim != 1 or not (np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool):
        raise UserError(f"{where}'s labels must be whole numbers of shape (count,), got {labels.shape} {labels.dtype}")
    if len(images) != len(labels):
        raise UserError(f"{where} has {len(images):,} images but {len(labels):,} labels")
    if len(images) < 2:
        raise UserError(f"{where} must hold at least two images, got {len(images)}")
    return images, labels.astype(np.int64)


def _array(values: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
    except (ValueError, TypeError) as error:  # lists of several lengths, tensors of a type that NumPy has not
        raise UserError(f"{where} cannot be made an array: {reason(error)}") from None


def _images(images: np.ndarray, where: str) -> np.ndarray:
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4:
        raise UserError(
            f"{where}'s images must have 3 or 4 dimensions (count, channels, height, width), got {images.shape}"
        )
    if images.shape[1] not in (1, 3):
        raise UserError(
            f"{where}'s images must have 1 or 3 channels, first or last: (count, channels, height, width) or "
            f"(count, height, width, channels); got {images.shape}"
        )
    if 0 in images.shape:
        raise UserError(f"{where}'s images must have at least one pixel, and there must be some; got {images.shape}")
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if np.issubdtype(images.dtype, np.floating):
        with np.errstate(over="ignore"):  # what is too large for float32 is reported as not finite
            images = np.ascontiguousarray(images, dtype=np.float32)
        if not np.isfinite(images).all():
            raise UserError(f"{where}'s images hold values that are not finite")
        return images
    raise UserError(f"{where}'s images must be uint8 (0…255) or float (0…1), got {images.dtype}")

"""Samples of each class, as they are and as they are changed for training: plain pictures, for whoever draws them."""

from dataclasses import dataclass

import numpy as np

from classlab.data.dataset import Dataset
from classlab.experiment import Data

LARGEST_SIDE = 96  # pixels; of a larger image every k-th pixel is shown, so that a sheet stays a few hundred kilobytes


@dataclass(frozen=True)
class Samples:
    """The same images in several readings.

    headings: what was done in each reading. rows: for each class its name and, for each reading, the images, uint8
    (count, channels, height, width); image i is the same image in all of them.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[np.ndarray, ...]], ...]


def samples(dataset: Dataset, train: np.ndarray, plan: Data, per_class: int, seed: int) -> Samples:
    """Return the first `per_class` training images of each class that has any, before and after what `plan` does.

    train: int64, indices of the images that are trained on; their copies are the very ones that are trained with.
    plan: its expansion gives one reading a copy, its augmentations one more, drawn from `seed`. Black is 0 and white 1,
    in a reading that goes beyond them its smallest and its largest value.
    """
    import torch

    from classlab.data.augment import augment, bind
    from classlab.data.expansion import expansion

    labels, images = dataset.labels[train], dataset.images[train]
    by_class = [np.flatnonzero(labels == label)[:per_class] for label in range(len(dataset.class_names))]
    chosen = np.concatenate(by_class)
    pixels = torch.from_numpy(images[chosen])
    original = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    readings = [("as they are", original)]
    expanded = expansion(plan.expansion, plan.expansion_seed)
    if expanded:
        # The draws of a copy depend on which image it is, so all are asked for by their place among all.
        whole = torch.from_numpy(images)
        for number, copy in enumerate(plan.expansion):
            if copy:
                places = torch.from_numpy(chosen) + number * len(whole)
                readings.append((", ".join(choice.name for choice in copy), expanded.images(whole, places)))
    if plan.augmentations:
        generator = torch.Generator().manual_seed(seed)
        readings.append(("augmented", augment(original, bind(plan.augmentations), generator)))
    ends = np.cumsum([len(index) for index in by_class])[:-1]
    columns = [np.split(_pictures(images.numpy()), ends) for _, images in readings]
    rows = zip(dataset.class_names, *columns, strict=True)
    return Samples(
        tuple(heading for heading, _ in readings),
        tuple((name, tuple(strips)) for name, *strips in rows if len(strips[0])),
    )


def _pictures(images: np.ndarray) -> np.ndarray:
    every = -(-max(images.shape[2:]) // LARGEST_SIDE)
    low, high = min(0.0, float(images.min())), max(1.0, float(images.max()))
    return ((images[:, :, ::every, ::every] - low) * (255 / (high - low)) + 0.5).astype(np.uint8)

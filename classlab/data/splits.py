"""Splits: which training images are kept for validation. A pure function of the labels, the size and a seed."""

import hashlib

import numpy as np

from classlab.errors import UserError


def split(
    labels: np.ndarray, val_size: int | float, seed: int, stratified: bool = False, option: str = "data.val_size"
) -> tuple[np.ndarray, np.ndarray]:
    """Return (train, val): two sorted int64 arrays of indices that share none and together hold every image.

    labels: int64, (count,). val_size: a number of images, or a fraction of them (rounded to the nearest whole number).
    stratified: every class gives its share, by largest remainder, so that the total is exactly the same.
    option: what the reader gave the size as.
    Raises UserError where nothing would be left to train on, or nothing to validate on though some was asked for.
    """
    count = len(labels)
    size = round(val_size * count) if isinstance(val_size, float) else val_size
    if size >= count:
        raise UserError(f"{option} must leave images to train on: there are {count:,}, got {size:,}")
    if size == 0 and val_size:
        raise UserError(f"{option} {val_size} of {count:,} images is none; give a larger fraction")
    # NumPy promises that RandomState draws the same numbers in every version.
    order = np.random.RandomState(seed).permutation(count)
    if stratified and size:
        chosen = _stratified(labels[order], size)
        val, train = order[chosen], order[~chosen]
    else:
        val, train = order[:size], order[size:]
    return np.sort(train), np.sort(val)


def split_digest(train: np.ndarray, val: np.ndarray) -> str:
    """Return the SHA-256 of the two index lists, written as decimal text."""
    text = ",".join(map(str, train.tolist())) + ";" + ",".join(map(str, val.tolist()))
    return hashlib.sha256(text.encode()).hexdigest()


def _stratified(labels: np.ndarray, size: int) -> np.ndarray:
    """Return a mask of `size` of the shuffled labels, each class in its share."""
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * size / len(labels)
    take = np.floor(exact).astype(int)
    for index in np.argsort(take - exact, kind="stable")[: size - take.sum()]:
        take[index] += 1
    mask = np.zeros(len(labels), dtype=bool)
    for name, number in zip(classes, take, strict=True):
        mask[np.flatnonzero(labels == name)[:number]] = True
    return mask

"""Reconstructions: test images, and noisy ones, beside what the network makes of them, and how far off that is."""

from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.drawing.blocks import Block, Column, Strip, Strips, Table, Words
from classlab.drawing.thumbnails import as_pictures
from classlab.report import reconstructed, words
from classlab.report.material import Material, excused
from classlab.runs import attainable
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    from torch import Tensor, nn

SAMPLES = 4  # of each class
CLASSES_SHOWN = 20


def blocks(material: Material) -> list[Block]:
    """Return the gallery, how much of the noise is taken away, and the error of each class."""

    def of_run(run: FinishedRun) -> list[Block]:
        if not run.reconstructs or run.status in ("diverged", "incomplete"):
            return material.lacking(f"There are no reconstructions to show: {run.sentence()}.")
        images = run.images("test")
        readings = _readings(run, images.batch(slice(None), [], None)[0], run.built())
        denoised = [Words(_denoised(name, readings)) for name in list(readings)[1:]]
        labels = images.labels
        return [_gallery(run, readings, labels.numpy()), *denoised, _errors(run, readings, labels)]

    return material.first_of_each(excused(of_run))


def _readings(run: FinishedRun, original: "Tensor", model: "nn.Module") -> "dict[str, tuple[Tensor, Tensor]]":
    """Return the normalised test images with their reconstructions: as they are, and with the noise of the training."""
    from classlab.data.augment import augment, bind
    from classlab.training.random import generator

    readings = {"original": (original, reconstructed.reconstruct(model, original))}
    noise = attainable.noise_of(run.experiment)
    if noise:
        mean, std = reconstructed.normalisation(run)
        random = generator(run.seed, 0, "noise in the report")
        noisy = (augment(original * std + mean, bind(noise), random) - mean) / std
        name = "with " + words.listed([choice.name.replace("_", " ") for choice in noise])
        readings[name] = (noisy, reconstructed.reconstruct(model, noisy))
    return readings


def _gallery(run: FinishedRun, readings: "dict[str, tuple[Tensor, Tensor]]", labels: np.ndarray) -> Strips:
    """Return originals beside reconstructions, a row a class. labels: of the test images."""
    names = run.environment["class_names"]
    of_each = [(name, np.flatnonzero(labels == label)[:SAMPLES]) for label, name in enumerate(names)]
    of_each = [(name, index) for name, index in of_each if len(index)][:CLASSES_SHOWN]
    mean, std = reconstructed.normalisation(run)
    plain = readings["original"][0] * std + mean
    low, high = min(0.0, float(plain.min())), max(1.0, float(plain.max()))
    headings, columns = list[str](), list[Any]()
    for name, pair in readings.items():
        for heading, images in zip((name, "reconstruction"), pair, strict=True):
            headings.append(heading)
            columns.append(images)

    def strip(name: str, index: np.ndarray, heading: str, images: "Tensor") -> Strip:
        grey = (images[index] * std + mean).sub(low).div(high - low).clamp(0, 1)
        pictures = (grey * 255).round().byte().numpy()
        return Strip(as_pictures(pictures), f"{len(index)} images of class {name}, {heading}")

    rows = tuple(
        (name, tuple(strip(name, index, *column) for column in zip(headings, columns, strict=True)))
        for name, index in of_each
    )
    caption = "The first test images of each class and their reconstructions"
    if len(readings) > 1:
        caption += "; the same with the noise of the training, from draws of their own"
    caption += " (beyond black and white is shown as black and white)"
    return Strips(caption, ("class", *headings), rows, name="reconstructions")


def _errors(run: FinishedRun, readings: "dict[str, tuple[Tensor, Tensor]]", labels: "Tensor") -> Table:
    """Return the mean squared error of each class; of noisy images how far the noise moved them, and what is left."""
    from classlab.network.reconstruction import errors_by_class

    names = run.environment["class_names"]
    original, plain = readings["original"]
    columns = [Column("class"), Column("test images", "count"), Column("error", "number", 4)]
    compared = [(plain, original)]
    for noisy, restored in list(readings.values())[1:]:
        columns += [Column("noise moves it by", "number", 4), Column("reconstructed from noise, away by", "number", 4)]
        compared += [(noisy, original), (restored, original)]
    of_each = [errors_by_class(*pair, labels, len(names)) for pair in compared]
    together = [_distance(*pair) for pair in compared]
    counts = labels.bincount(minlength=len(names)).tolist()
    rows = tuple(row for row in zip(names, counts, *of_each, strict=True) if row[1])
    caption = "Mean squared error of the test images of each class, on the normalised scale"
    if len(readings) > 1:
        caption += "; on the right, distances from the image without noise"
    return Table("errors", caption, tuple(columns), rows, ("together", len(labels), *together))


def _denoised(name: str, readings: "dict[str, tuple[Tensor, Tensor]]") -> str:
    """Say how much of the noise comes through: what it changes in the image, and in the reconstruction."""
    (original, plain), (noisy, restored) = readings["original"], readings[name]
    given, left = _distance(noisy, original), _distance(restored, plain)
    through = words.percent(left / given, 0) if given else "none"
    verdict = "partly denoised" if left < given else "not denoised"
    return (
        f"{name.capitalize()} a test image changes by {given:.4f}, mean squared, and its reconstruction by "
        f"{left:.4f}: {through} of the noise comes through, so the images come back {verdict}."
    )


def _distance(first: "Tensor", second: "Tensor") -> float:
    """Return the mean squared difference."""
    return float((first - second).double().square().mean())

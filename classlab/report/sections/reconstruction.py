"""Reconstruction: what a network that draws images again draws, how badly, what it cannot reach, and its codes."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.drawing.blocks import Block, Column, Figure, Figures, Section, Strip, Strips, Table, Words
from classlab.errors import UserError
from classlab.report import reconstructed, words
from classlab.report.pictures import as_pictures
from classlab.report.reconstructed import Floors
from classlab.runs.finished import FinishedRun as Run

if TYPE_CHECKING:
    from torch import Tensor, nn

SAMPLES = 4  # of each class
CLASSES_SHOWN = 20
SILENT_IMAGES = 4000  # of the training set, on which silent outputs are looked for
CODES = 1000  # test images whose codes are drawn
NAMES = {"train": "training", "val": "validation", "test": "test"}


def section(run: Run) -> Section | None:
    """Return floors, gallery, errors and codes, or None for a run that names classes or did not come to its end."""
    if not run.reconstructs or run.status != "finished":
        return None
    try:
        model, images = run.model(), reconstructed.split_images(run, "test")
    except UserError as error:
        return Section("Reconstruction", (Words(f"The reconstructions cannot be shown here: {error}."),))
    found = reconstructed.floors(run)
    blocks: list[Block] = floor_blocks(run, found, model) if found else []
    original = images.batch(slice(None), [], None)[0]
    readings = readings_of(run, original, model)
    labels = images.labels.numpy()
    blocks += [gallery(run, readings, labels), errors(run, readings, images.labels), *_codes(run, model, images)]
    return Section("Reconstruction", tuple(blocks))


def readings_of(run: Run, original: "Tensor", model: "nn.Module") -> "dict[str, tuple[Tensor, Tensor]]":
    """Return the normalised test images and what is drawn of them: as they are, and with the noise of the training."""
    from classlab.data.augment import augment, bind
    from classlab.training.random import generator

    readings = {"original": (original, _drawn(model, original))}
    noise = reconstructed.noise_of(run)
    if noise:
        mean, std = _scale(run)
        random = generator(run.seed, 0, "noise in the report")
        noisy = (augment(original * std + mean, bind(noise), random) - mean) / std
        name = "with " + words.listed([choice.name.replace("_", " ") for choice in noise])
        readings[name] = (noisy, _drawn(model, noisy))
    return readings


def _drawn(model: "nn.Module", images: "Tensor") -> "Tensor":
    import torch

    with torch.no_grad():
        return torch.cat([model(part).float() for part in images.split(reconstructed.PART)])


def _scale(run: Run) -> "tuple[Tensor, Tensor]":
    """Return mean and standard deviation of the normalisation, (1, channels, 1, 1)."""
    import torch

    normalise = run.environment["normalise"]
    mean, std = (torch.tensor(normalise[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    return mean, std


def floor_blocks(run: Run, found: Floors, model: "nn.Module") -> list[Block]:
    """Say what the last layer cannot reach, and set the losses beside it."""
    from classlab.network.reconstruction import floor_sentence

    floor = found.of_each["train"]
    text = floor_sentence(floor, found.low, found.high)
    if floor and found.foreseen is not None:
        text += (
            " Nothing in an image tells its noise: a network that draws the noise's mean instead, which is the best "
            f"without foreseeing it, cannot get under {found.foreseen:.4f}."
        )
    if max(found.of_each.values()) > 1.01 * min(found.of_each.values()):
        text += (
            " That is on the training images, with all that is done to them; the other images have floors of their own."
        )
    blocks: list[Block] = [Words(text)]
    if any(found.of_each.values()):
        blocks.append(_floor_table(run, found))
    if math.isfinite(found.low):
        blocks.append(Words(_silence(run, found, model)))
    return blocks


def _floor_table(run: Run, found: Floors) -> Table:
    columns = (
        Column("images"),
        Column("floor", "number", 4),
        Column("loss", "number", 4),
        Column("loss above the floor", "number", 4),
    )
    rows = []
    for split, floor in found.of_each.items():
        loss = run.summary.get(f"{split}_loss")
        rows.append((NAMES[split], floor, loss, None if loss is None else loss - floor))
    note = "" if run.experiment.protocol.train_metrics == "re-evaluated" else "; the training loss is the running one"
    return Table("floors", f"The floor on the images of each split, and the loss on them{note}", columns, tuple(rows))


def _silence(run: Run, found: Floors, model: "nn.Module") -> str:
    """Say how many outputs never wake, and what that costs, on training images from all over the set."""
    import torch

    from classlab.network.reconstruction import silent_outputs

    copies = max(1, len(run.experiment.data.expansion))
    every = max(1, len(run.split()["train"]) * copies // SILENT_IMAGES)
    met = [(_drawn(model, inputs), targets) for inputs, targets, _ in reconstructed.batches(run, "train", every)]
    outputs, targets = (torch.cat(parts) for parts in zip(*met, strict=True))
    silent, cost = silent_outputs(outputs, targets, found.low)
    total, seen = outputs[0].numel(), words.count(len(outputs), "training image")
    if not silent:
        return f"None of the {total:,} outputs is silent: each draws more than {found.low:g} on some of {seen}."
    above = float((outputs - targets).double().square().mean()) - found.of_each["train"]
    share = f", {words.percent(cost / above, 0)} of what lies above the floor" if 0 < cost <= above else ""
    verb = "gives" if silent == 1 else "give"
    return (
        f"Of the {total:,} outputs {silent:,} {verb} {found.low:g} on every one of {seen}. The activation is flat "
        "there, so no gradient comes through it: the weights of such an output stand still, and it wakes only if the "
        f"layers before it change. Silence costs {cost:.4f} of the error on these images{share}."
    )


def gallery(run: Run, readings: "dict[str, tuple[Tensor, Tensor]]", labels: np.ndarray) -> Strips:
    """Return originals beside reconstructions, a row a class. labels: of the test images."""
    names = run.environment["class_names"]
    of_each = [(name, np.flatnonzero(labels == label)[:SAMPLES]) for label, name in enumerate(names)]
    of_each = [(name, index) for name, index in of_each if len(index)][:CLASSES_SHOWN]
    mean, std = _scale(run)
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
    caption = "The first test images of each class and what the network draws of them"
    if len(readings) > 1:
        caption += "; the same with the noise of the training, from draws of their own"
    caption += " (beyond black and white is shown as black and white)"
    return Strips(caption, ("class", *headings), rows, name="reconstructions")


def errors(run: Run, readings: "dict[str, tuple[Tensor, Tensor]]", labels: "Tensor") -> Table:
    """Return the mean squared error of each class; of noisy images how far the noise moved them, and what is left."""
    from classlab.network.reconstruction import errors_by_class

    names = run.environment["class_names"]
    original, drawn = readings["original"]
    columns = [Column("class"), Column("test images", "count"), Column("error", "number", 4)]
    compared = [(drawn, original)]
    for noisy, redrawn in list(readings.values())[1:]:
        columns += [Column("noise moves it by", "number", 4), Column("drawn from noise, away by", "number", 4)]
        compared += [(noisy, original), (redrawn, original)]
    of_each = [errors_by_class(*pair, labels, len(names)) for pair in compared]
    together = [float((one - other).double().square().mean()) for one, other in compared]
    counts = labels.bincount(minlength=len(names)).tolist()
    rows = tuple(row for row in zip(names, counts, *of_each, strict=True) if row[1])
    caption = "Mean squared error of the test images of each class, on the normalised scale"
    if len(readings) > 1:
        caption += "; on the right, distances from the image without noise"
    return Table("errors", caption, tuple(columns), rows, ("together", len(labels), *together))


def _codes(run: Run, model: "nn.Module", images: Any) -> list[Block]:
    """Return the codes of some test images in the plane, by PCA and by t-SNE, in the colours of their classes."""
    from classlab.drawing.codes import codes as chart
    from classlab.network.reconstruction import codes, in_two_dimensions

    index = np.unique(np.linspace(0, len(images) - 1, CODES).round().astype(np.int64))
    try:
        found = codes(model, images.batch(index, [], None)[0])
        places = {kind: in_two_dimensions(found, kind, run.seed) for kind in ("pca", "tsne")}
    except UserError as error:
        return [Words(f"There is no picture of the codes: {error}.")]
    total = float(found.double().var(dim=0, correction=0).sum())
    share = words.percent(float(places["pca"].var(axis=0).sum()) / total, 0) if total else "none"
    size = found.shape[1]
    unused = int((found == found[:1]).all(dim=0).sum())
    told = f"A code has {words.count(size, 'number')}"
    told += f"; {unused:,} of them {'is' if unused == 1 else 'are'} the same for all these images." if unused else "."
    captions = {
        "pca": f"The codes of {words.count(len(index), 'test image')} along the two directions in which they vary most "
        f"(PCA), {share} of the variance. {told}",
        "tsne": "The same codes by t-SNE: neighbours stay neighbours, distances between groups mean little.",
    }
    labels, names = images.labels[index].numpy(), run.environment["class_names"]
    figures = tuple(
        Figure(
            f"codes-{kind}",
            caption,
            f"{caption} A point an image, coloured by class.",
            partial(chart, places[kind], labels, names),
        )
        for kind, caption in captions.items()
    )
    return [Figures(figures)]

"""Augmented: one image of each class, as it is and as the network may meet it in several epochs."""

import numpy as np

from classlab.drawing.blocks import Block, Strip, Strips, Words
from classlab.drawing.thumbnails import as_pictures
from classlab.report import words
from classlab.report.material import Material, excused
from classlab.runs.finished import FinishedRun

EPOCHS = 6
CLASSES_SHOWN = 20


def blocks(material: Material) -> list[Block]:
    """Return the images of the runs that augment their training images."""
    names = [name for name, runs in material.runs.items() if not runs or runs[0].experiment.data.augmentations]
    if not names:
        return material.lacking("No run of this part augments its images.")
    return material.only(names).first_of_each(excused(_augmented))


def _augmented(run: FinishedRun) -> list[Block]:
    import torch

    from classlab.data.augment import augment, bind
    from classlab.training.random import generator

    dataset, plan = run.dataset(), run.experiment.data
    train = np.asarray(run.split()["train"])
    labels = dataset.labels[train]
    of_each = [(name, train[labels == label][:1]) for label, name in enumerate(dataset.class_names)]
    of_each = [(name, found[0]) for name, found in of_each if len(found)][:CLASSES_SHOWN]
    pixels = torch.from_numpy(dataset.images[[index for _, index in of_each]])
    images = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    draws = [
        augment(images, bind(plan.augmentations), generator(run.seed, epoch, "augmentations in the report"))
        for epoch in range(EPOCHS)
    ]
    readings = [(images.numpy().clip(0, 1) * 255 + 0.5).astype(np.uint8) for images in [images, *draws]]
    changes = words.listed([words.spelled(choice).replace("_", " ") for choice in plan.augmentations])
    rows = []
    for place, (name, _) in enumerate(of_each):
        original, *changed = (as_pictures(pictures[place : place + 1]) for pictures in readings)
        described = f"An image of class {name}, then {EPOCHS} times the same after {changes}"
        rows.append((name, (Strip(np.concatenate([original, *changed]), described),)))
    caption = f"The first training image of each class, and what the network may see of it in {EPOCHS} epochs"
    headings = ("class", "as it is, then as it is met")
    moved = float(np.mean([np.abs(reading.astype(float) - readings[0]).mean() for reading in readings[1:]])) / 255
    sentence = (
        f"{words.capital(changes)}, drawn separately for every image and epoch, on the training images alone. "
        if run.experiment.protocol.augment == "train"
        else f"{words.capital(changes)}, drawn separately for every image and epoch, on the images of all splits. "
    )
    sentence += f"On the images shown a pixel changes by {words.percent(moved, 1)} of the way from black to white."
    return [Words(sentence), Strips(caption, headings, tuple(rows), name="augmentations")]

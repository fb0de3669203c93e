"""Own image: dark drawings on light paper, read by `run.predict`, and as the report read them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classlab.drawing.blocks import Block, Code, Column, Strip, Strips, Table, Words
from classlab.drawing.thumbnails import as_pictures
from classlab.report import outcome, words
from classlab.report.material import Material, excused
from classlab.runs.finished import FinishedRun
from classlab.use.predict import predict

if TYPE_CHECKING:
    from torch import nn

PAPER, INK = 236, 34  # grey levels of what a camera or a scanner makes of a drawing
SIDE, DIGIT = 168, 112  # pixels of the drawing, and of the test image within it
SHIFT = (-14, 18)  # pixels down and to the right of the middle
DRAWINGS = 10
COLUMNS = (
    Column("drawn"),
    Column("classlab"),
    Column("probability", "percent", 1),
    Column("unsure"),
    Column("the report's way"),
    Column("softmax output", "percent", 1),
)


@dataclass(frozen=True)
class Drawing:
    """A drawing made of a test image: uint8, (height, width), dark on light, and its class."""

    pixels: np.ndarray
    name: str


def blocks(material: Material) -> list[Block]:
    """Return the drawings, and how many of them each way of preparing them classifies correctly."""

    def of_run(run: FinishedRun) -> list[Block]:
        if run.status == "diverged" or run.reconstructs:
            return material.lacking(f"There is no network to ask: {run.sentence()}.")
        return _asked(run)

    return material.first_of_each(excused(of_run))


def _asked(run: FinishedRun) -> list[Block]:
    made, model = drawings(run), run.built().float()
    answers = predict(run, [drawing.pixels for drawing in made])
    published = [as_published(run, model, drawing.pixels) for drawing in made]
    rows = tuple(
        (drawing.name, answer.name, answer.probability, "yes" if answer.unsure else "no", name, share)
        for drawing, answer, (_, name, share) in zip(made, answers, published, strict=True)
    )
    total, folder = len(made), f"{run.path.parent.name}/{run.path.name}"
    right, theirs = sum(row[0] == row[1] for row in rows), sum(row[0] == row[4] for row in rows)
    mean, std = (run.environment["normalise"][key] for key in ("mean", "std"))
    sentence = (
        f"{words.count(total, 'drawing')}, one for each class. Each is made from the first test image of its class "
        "that the network classifies correctly, or else from the first image. So an error here comes from the "
        f"preparation. A drawing is dark on light, {DIGIT} of {SIDE} pixels wide and off centre. classlab finds the "
        "ink, inverts it to light on dark and centres it in the frame of the training images. It normalises with "
        f"mean {_listed(mean)} and standard deviation {_listed(std)}. So it classifies {right} of {total} correctly. "
        f"The report's preparation makes it grey, {' × '.join(map(str, run.environment['input_shape'][1:]))} pixels, "
        f"and divides by 255. It neither inverts nor normalises, and classifies {theirs} of {total} correctly."
    )
    return [
        Words(sentence),
        _strips(made, [image for image, _, _ in published], [answer.seen for answer in answers]),
        Table("own-image", "The class that each preparation gives for each drawing", COLUMNS, rows),
        Code(
            "classlab predict RUN my-drawing.png", f"For a picture of your own; RUN is the run's folder, here {folder}"
        ),
    ]


def drawings(run: FinishedRun) -> list[Drawing]:
    """Return a drawing of each class: of the first test image that is classified correctly, else of the first."""
    result, dataset = outcome.of_run(run), run.dataset()
    right = result.right if result is not None else np.ones(len(dataset.test_labels), dtype=bool)
    made = []
    for label, name in enumerate(run.environment["class_names"][:DRAWINGS]):
        found = np.flatnonzero(dataset.test_labels == label)
        if len(found):
            chosen = next((index for index in found if right[index]), found[0])
            made.append(Drawing(drawn(dataset.test_images[chosen]), name))
    return made


def drawn(image: np.ndarray) -> np.ndarray:
    """Return a test image as a drawing: dark on light, larger, off centre. image: uint8, (channels, h, w)."""
    from PIL import Image

    large = Image.fromarray(image[0]).resize((DIGIT, DIGIT), Image.Resampling.BICUBIC)
    ink = np.asarray(large, dtype=np.float32) / 255
    top, left = ((SIDE - DIGIT) // 2 + shift for shift in SHIFT)
    strength = np.zeros((SIDE, SIDE), dtype=np.float32)
    strength[top : top + DIGIT, left : left + DIGIT] = ink
    return np.rint(PAPER + (INK - PAPER) * strength).astype(np.uint8)


def as_published(run: FinishedRun, model: "nn.Module", pixels: np.ndarray) -> tuple[np.ndarray, str, float]:
    """Return what the network sees the report's way, uint8 (1, h, w), the class that it names, and its softmax output.

    The report opens the file in grey, resizes it to the network's size and divides by 255. It does not invert a dark
    drawing on light paper, and does not normalise as in training.
    """
    import torch
    from PIL import Image

    _, height, width = run.environment["input_shape"]
    small = np.asarray(Image.fromarray(pixels).resize((width, height)))
    with torch.no_grad():
        shares = model(torch.from_numpy(small.astype(np.float32) / 255)[None, None]).softmax(1)[0]
    best = int(shares.argmax())
    return small[None], run.environment["class_names"][best], float(shares[best])


def _strips(made: list[Drawing], published: list[np.ndarray], seen: "list[np.ndarray | None]") -> Strips:
    def strip(images: list[np.ndarray], what: str) -> Strip:
        return Strip(as_pictures(np.stack(images)), f"{what}: {', '.join(drawing.name for drawing in made)}")

    blank = np.zeros_like(published[0])
    rows = (
        ("as drawn", (strip([drawing.pixels[None] for drawing in made], "Drawings"),)),
        ("the report's way", (strip(published, "What the network sees the report's way"),)),
        (
            "classlab",
            (strip([blank if image is None else image for image in seen], "What the network sees by classlab"),),
        ),
    )
    headings = ("", f"classes {made[0].name} to {made[-1].name}")
    return Strips("The drawings, and what the network is shown of them", headings, rows, name="own-image")


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)

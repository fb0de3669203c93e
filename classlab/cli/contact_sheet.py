"""Writes the contact sheet of `classlab data show`: a picture or a page."""

from pathlib import Path
from typing import TYPE_CHECKING

from classlab import files

if TYPE_CHECKING:
    from classlab.data.dataset import Dataset
    from classlab.drawing.blocks import Strips
    from classlab.experiment import Data

ENDINGS = (".png", ".svg", ".html")
CLASSES_SHOWN = 30


def write(file: Path, dataset: "Dataset", plan: "Data", per_class: int, seed: int) -> None:
    """Write the sheet to `file`, in the form that its ending names. Raises UserError."""
    title = f"{dataset.name}: {len(dataset.images):,} training and {len(dataset.test_images):,} test images"
    strips, notes = _strips(dataset, plan, per_class, seed)
    if file.suffix.lower() == ".html":
        files.write(file, _page(title, dataset, strips, notes))
        return
    from classlab.drawing import grids
    from classlab.drawing.render import svg_to_png

    picture = grids.strips(strips, title=title, notes=notes)
    files.write(file, picture if file.suffix.lower() == ".svg" else svg_to_png(picture, scale=1))


def _strips(dataset: "Dataset", plan: "Data", per_class: int, seed: int) -> "tuple[Strips, list[str]]":
    from classlab.data.class_samples import samples
    from classlab.data.splits import split
    from classlab.drawing.blocks import Strip, Strips

    train, _ = split(dataset.labels, plan.val_size, plan.split_seed_of(0), plan.stratified)
    drawn = samples(dataset, train, plan, per_class, seed)
    rows = tuple(
        (
            name,
            tuple(
                Strip(images, f"class {name}, {heading}")
                for heading, images in zip(drawn.headings, strips, strict=True)
            ),
        )
        for name, strips in drawn.rows[:CLASSES_SHOWN]
    )
    notes = []
    if plan.expansion:
        number = len(plan.expansion)
        notes.append(
            f"Every image that is trained on stands in the set {number} times: {number} × {len(train):,} = "
            f"{number * len(train):,} images."
        )
    if plan.augmentations:
        notes.append(f"Augmented differently in every epoch: {', '.join(map(str, plan.augmentations))}.")
    if len(drawn.rows) > CLASSES_SHOWN:
        notes.append(f"The first {CLASSES_SHOWN} of {len(drawn.rows)} classes.")
    caption = " ".join(["The first training images of each class.", *notes])
    return Strips(caption, ("class", *drawn.headings), rows), notes


def _page(title: str, dataset: "Dataset", strips: "Strips", notes: list[str]) -> str:
    from classlab.drawing.blocks import Document, Fact, Facts, Section, Words
    from classlab.drawing.page import html

    channels, height, width = dataset.input_shape
    facts = [
        Fact("One image", f"{height} × {width} pixels, {'grey' if channels == 1 else f'{channels} channels'}"),
        Fact("Source", dataset.source),
        Fact("SHA-256 of the arrays", dataset.digest),
    ]
    facts += [
        Fact(label, text) for label, text in (("Licence", dataset.licence), ("Citation", dataset.citation)) if text
    ]
    sections = [Section("Samples", (strips,))]
    if len(strips.headings) > 3:  # on a telephone there is room for the originals and one copy
        notes_first = Words(" ".join(notes))
        sections = [Section(strips.headings[2], (notes_first, _beside_original(strips, 1)))]
        sections += [
            Section(strips.headings[at + 1], (_beside_original(strips, at),)) for at in range(2, _readings(strips))
        ]
    sections.append(Section("The dataset", (Facts(tuple(facts)),)))
    return html(Document(dataset.name, title.partition(": ")[2], tuple(sections)))


def _readings(strips: "Strips") -> int:
    return len(strips.headings) - 1


def _beside_original(strips: "Strips", reading: int) -> "Strips":
    """Return the first reading, which is the original, and another one."""
    from classlab.drawing.blocks import Strips

    class_heading, original, *others = strips.headings
    rows = tuple((name, (row[0], row[reading])) for name, row in strips.rows)
    return Strips("The first training images of each class", (class_heading, original, others[reading - 1]), rows)

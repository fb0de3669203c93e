"""What the child process answers about datasets and their augmentations, and the lesson."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import lookup
from classlab.errors import UserError, did_you_mean, listing
from classlab.ui import opening

if TYPE_CHECKING:
    from classlab.data.dataset import Dataset

PAGES = Path(__file__).parent / "pages"
SAMPLES = 6  # of each class
DRAWS = 7  # times that an image is augmented
CLASSES_SHOWN = 20
AUGMENTED_IMAGES = 6


def published() -> list[str]:
    """Return the datasets that need no file of the reader's own."""
    return [name for name in lookup.names("dataset") if name not in opening.FILE_DATASETS]


@functools.lru_cache(maxsize=2)
def _dataset(name: str) -> "Dataset":
    from classlab.data.loading import prepare
    from classlab.experiment import Choice, Data

    if name not in published():
        raise UserError(
            f"there is no dataset {name}{did_you_mean(name, published()) or ';'} known: {listing(published())}"
        )
    return prepare(Data(dataset=Choice(name=name)))


def dataset(name: str) -> dict[str, Any]:
    """Return a dataset's facts and samples of each class as HTML, and the augmentations with their options."""
    import numpy as np

    from classlab.data.class_samples import samples
    from classlab.drawing import page
    from classlab.drawing.blocks import Fact, Facts, Strip, Strips
    from classlab.experiment import Choice, Data

    found = _dataset(name)
    channels, height, width = found.input_shape
    train = np.arange(len(found.labels))
    drawn = samples(found, train, Data(dataset=Choice(name=name)), SAMPLES, 0)
    rows = tuple(
        (label, (Strip(strips[0], f"{len(strips[0])} training images of class {label}"),))
        for label, strips in drawn.rows[:CLASSES_SHOWN]
    )
    facts = (
        Fact("One image", f"{height} × {width} pixels, {'grey' if channels == 1 else f'{channels} channels'}"),
        Fact("Images", f"{len(found.images):,} for training, {len(found.test_images):,} for the test"),
        Fact("Classes", f"{len(found.class_names)}: {listing(found.class_names)}"),
        Fact("Source", found.source),
        Fact("Licence", found.licence or "not stated"),
    )
    blocks = (Strips("The first training images of each class", ("class", "images"), rows), Facts(facts))
    return {"html": page.fragment(blocks, "dataset")}


@functools.cache
def _options() -> dict[str, dict[str, Any]]:
    """Return augmentation -> the JSON Schema of its options."""
    return {
        name: lookup.options_model("augmentation", lookup.find("augmentation", name)).model_json_schema()
        for name in lookup.names("augmentation")
    }


def augmentations() -> dict[str, Any]:
    """Return each augmentation: what it does, and its options with their limits, for sliders."""
    found = {}
    for name, schema in _options().items():
        words = (lookup.find("augmentation", name).__doc__ or "").partition("\n")[0].replace("`", "")
        found[name] = {"words": words, "options": schema.get("properties", {}), "required": schema.get("required", [])}
    return found


def augmented(name: str, choices: Sequence[Any], seed: int) -> dict[str, Any]:
    """Return images of a dataset as they are and as the network may meet them, by the functions that training uses.

    choices: augmentations with their options, as a file has them. Raises UserError with the sentence of the file.
    """
    import numpy as np
    import pydantic
    import torch

    from classlab.data.augment import augment, bind
    from classlab.drawing import page
    from classlab.drawing.blocks import Strip, Strips
    from classlab.drawing.thumbnails import as_pictures
    from classlab.experiment import Data
    from classlab.validation import sentence

    try:
        plan = Data(dataset={"name": name}, augmentations=list(choices))  # pyrefly: ignore[bad-argument-type]
    except pydantic.ValidationError as error:
        raise UserError(sentence(error, Data, "data")) from None
    found = _dataset(name)
    first = [int(np.flatnonzero(found.labels == label)[0]) for label in np.unique(found.labels)[:AUGMENTED_IMAGES]]
    pixels = torch.from_numpy(found.images[first])
    images = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    generator = torch.Generator().manual_seed(seed)
    functions = bind(plan.augmentations)
    draws = [images, *(augment(images, functions, generator) for _ in range(DRAWS))]
    pictures = [as_pictures((draw.numpy().clip(0, 1) * 255 + 0.5).astype(np.uint8)) for draw in draws]
    rows = tuple(
        (
            found.class_names[int(found.labels[index])],
            (Strip(np.stack([drawn[place] for drawn in pictures]), f"as it is, then {DRAWS} times as it may be met"),),
        )
        for place, index in enumerate(first)
    )
    stated = json.dumps([choice.model_dump(mode="json") for choice in plan.augmentations])
    caption = f"The first image of each class as it is, then as the network may meet it in {DRAWS} epochs"
    strips = Strips(caption, ("class", "as it is, then as it is met"), rows)
    return {"html": page.fragment([strips], "augmented"), "stated": stated}


def lesson(like: str) -> str:
    """Return the page of the hand-worked network in the lab's frame. like: whose numbers it starts from."""
    from classlab.lesson import small_network, walk_page

    settings = small_network.settings(like)
    return walk_page.html(small_network.build(like), settings["learning_rates"], settings["epochs"], PAGES)

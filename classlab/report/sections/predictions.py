"""Predictions: images that the network got wrong and right, and how sure it was."""

from typing import TYPE_CHECKING

import numpy as np

from classlab.drawing.blocks import Block, Column, Picture, Pictures, Section, Table, Tone, Words
from classlab.errors import UserError
from classlab.report import outcome, words
from classlab.report.outcome import PROBABILITY_LOSSES, Outcome
from classlab.report.pictures import as_pictures
from classlab.runs.finished import FinishedRun as Run

if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG, DOUBTED, RIGHT = 16, 8, 16
STEPS = (0.999, 0.99, 0.9, 0.5, 0.0)


def section(run: Run) -> Section | None:
    """Return galleries of wrong and right predictions with their confidence, or None without predictions."""
    result = outcome.of(run)
    if result is None:
        return None
    blocks: list[Block] = [Words(meaning(run)), _by_confidence(result)]
    try:
        images = run.dataset().test_images
    except UserError as error:
        blocks.append(Words(f"The images cannot be shown here: {error}."))
    else:
        blocks += _galleries(result, images)
    return Section("Predictions", tuple(blocks))


def meaning(run: Run) -> str:
    """Say what the confidence of a prediction is."""
    text = "The confidence of a prediction is the network's own: the softmax share of the class it answers."
    if run.experiment.training.loss.name not in PROBABILITY_LOSSES:
        text += (
            f" Training with {run.experiment.training.loss.name} does not make it a probability: read it as an order."
        )
    return text


def _by_confidence(result: Outcome) -> Table:
    rows = []
    upper = np.inf
    for lower in STEPS:
        inside = (result.confidence >= lower) & (result.confidence < upper)
        right = int(result.right[inside].sum())
        images = int(inside.sum())
        name = f"{100 * lower:g} % and more" if upper == np.inf else f"{100 * lower:g} to {100 * upper:g} %"
        rows.append((name, images, right, images - right, right / images if images else None))
        upper = lower
    columns = (
        Column("confidence"),
        Column("images", "count"),
        Column("right", "count"),
        Column("wrong", "count"),
        Column("accuracy", "percent"),
    )
    right = int(result.right.sum())
    total = ("together", len(result.labels), right, len(result.labels) - right, right / len(result.labels))
    return Table("confidence", "Is the network right as often as it is sure?", columns, tuple(rows), total)


def _galleries(result: Outcome, images: np.ndarray) -> list[Block]:
    return [*wrong(result, images), *doubted(result, images), *right(result, images)]


def wrong(result: Outcome, images: np.ndarray) -> list[Block]:
    """Return the wrong predictions, the surest first. images: the test set's, (count, channels, height, width)."""
    found = result.mistakes()
    if not len(found):
        return []
    which = f"the {WRONG} surest of {len(found):,}, the surest first" if len(found) > WRONG else "all, the surest first"
    return [_gallery("wrong", f"Wrong predictions: {which}", result, images, found[:WRONG], "bad")]


def doubted(result: Outcome, images: np.ndarray) -> list[Block]:
    """Return the right predictions that the network was least sure of."""
    found = np.flatnonzero(result.right)
    found = found[np.argsort(result.confidence[found], kind="stable")][:DOUBTED]
    if not len(found):
        return []
    caption = f"Right predictions that were in doubt: the {words.count(len(found), 'least sure one')}"
    return [_gallery("doubted", caption, result, images, found, "good")]


def right(result: Outcome, images: np.ndarray) -> list[Block]:
    """Return the first right predictions of the test set."""
    found = np.flatnonzero(result.right)[:RIGHT]
    if not len(found):
        return []
    return [_gallery("right", "Right predictions: the first of the test set", result, images, found, "good")]


def _gallery(
    name: str, caption: str, result: Outcome, images: np.ndarray, chosen: "Sequence[int] | np.ndarray", tone: Tone
) -> Pictures:
    pictures = as_pictures(images[chosen])
    return Pictures(
        caption,
        tuple(_picture(result, int(index), picture, tone) for index, picture in zip(chosen, pictures, strict=True)),
        name,
    )


def _picture(result: Outcome, index: int, image: np.ndarray, tone: Tone) -> Picture:
    predicted, true = (result.class_names[labels[index]] for labels in (result.predicted, result.labels))
    sure = words.percent(float(result.confidence[index]), 1)
    if sure == "100.0 %":
        sure = "> 99.9 %"
    lines = (f"predicted {predicted}", f"true {true}", f"{sure} sure")
    return Picture(image, f"Test image {index}: {', '.join(lines)}", lines, tone)

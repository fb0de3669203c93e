"""Galleries of predictions: test images with what the network says of them, and how sure it is."""

from collections.abc import Callable, Sequence

import numpy as np

from classlab.drawing.blocks import Block, Picture, Pictures, Tone, Words
from classlab.drawing.thumbnails import as_pictures
from classlab.report import outcome, protocol_notes, words
from classlab.report.material import Material, excused
from classlab.report.outcome import PROBABILITY_LOSSES, Outcome
from classlab.runs.finished import FinishedRun


def galleries(material: Material, sentence: str, draw: Callable[[Outcome, np.ndarray], list[Block]]) -> list[Block]:
    """Return, of the first run of each name, how many predictions are right and wrong, and what `draw` makes of them.

    sentence: with {right}, {wrong} and {all} for the counts. draw: takes the outcome and the test images, as the
    dataset has them, (count, channels, height, width).
    """

    def of_run(run: FinishedRun) -> list[Block]:
        result = outcome.of_run(run)
        if result is None:
            return material.lacking(f"There are no predictions to show: the run {run.sentence()}.")
        right, total = int(result.right.sum()), len(result.labels)
        counts = sentence.format(right=f"{right:,}", wrong=f"{total - right:,}", all=f"{total:,}")
        note = protocol_notes.sentence(protocol_notes.note(run.experiment))
        counts = f"{counts} {material.which(run)}".strip() + note
        return [Words(counts), Words(meaning(run)), *excused(lambda run: draw(result, run.dataset().test_images))(run)]

    return material.first_of_each(of_run)


def meaning(run: FinishedRun) -> str:
    """Say what the confidence of a prediction is."""
    text = "The confidence of a prediction is the network's own: the softmax output of the class it answers."
    if run.experiment.training.loss.name not in PROBABILITY_LOSSES:
        text += (
            f" Training with {run.experiment.training.loss.name} does not make it a probability: read it as an order."
        )
    return text


def gallery(
    name: str, caption: str, result: Outcome, images: np.ndarray, chosen: "Sequence[int] | np.ndarray", tone: Tone
) -> Pictures:
    """Return the chosen test images, each with the predicted and the true class and how sure the network was."""
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

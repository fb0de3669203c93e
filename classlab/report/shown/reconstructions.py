"""Reconstructions: test images, and noisy ones, beside what the network draws of them."""

from typing import TYPE_CHECKING

from classlab.drawing.blocks import Block, Words
from classlab.report import reconstructed, words
from classlab.report.of_parts import Runs, each_first
from classlab.report.published import Part
from classlab.report.sections import reconstruction
from classlab.runs.finished import FinishedRun as Run

if TYPE_CHECKING:
    from torch import Tensor


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the gallery, the error of each class, and how much of the noise is taken away."""
    return each_first(runs, _of_one)


def _of_one(run: Run) -> list[Block]:
    if not run.reconstructs or run.status == "diverged":
        return [Words(f"There is nothing drawn to show: {run.sentence()}.")]
    images = reconstructed.split_images(run, "test")
    readings = reconstruction.readings_of(run, images.batch(slice(None), [], None)[0], run.model())
    shown = reconstruction.gallery(run, readings, images.labels.numpy())
    told = [Words(_denoised(name, readings)) for name in list(readings)[1:]]
    return [shown, *told, reconstruction.errors(run, readings, images.labels)]


def _denoised(name: str, readings: "dict[str, tuple[Tensor, Tensor]]") -> str:
    """Say how much of the noise comes through: what it changes in the image, and what it changes in what is drawn."""
    (original, plain), (noisy, drawn) = readings["original"], readings[name]
    given, left = (float((one - other).double().square().mean()) for one, other in ((noisy, original), (drawn, plain)))
    through = words.percent(left / given, 0) if given else "none"
    verdict = "partly denoised" if left < given else "not denoised"
    return (
        f"{name.capitalize()} a test image changes by {given:.4f}, mean squared, and what is drawn of it by "
        f"{left:.4f}: {through} of the noise comes through, so the images come back {verdict}."
    )

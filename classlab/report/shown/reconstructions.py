"""Reconstructions: test images, and noisy ones, beside what the network draws of them."""

from classlab.drawing.blocks import Block, Words
from classlab.report import reconstructed
from classlab.report.of_parts import Runs, each_first
from classlab.report.published import Part
from classlab.report.sections import reconstruction
from classlab.runs.run import Run


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


def _denoised(name: str, readings: dict) -> str:
    """Say whether what is drawn of noisy images lies nearer to the clean ones than the noisy ones do."""
    (original, _), (noisy, drawn) = readings["original"], readings[name]
    moved, left = (float((images - original).double().square().mean()) for images in (noisy, drawn))
    opening = f"{name.capitalize()} an image lies {moved:.4f} from itself without it, and its reconstruction {left:.4f}"
    if left < moved:
        return f"{opening}: {100 * (1 - left / moved):.0f} % of that distance is taken away."
    return f"{opening}: nothing of that distance is taken away."

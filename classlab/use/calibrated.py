"""The calibration of a run: read from its folder, or fitted now where it was made before there was one."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from classlab.errors import UserError

if TYPE_CHECKING:
    import torch

    from classlab.runs.run import Run
    from classlab.training.calibration import Calibration

FILE = "calibration.safetensors"
BATCH = 1000


def calibration_of(run: "Run", network: "Callable[[np.ndarray], tuple[torch.Tensor, np.ndarray]]") -> "Calibration":
    """Return the calibration stored with the run, or fit it on the run's validation images.

    network: from images, float32 0…1, to normalised ones and logits. Raises UserError where the images are gone.
    """
    import torch

    from classlab.runs import store
    from classlab.training.calibration import calibrate, from_tensors
    from classlab.training.evaluate import Images

    if (run.path / FILE).exists():
        return from_tensors(store.read_checkpoint(run.path / FILE))
    try:
        dataset, split = run.dataset(), run.split()
    except UserError as error:
        raise UserError(f"{run.path} holds no {FILE}, and its images are needed to fit one: {error}") from None
    normalise = run.environment["normalise"]
    mean, std = (torch.tensor(normalise[key]).view(1, -1, 1, 1) for key in ("mean", "std"))

    def placed(index: list[int]) -> Images:
        pixels, labels = dataset.images[index], dataset.labels[index]
        return Images(torch.from_numpy(pixels), torch.from_numpy(labels), mean, std)

    train, kept = placed(split["train"]), bool(split["val"])
    seen = placed(split["val"]) if kept else placed(split["train"][:: max(1, len(split["train"]) // 5000)])
    scale = 255 if seen.pixels.dtype == torch.uint8 else 1
    parts = (seen.pixels[start : start + BATCH].float().numpy() / scale for start in range(0, len(seen), BATCH))
    logits = np.concatenate([network(part)[1] for part in parts])
    return calibrate(train, seen, logits, fit=kept)

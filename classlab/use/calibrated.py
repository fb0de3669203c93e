"""The calibration of a run: read from its folder, or fitted now where it was made before there was one."""

from typing import TYPE_CHECKING

from classlab.errors import UserError
from classlab.runs import store

if TYPE_CHECKING:
    from torch import nn

    from classlab.runs.finished import Run
    from classlab.training.calibration import Calibration


def calibration_of(run: "Run", model: "nn.Module") -> "Calibration":
    """Return the calibration stored with the run, or fit it on the run's validation images.

    model: the run's network, in evaluation mode. Raises UserError where the images are gone.
    """
    import torch

    from classlab.training.batches import Images
    from classlab.training.calibration import calibrate_network, from_tensors

    if (run.path / store.CALIBRATION).exists():
        return from_tensors(store.read_checkpoint(run.path / store.CALIBRATION))
    try:
        dataset, split = run.dataset(), run.split()
    except UserError as error:
        raise UserError(
            f"{run.path} holds no {store.CALIBRATION}, and its images are needed to fit one: {error}"
        ) from None
    normalise = run.environment["normalise"]
    mean, std = (torch.tensor(normalise[key]).view(1, -1, 1, 1) for key in ("mean", "std"))

    def placed(index: list[int]) -> Images:
        return Images(torch.from_numpy(dataset.images[index]), torch.from_numpy(dataset.labels[index]), mean, std)

    return calibrate_network(model, placed(split["train"]), placed(split["val"]))

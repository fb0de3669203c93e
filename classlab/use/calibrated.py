"""The calibration of a run: read from its folder, or fitted now where it was made before there was one."""

from typing import TYPE_CHECKING

from classlab.errors import UserError
from classlab.runs import store

if TYPE_CHECKING:
    from torch import nn

    from classlab.runs.finished import FinishedRun
    from classlab.training.calibration import Calibration


def calibration_of(run: "FinishedRun", model: "nn.Module") -> "Calibration":
    """Return the calibration stored with the run, or fit it on the run's validation images.

    model: the run's network, in evaluation mode. Raises UserError where the images are gone.
    """
    from classlab.training.calibration import calibrate_network, from_tensors

    if (run.path / store.CALIBRATION).exists():
        return from_tensors(store.read_checkpoint(run.path / store.CALIBRATION))
    try:
        train, val = run.images("train"), run.images("val")
    except UserError as error:
        raise UserError(
            f"{run.path} holds no {store.CALIBRATION}, and its images are needed to fit one: {error}"
        ) from None
    return calibrate_network(model, train, val)

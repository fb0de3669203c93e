"""What leaves the lab with a network, whatever the format: its weights, how images are prepared, what its outputs mean.

A format is one file of this folder with four functions, see export.FORMATS:

    engine() -> str                         what runs such a file, with its version
    write(carried, folder) -> Path          write the format's files into a folder, return the main file
    answers(file, carried, images) -> array the file's answers by its own engine; images float32 0…1, (count, *shape)
    layers(file, carried, images) -> list   (name, output) of each layer in order, to name the first one that differs
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.errors import UserError
from classlab.runs import store
from classlab.version import __version__

if TYPE_CHECKING:
    from torch import Tensor, nn

    from classlab.runs.finished import FinishedRun


@dataclass(frozen=True)
class Carried:
    """A run made ready to leave.

    shape: (channels, height, width). mean, std: of each channel, on the 0…1 scale. temperature: what logits are divided
    by before the softmax; 1 for a network that reconstructs images. recorded: the answers to the test images that the
    run stored, made in the run's own precision. advance: is told how many more images the network, and then a format's
    engine, has answered.
    """

    run: "FinishedRun"
    network: "nn.Module"
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    temperature: float
    least_lead: float
    recorded: np.ndarray
    advance: Callable[[float], None] = lambda images: None

    @property
    def name(self) -> str:
        """The name that the exported files have: the experiment's, as a file's name."""
        return file_name(self.run.experiment.name)

    @property
    def reconstructs(self) -> bool:
        """Whether the network reconstructs images; then it has no classes and no probabilities."""
        return self.run.reconstructs

    @cached_property
    def images(self) -> np.ndarray:
        """All test images, float32 on the 0…1 scale, (count, *shape)."""
        pixels = self.run.dataset().test_images
        return pixels.astype(np.float32) / 255 if pixels.dtype == np.uint8 else pixels.astype(np.float32)

    def normalised(self, images: np.ndarray) -> "Tensor":
        """Return images of the 0…1 scale as the network takes them, float32 (count, *shape)."""
        import torch

        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (torch.from_numpy(np.ascontiguousarray(images)) - mean) / std

    def batches(self, images: np.ndarray, size: int = 200) -> Iterator[np.ndarray]:
        """Yield the images in batches, for all of them at once would fill the memory of a network of convolutions."""
        for start in range(0, len(images), size):
            part = images[start : start + size]
            yield part
            self.advance(len(part))

    @cached_property
    def expected(self) -> np.ndarray:
        """The network's answers to all test images in fp32, which every format is compared with."""
        import torch

        with torch.no_grad():
            parts = [self.network(self.normalised(part)).numpy() for part in self.batches(self.images)]
        return np.concatenate(parts)

    @cached_property
    def weights_digest(self) -> str:
        """The SHA-256 over the names, types, shapes and bytes of all weights, in the order of their names."""
        from classlab.runs.start import digest

        return digest(self.network.state_dict())

    def document(self) -> dict[str, Any]:
        """Return what every format carries beside the network, as JSON has it."""
        return {
            "made_by": f"classlab {__version__}",
            "experiment": self.run.experiment.name,
            "seed": self.run.seed,
            "run": self.run.path.name,
            "weights_sha256": self.weights_digest,
            "input_shape": list(self.shape),
            "input_scale": "0 to 1",
            "mean": list(self.mean),
            "std": list(self.std),
            "polarity": "bright strokes on black"
            if self.run.environment["dataset"]["name"] in ("mnist", "digits")
            else "",
            "class_names": [] if self.reconstructs else list(self.class_names),
            "temperature": self.temperature,
        }


def carried(run: "FinishedRun") -> Carried:
    """Return what leaves with a run. Raises UserError for one that has not ended, or whose images are gone."""
    from classlab.use.calibrated import calibration_of

    if run.status == "incomplete":
        raise UserError(f"{run.path} is incomplete; continue with classlab run --resume, then export it")
    if not (run.path / store.PREDICTIONS).exists():
        raise UserError(f"{run.path} stored no answers to the test images, so that an export cannot be compared")
    network = run.built().float()
    environment = run.environment
    channels, height, width = environment["input_shape"]
    calibration = None if run.reconstructs else calibration_of(run, network)
    return Carried(
        run=run,
        network=network,
        shape=(channels, height, width),
        class_names=tuple(environment["class_names"]),
        mean=tuple(environment["normalise"]["mean"]),
        std=tuple(environment["normalise"]["std"]),
        temperature=calibration.temperature if calibration else 1.0,
        least_lead=calibration.least_lead if calibration else 0.0,
        recorded=run.logits("test"),
    )


def file_name(text: str) -> str:
    """Return a text as the name of a file that every system takes."""
    return re.sub(r"[^\w.-]+", "-", text).strip(".-")[:60] or "network"

"""A network together with its preparation, as the formats that hold a graph carry it: pixels in, answers out."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from classlab.use.export.layer_outputs import NORMALISATION, Outputs, named

if TYPE_CHECKING:
    from classlab.use.export.carried import Carried
    from classlab.use.export.layer_outputs import Met


class Normalisation(nn.Module):
    """Takes the mean from each pixel and divides by the standard deviation, channel by channel."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        # Named so that no operation has the same name: the graph of a network with a mean over its map has a `mean`.
        self.register_buffer("pixel_mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the 0…1 scale normalised, float32 (count, channels, height, width)."""
        return (images - self.pixel_mean) / self.pixel_std


class Packed(nn.Module):
    """Normalisation and network; for classes the logits, and the probabilities at the run's temperature beside them."""

    def __init__(self, carried: "Carried") -> None:
        super().__init__()
        self.normalisation = Normalisation(carried.mean, carried.std)
        self.network = carried.network
        self.temperature = None if carried.reconstructs else carried.temperature
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits and probabilities, (count, classes) each; of a reconstruction the network's output alone."""
        outputs = self.network(self.normalisation(images))
        if self.temperature is None:
            return (outputs,)
        return outputs, torch.softmax(outputs / self.temperature, dim=1)


def names(carried: "Carried") -> list[str]:
    """Return the names of what a packed network gives."""
    return ["output"] if carried.reconstructs else ["logits", "probabilities"]


def packed_layers(met: "list[Met]", paths: list[str]) -> Outputs:
    """Return the layers of a packed network under the names that they have in the network itself.

    met: what was computed, with places that begin with normalisation or network. paths: the network's leaves.
    """
    before = [result for path, _, result in met if path == "normalisation"]
    inside = [(path.removeprefix("network").lstrip("."), operation, result) for path, operation, result in met
              if path == "network" or path.startswith("network.")]  # fmt: skip
    return [(NORMALISATION, before[-1]), *named(inside, paths)] if before else named(inside, paths)

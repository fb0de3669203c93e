"""Calibration: probabilities that can be believed, and what a network has reason to be unsure of.

A network's softmax tends to be too sure. One number, the temperature by which its logits are divided, mends most of it
(C. Guo et al., On calibration of modern neural networks, 2017); it changes no answer. An image is unfamiliar where its
largest logit leads by less than nearly every validation image's, or where it lies farther from what the training
images' main directions can draw. Temperature and both limits come from the validation images, never of the test images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from classlab.training.batches import Images

SEEN = 5000  # training images that stand in where no validation images were kept
IMAGES = 10_000  # training images from which the main directions are taken
DIRECTIONS = 128  # at most
VARIANCE = 0.9  # of the training images' variance that the directions explain
# Of validation images, so many may fall outside each limit: together fewer than 1 of 200.
OUTSIDE = 0.002


@dataclass(frozen=True)
class Calibration:
    """What turns logits into answers.

    temperature: what logits are divided by. fitted: whether validation images gave it; otherwise it is 1.
    least_lead: below it the largest logit leads the mean by unusually little. most_strange: above it an image is
    unusually strange.
    mean, directions: (values,) and (directions, values) of normalised images, float32, orthonormal rows.
    """

    temperature: float
    fitted: bool
    least_lead: float
    most_strange: float
    mean: Tensor
    directions: Tensor

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float64, in the logits' shape (count, classes)."""
        with np.errstate(invalid="ignore"):  # weights that somebody edited may give infinite logits
            scaled = logits.astype(np.float64) / self.temperature
            shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            return shares / shares.sum(axis=1, keepdims=True)

    def strangeness(self, inputs: Tensor) -> np.ndarray:
        """Return how far each image is from what the main directions can draw, root mean square, float64 (count,).

        inputs: normalised images, (count, channels, height, width).
        """
        return strangeness(inputs, self.mean, self.directions)

    def unfamiliar(self, inputs: Tensor, logits: np.ndarray) -> np.ndarray:
        """Return which images the network has reason to be unsure of, bool (count,)."""
        return (lead(logits) < self.least_lead) | (self.strangeness(inputs) > self.most_strange)

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it as tensors, as a checkpoint stores them."""
        numbers = [self.temperature, float(self.fitted), self.least_lead, self.most_strange]
        return {
            "numbers": torch.tensor(numbers, dtype=torch.float64),
            "mean": self.mean.contiguous(),
            "directions": self.directions.contiguous(),
        }


def from_tensors(tensors: Mapping[str, Tensor]) -> Calibration:
    """Return what `tensors` gave, read back."""
    temperature, fitted, least_lead, most_strange = tensors["numbers"].tolist()
    return Calibration(temperature, bool(fitted), least_lead, most_strange, tensors["mean"], tensors["directions"])


def calibrate(train: Images, seen: Images, logits: np.ndarray, fit: bool = True) -> Calibration:
    """Return the calibration of a network.

    train: the images it was trained on. seen, logits: the validation images and its outputs for them,
    (count, classes). fit: False where no validation images were kept and training images take their place. The limits
    then come from images the network knows. The temperature stays 1, since on them every network is overconfident.
    """
    every = max(1, len(train.pixels) // IMAGES)
    mean, directions = main_directions(_normalised(train, slice(0, None, every)).flatten(1).cpu())
    labels = seen.labels.cpu().numpy()
    strange = [
        strangeness(_normalised(seen, slice(start, start + 2000)).cpu(), mean, directions)
        for start in range(0, len(seen.pixels), 2000)
    ]
    return Calibration(
        temperature=temperature(logits, labels) if fit else 1.0,
        fitted=fit,
        least_lead=float(np.quantile(lead(logits), OUTSIDE)),
        most_strange=float(np.quantile(np.concatenate(strange), 1 - OUTSIDE)),
        mean=mean,
        directions=directions,
    )


@torch.no_grad()
def calibrate_network(model: nn.Module, train: Images, val: Images) -> Calibration:
    """Return the calibration of a trained network, on the device of the images; it is left in evaluation mode.

    train: its training images. val: its validation images; where there are none, some of the training images stand in
    for the limits, and the temperature is 1.
    """
    model.eval()
    kept = len(val) > 0
    pixels = train.pixels[:: max(1, len(train.pixels) // SEEN)]
    seen = val if kept else Images(pixels, train.labels[: len(train.pixels)][:: max(1, len(train.pixels) // SEEN)],
                                   train.mean, train.std)  # fmt: skip
    parts = (seen.batch(slice(start, start + 1000), [], None)[0] for start in range(0, len(seen), 1000))
    logits = torch.cat([model(part.to(next(model.parameters()).dtype)).double().cpu() for part in parts]).numpy()
    return calibrate(train, seen, logits, fit=kept)


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature of least mean negative log-likelihood, or 1 where the gain is within what chance allows.

    logits: (count, classes). labels: (count,). The gain must exceed two standard errors of the mean of the images' own
    gains; otherwise another sample might as well have asked for the other direction.
    """
    from scipy.optimize import minimize_scalar

    logits = logits.astype(np.float64)
    if not np.isfinite(logits).all() or len(labels) < 2:
        return 1.0

    def mean_loss(log_temperature: float) -> float:
        return float(losses(logits / np.exp(log_temperature), labels).mean())

    found = float(np.exp(minimize_scalar(mean_loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))
    gains = losses(logits, labels) - losses(logits / found, labels)
    return found if gains.mean() > 2 * gains.std() / np.sqrt(len(gains)) else 1.0


def lead(logits: np.ndarray) -> np.ndarray:
    """Return by how much the largest logit exceeds the mean of all, (count,); log-probabilities give the same.

    Of logits that are not finite nothing leads: -inf.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        found = logits.max(axis=1) - logits.mean(axis=1)
    return np.where(np.isfinite(found), found, -np.inf)


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each image's negative log-likelihood."""
    from scipy.special import logsumexp

    return logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]


def main_directions(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (values,) and the orthonormal directions (directions, values) of the most variance.

    values: float32, (count, values). The same values give the same directions.
    """
    rows = values.float()
    mean = rows.mean(0)
    away = rows - mean
    with torch.random.fork_rng(devices=[]):  # the randomised method of Halko, Martinsson and Tropp, 2011
        torch.random.default_generator.manual_seed(0)
        _, sizes, found = torch.svd_lowrank(away, q=min(DIRECTIONS, *rows.shape), niter=3)
    shares = sizes.square().cumsum(0) / away.square().sum()  # NaN for images that are all the same
    needed = int((shares < VARIANCE).sum()) + 1
    return mean, found.T[:needed].contiguous()


def strangeness(inputs: Tensor, mean: Tensor, directions: Tensor) -> np.ndarray:
    """Return the root mean square of what the directions leave of each image; see Calibration.strangeness."""
    away = inputs.flatten(1).float().cpu() - mean
    left = away.square().sum(1) - (away @ directions.T).square().sum(1)
    return (left.clamp(min=0) / away.shape[1]).sqrt().double().numpy()


def _normalised(images: Images, index: slice) -> Tensor:
    """Return some of the images as the network is given them: neither augmented nor copied."""
    pixels = images.pixels[index]
    values = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    return ((values - images.mean) / images.std).float()

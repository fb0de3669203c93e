"""Evaluate a network on images: its outputs, the mean loss and the accuracy. Always in fp32."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from classlab.data.augment import Augmentation, augment
from classlab.data.expansion import Expansion

EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Images:
    """One split on the device.

    pixels: (count, channels, height, width), uint8, or float32 where the reader's own arrays are.
    labels: int64, (count,).
    mean, std: float32, (1, channels, 1, 1), on the 0…1 scale.
    expansion: makes each image stand for several copies; labels then holds every copy's, pixels each image once.
    """

    pixels: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    expansion: Expansion | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor | slice, augmentations: list[Augmentation], random: Generator | None) -> Tensor:
        """Return images `index`, augmented, then normalised: float32, (batch, channels, height, width)."""
        if self.expansion:
            places = torch.arange(len(self), device=self.labels.device)[index] if isinstance(index, slice) else index
            images = self.expansion.images(self.pixels, places)
        else:
            images = self.pixels[index]
            if images.dtype == torch.uint8:
                images = images.float().div_(255)
        if augmentations and random is not None:
            images = augment(images, augmentations, random)
        return (images - self.mean) / self.std


@dataclass(frozen=True)
class Evaluation:
    """What a network does on one split. outputs: float32, (count, classes)."""

    outputs: Tensor
    loss: float
    accuracy: float


@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: Images,
    loss_function: Callable[..., Tensor],
    augmentations: list[Augmentation] | None = None,
    random: Generator | None = None,
) -> Evaluation:
    """Return outputs, mean loss and accuracy in evaluation mode; the model's mode is put back as it was."""
    training = model.training
    model.eval()
    outputs = torch.cat([model(images.batch(part, augmentations or [], random)) for part in _parts(len(images))])
    model.train(training)
    outputs = outputs.float()
    loss = loss_function(outputs=outputs, targets=images.labels)
    correct = (outputs.argmax(1) == images.labels).sum()
    return Evaluation(outputs, float(loss), int(correct) / len(images))


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, EVALUATION_BATCH):
        yield slice(start, min(start + EVALUATION_BATCH, count))

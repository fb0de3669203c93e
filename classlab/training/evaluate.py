"""Evaluate a network on images: outputs, mean loss and accuracy. In fp32, or fp64 where that is what it trains in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from classlab.data.augment import Augmentation
from classlab.training.batches import Images

# What 1,000 images become inside a network of convolutions fits no processor's cache: 2 to 3 times slower
# (docs/log.md). Another device is kept waiting by small batches.
EVALUATION_BATCH, EVALUATION_BATCH_ELSEWHERE = 200, 2000


@dataclass(frozen=True)
class Evaluation:
    """What a network does on one split.

    outputs: float32 or float64, (count, classes), or the images' shape for reconstruction, where correct is None.
    """

    outputs: Tensor
    loss: float
    correct: int | None


@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: Images,
    loss_function: Callable[..., Tensor],
    reconstructs: bool = False,
    augmentations: list[Augmentation] | None = None,
    random: Generator | None = None,
    answer: Callable[[Tensor], Tensor] | None = None,
) -> Evaluation:
    """Return outputs, mean loss and the number of right answers, in evaluation mode; the mode is put back after.

    answer: returns the network's outputs for a batch of images; None: the network itself.
    """
    answer = answer or model
    training = model.training
    model.eval()
    parts, answers, losses = list(_parts(images)), [], []
    for part in parts:
        inputs, clean = images.batch(part, augmentations or [], random)
        answers.append(answer(inputs))
        losses.append(loss_function(outputs=answers[-1], targets=images.labels[part], inputs=inputs, clean=clean))
    model.train(training)
    outputs = torch.cat(answers)
    # Read back once, at the end: each reading would wait for the device.
    means = torch.stack(losses).tolist()
    total = sum(mean * (part.stop - part.start) for mean, part in zip(means, parts, strict=True))
    correct = None if reconstructs else int((outputs.argmax(1) == images.labels).sum())
    return Evaluation(outputs, total / len(images), correct)


def _parts(images: Images) -> Iterator[slice]:
    size = EVALUATION_BATCH if images.labels.device.type == "cpu" else EVALUATION_BATCH_ELSEWHERE
    for start in range(0, len(images), size):
        yield slice(start, min(start + size, len(images)))

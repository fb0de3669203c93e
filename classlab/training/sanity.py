"""Three questions worth asking of a network before it is trained, answered on made-up images in seconds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classlab.experiment import Choice
from classlab.network.layer_table import layer_table
from classlab.network.reconstruction import reachable
from classlab.training import choices
from classlab.training.task import reconstructs

BATCH = 32
STEPS = 400
LEARNING_RATE = 0.002
NEAR = 0.5  # how far the first loss may be from ln(classes), as a share of it
FITTED = 0.25  # of the first reconstruction error above the lowest that the output can reach


@dataclass(frozen=True)
class Finding:
    """One question's answer. measured: the number it rests on."""

    question: str
    passed: bool
    measured: float
    sentence: str


def sanity(
    model: nn.Module, input_shape: tuple[int, int, int], classes: int, loss: Choice, seed: int = 0
) -> list[Finding]:
    """Return the answers for a network with its initial weights, which are changed by the last question.

    Is the first loss near ln(classes), that of a guess (asked of cross_entropy and nll)? Do gradients reach every
    parameter that is to be trained? Can one batch be memorised? The images are smooth random patterns about as
    large as normalised ones, (32, *input_shape), their classes are drawn at random.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        images = _patterns(input_shape)
        targets = torch.randint(classes, (BATCH,))
        model.train()
        value, _ = _loss(model, images, targets, loss)
        value.backward()
        first = float(value.detach())
        findings = []
        if loss.name in {"cross_entropy", "nll"}:
            findings.append(_first_loss(first, classes))
        findings.append(_gradients(model))
        fit = _fit_images if reconstructs(loss) else _fit_classes
        return [*findings, fit(model, images, targets, loss)]


def _patterns(input_shape: tuple[int, int, int]) -> Tensor:
    """Return random patterns coarse enough that networks which average over the whole image can tell them apart."""
    channels, height, width = input_shape
    coarse = torch.randn(BATCH, channels, 4, 4)
    smooth = F.interpolate(coarse, (height, width), mode="bilinear")
    return smooth / smooth.std() + 0.1 * torch.randn(BATCH, channels, height, width)


def _loss(model: nn.Module, images: Tensor, targets: Tensor, loss: Choice) -> tuple[Tensor, Tensor]:
    outputs = model(images)
    handed: dict[str, Any] = {"outputs": outputs, "targets": targets, "inputs": images, "clean": images}
    return choices.loss(loss)(**handed), outputs


def _first_loss(first: float, classes: int) -> Finding:
    guess = math.log(classes)
    near = abs(first - guess) <= NEAR * guess
    word = "near" if near else "far from"
    sentence = f"the first loss is {first:.3f}, {word} ln({classes}) = {guess:.3f}, the loss of a guess"
    if not near:
        sentence += "; the initial weights make it sure of wrong answers"
    return Finding("first_loss", near, first, sentence)


def _gradients(model: nn.Module) -> Finding:
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    unreached = [name for name, gradient in gradients.items() if gradient is None or not bool(gradient.any())]
    broken = [
        name for name, gradient in gradients.items() if gradient is not None and not bool(gradient.isfinite().all())
    ]
    if broken:
        sentence = f"the gradient of {broken[0]} is not finite"
    elif unreached:
        others = f" and {len(unreached) - 1} more" if len(unreached) > 1 else ""
        sentence = f"no gradient reaches {unreached[0]}{others}"
    else:
        sentence = f"gradients reach all {len(gradients)} parameter tensors"
    return Finding("gradients", not broken and not unreached, float(len(gradients) - len(unreached)), sentence)


def _fit_classes(model: nn.Module, images: Tensor, targets: Tensor, loss: Choice) -> Finding:
    right = 0
    for step, outputs in _steps(model, images, targets, loss):
        right = max(right, int((outputs.argmax(1) == targets).sum()))
        if right == BATCH:
            sentence = f"a batch of {BATCH} images is memorised in {step} steps"
            return Finding("overfit", True, 1.0, sentence)
    sentence = f"a batch of {BATCH} images is not memorised in {STEPS} steps: at best {right} of them are right"
    return Finding("overfit", False, right / BATCH, sentence)


def _fit_images(model: nn.Module, images: Tensor, targets: Tensor, loss: Choice) -> Finding:
    """What the output cannot reach, such as what is below zero for a ReLU, counts for nothing here."""
    channels, height, width = images.shape[1:]
    low, high = reachable(layer_table(model, (channels, height, width)))
    first = error = math.inf
    for step, outputs in _steps(model, images, targets, loss):
        error = float(F.mse_loss(outputs, images.clamp(low, high)))
        first = error if step == 0 else first
        if error <= FITTED * first:
            sentence = (
                f"a batch of {BATCH} images is reconstructed in {step} steps: error {first:.3f}, then {error:.3f}"
            )
            return Finding("overfit", True, error, sentence)
    sentence = f"a batch of {BATCH} images is not reconstructed in {STEPS} steps: error {first:.3f}, then {error:.3f}"
    return Finding("overfit", False, error, sentence)


def _steps(model: nn.Module, images: Tensor, targets: Tensor, loss: Choice) -> Iterator[tuple[int, Tensor]]:
    """Train on the one batch; yield the step's number and its outputs, before its update."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=LEARNING_RATE)
    for step in range(STEPS + 1):
        value, outputs = _loss(model, images, targets, loss)
        yield step, outputs.detach()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()

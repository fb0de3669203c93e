"""Losses. Every public function is one: the mean over a batch, as a scalar tensor.

outputs: float32, (batch, classes), what the network returns. targets: int64, (batch,).
A loss that asks for inputs and clean instead of targets is one for reconstruction. All three then have the images'
shape, (batch, channels, height, width). inputs: what the network was given. clean: the same images without noise.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor


def cross_entropy(
    outputs: Tensor, targets: Tensor, label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
) -> Tensor:
    """-log softmax(outputs)[target]; smoothing spreads that share of the target evenly over all classes."""
    return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)


def nll(outputs: Tensor, targets: Tensor) -> Tensor:
    """-outputs[target], for a network that ends in log-softmax; then it is the cross-entropy."""
    return F.nll_loss(outputs, targets)


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of the outputs, as they are, from 1 at the target and 0 elsewhere, mean over all of them."""
    classes = torch.arange(outputs.shape[1], device=outputs.device)
    one_hot = targets[:, None] == classes
    return F.mse_loss(outputs, one_hot.to(outputs.dtype))


def reconstruction(outputs: Tensor, inputs: Tensor, clean: Tensor, denoise: bool = False) -> Tensor:
    """Squared difference between the output and the input, or with `denoise` the clean image, mean over all pixels."""
    return F.mse_loss(outputs, clean if denoise else inputs)

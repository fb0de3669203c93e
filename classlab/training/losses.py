"""Losses. Every public function is one: the mean over a batch, as a scalar tensor.

outputs: float32, (batch, classes), what the network returns. targets: int64, (batch,).
"""

from typing import Annotated

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

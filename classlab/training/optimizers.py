"""Optimizers. Every public function is one: it returns a torch.optim.Optimizer over the parameters."""

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from classlab.errors import UserError
from classlab.training.orthogonal_steps import OrthogonalSteps

Rate = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


def sgd(
    parameters: Iterable[nn.Parameter],
    learning_rate: Rate,
    momentum: Share = 0.0,
    nesterov: bool = False,
    weight_decay: Rate = 0.0,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent. Raises UserError for Nesterov's form without momentum."""
    if nesterov and momentum == 0:
        raise UserError("optimizer sgd: nesterov needs momentum above 0, got 0")
    return torch.optim.SGD(
        parameters,
        lr=learning_rate,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        fused=True,
    )


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: Rate = 0.001,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    weight_decay: Rate = 0.0,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2015); weight decay is added to the gradient."""
    return torch.optim.Adam(parameters, lr=learning_rate, betas=(beta1, beta2), weight_decay=weight_decay, fused=True)


def adamw(
    parameters: Iterable[nn.Parameter],
    learning_rate: Rate = 0.001,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    weight_decay: Rate = 0.01,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019): Adam whose weight decay does not pass through the gradient."""
    return torch.optim.AdamW(parameters, lr=learning_rate, betas=(beta1, beta2), weight_decay=weight_decay, fused=True)


def rmsprop(
    parameters: Iterable[nn.Parameter],
    learning_rate: Rate = 0.01,
    smoothing: Share = 0.99,
    momentum: Share = 0.0,
    weight_decay: Rate = 0.0,
) -> torch.optim.Optimizer:
    """RMSprop (Hinton, lecture 6 of his 2012 course): each step divided by a running root mean square of gradients."""
    return torch.optim.RMSprop(
        parameters, lr=learning_rate, alpha=smoothing, momentum=momentum, weight_decay=weight_decay
    )


def muon(
    parameters: Iterable[nn.Parameter],
    learning_rate: Rate = 0.02,
    momentum: Share = 0.95,
    nesterov: bool = True,
    weight_decay: Rate = 0.0,
    adamw_learning_rate: Rate = 0.001,
) -> torch.optim.Optimizer:
    """Muon (Jordan et al., 2024) for the matrices and kernels, AdamW for all else and for the last of them.

    The last is the output layer's, whose rows are no directions to be made orthogonal. Both rates follow the schedule,
    and both decay alike.
    """
    return OrthogonalSteps(
        list(parameters),
        lr=learning_rate,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        adamw_ratio=adamw_learning_rate / learning_rate if learning_rate else 0.0,
    )

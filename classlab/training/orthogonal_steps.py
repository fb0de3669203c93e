"""Muon: momentum whose steps are made orthogonal, kernel by kernel; AdamW for the rest, in the same optimizer."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# Five steps of the Newton-Schulz iteration with these coefficients bring all singular values to between 0.7 and 1.2
# (Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024).
COEFFICIENTS, ITERATIONS, LEAST_NORM = (3.4445, -4.7750, 2.0315), 5, 1e-7
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of AdamW


class OrthogonalSteps(Optimizer):
    """Parameters of two or more dimensions by Muon, but the last of them; all others by AdamW.

    A kernel (outputs, inputs, height, width) counts as the matrix (outputs, all else). adamw_ratio: AdamW's learning
    rate, times lr. It is one group in the order given, so that a state is kept by the parameters' places.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], **options: Any) -> None:
        super().__init__(parameters, options)
        matrices = [weight for weight in self.param_groups[0]["params"] if weight.ndim >= 2]
        self.orthogonal = {id(weight) for weight in matrices[:-1]}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyrefly: ignore[bad-override]
        """Make one step by the gradients that are there."""
        group = self.param_groups[0]
        for weight in group["params"]:
            if weight.grad is None:
                continue
            if id(weight) in self.orthogonal:
                _muon(weight, weight.grad, self.state[weight], group)
            else:
                _adamw(weight, weight.grad, self.state[weight], group)


def _muon(weight: Tensor, gradient: Tensor, kept: dict[str, Tensor], group: dict[str, Any]) -> None:
    mean = kept.setdefault("momentum_buffer", torch.zeros_like(weight))
    mean.lerp_(gradient, 1 - group["momentum"])
    direction = gradient.lerp(mean, group["momentum"]) if group["nesterov"] else mean
    step = orthogonal(direction.flatten(1)).view(weight.shape)
    size = math.sqrt(max(1.0, len(weight) / (weight.numel() / len(weight))))
    weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step, alpha=group["lr"] * size)


def _adamw(weight: Tensor, gradient: Tensor, kept: dict[str, Tensor], group: dict[str, Any]) -> None:
    """AdamW (Loshchilov and Hutter, 2019)."""
    rate = group["lr"] * group["adamw_ratio"]
    mean = kept.setdefault("exp_avg", torch.zeros_like(weight))
    square = kept.setdefault("exp_avg_sq", torch.zeros_like(weight))
    steps = kept.setdefault("step", torch.zeros(()))
    steps.add_(1)
    mean.lerp_(gradient, 1 - BETAS[0])
    square.lerp_(gradient * gradient, 1 - BETAS[1])
    root = square.div(1 - BETAS[1] ** steps.item()).sqrt_().add_(EPSILON)
    weight.mul_(1 - rate * group["weight_decay"])
    weight.addcdiv_(mean, root, value=-rate / (1 - BETAS[0] ** steps.item()))


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about U V^T of the matrix's singular value decomposition U S V^T, by the Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    wide = matrix.T if len(matrix) > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=LEAST_NORM)
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.T if len(matrix) > matrix.shape[1] else wide

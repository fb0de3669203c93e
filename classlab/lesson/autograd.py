"""The bridge: the same network in PyTorch, autograd's gradients beside the hand-written ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classlab.errors import UserError
from classlab.lesson import quantities
from classlab.lesson.small_network import Network, check_epochs, descend

if TYPE_CHECKING:
    import torch

AGREE_WITHIN = 1e-12
MOST_PAIRS = 500_000


@dataclass(frozen=True)
class Pair:
    """One number by hand and by autograd. name: ∂E/∂w1 …, or E_tot."""

    epoch: int
    name: str
    by_hand: float
    by_autograd: float

    @property
    def difference(self) -> float:
        """The absolute difference."""
        return abs(self.by_hand - self.by_autograd)


def compare(network: Network, learning_rate: float, epochs: int) -> list[Pair]:
    """Return the error and every gradient of each epoch, by hand and by autograd in float64. Raises UserError."""
    check_epochs(epochs)
    parameters = len(quantities.parameters(quantities.shape_of(network)))
    if epochs * (parameters + 1) > MOST_PAIRS:
        raise UserError(
            f"up to {MOST_PAIRS:,} numbers are compared; {parameters + 1:,} in each of {epochs:,} epochs are more: "
            f"fewer epochs"
        )
    pairs: list[Pair] = []
    for number, row in enumerate(descend(network, learning_rate, epochs), 1):
        by_hand = quantities.values(row)
        by_autograd = _autograd(row.network)
        pairs += [Pair(number, name, by_hand[name], value) for name, value in by_autograd.items()]
    return pairs


def _autograd(network: Network) -> dict[str, float]:
    import torch

    weights = [torch.tensor(weights, requires_grad=True) for weights in network.weights]
    biases = [torch.tensor(biases, requires_grad=True) for biases in network.biases or ()]
    error = _error(network, weights, biases)
    error.backward()
    numbers = {quantities.TOTAL: error.item()}
    for name, (layer, j, k) in quantities.parameters(quantities.shape_of(network)).items():
        gradient = biases[layer - 1].grad if k is None else weights[layer - 1].grad
        assert gradient is not None, "backward() reaches every parameter"
        numbers[f"∂E/∂{name}"] = float(gradient[j] if k is None else gradient[j, k])
    return numbers


def _error(network: Network, weights: "list[torch.Tensor]", biases: "list[torch.Tensor]") -> "torch.Tensor":
    """The forward pass as a PyTorch user writes it."""
    import torch
    import torch.nn.functional as F

    hidden = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[network.hidden]
    x, targets = torch.tensor(network.inputs), torch.tensor(network.targets)
    for layer, weight in enumerate(weights):
        x = F.linear(x, weight, biases[layer] if biases else None)
        if layer < len(weights) - 1:
            x = hidden(x)
    if network.loss == "cross_entropy":
        if network.output == "softmax":
            return -(targets * F.log_softmax(x, dim=1)).sum(dim=1).mean()
        return F.binary_cross_entropy_with_logits(x, targets, reduction="none").sum(dim=1).mean()
    outputs = torch.sigmoid(x) if network.output == "sigmoid" else torch.softmax(x, dim=1)
    return (0.5 * (targets - outputs) ** 2).sum(dim=1).mean()

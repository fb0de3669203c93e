"""What an epoch leaves to the next: weights, the optimizer's tensors, and what was measured so far.

Nothing else: all randomness is derived from the seed and the epoch, so that no random state is kept.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

State = dict[str, Tensor]


@dataclass(frozen=True)
class Past:
    """What the epochs done leave to the next: the best metric and its epoch, and the watched loss of every epoch."""

    best: float = -math.inf
    best_epoch: int = 0
    losses: tuple[float, ...] = ()


def capture(model: nn.Module, optimizer: Optimizer, past: Past) -> State:
    """Return copies, on the CPU, of the weights, the optimizer's tensors by place among the parameters, and the past.

    Names: model.<name in the state_dict>, optimizer.<place>.<slot>, best (metric and epoch) and losses, both float64.
    Where averages of weights are evaluated, model.<name> are those: training.weight_averages adds what is trained.
    """
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    for place, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if value is not None:
                state[f"optimizer.{place}.{slot}"] = torch.as_tensor(value)
    state["best"] = torch.tensor([past.best, past.best_epoch], dtype=torch.float64)
    state["losses"] = torch.tensor(past.losses, dtype=torch.float64)
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}


def restore(model: nn.Module, optimizer: Optimizer, state: State) -> Past:
    """Put a captured state back into the model and the optimizer, and return its past."""
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    model.load_state_dict(weights)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.startswith("optimizer."):
            _, place, slot = name.split(".", 2)
            # A fused update walks weights and slots side by side, so a slot must lie in memory as its weights do.
            like = parameters[int(place)]
            value = torch.empty_like(like).copy_(value) if value.shape == like.shape else value.clone()
            slots.setdefault(int(place), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    best, best_epoch = state["best"].tolist()
    return Past(best, int(best_epoch), tuple(state["losses"].tolist()))

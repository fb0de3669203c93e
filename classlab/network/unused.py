"""The layers of a network that no image reaches: forgotten ones, and ones that run in training only."""

import copy
import io
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.modules.loss import _Loss

from classlab.network.trace import Trace, blank, is_layer


@dataclass(frozen=True)
class Unused:
    """A layer, or a bare parameter (kind: Parameter), that an image does not meet in evaluation.

    parameters: how many numbers it holds that nothing else uses. in_training: it runs while the network trains.
    """

    name: str
    kind: str
    parameters: int
    in_training: bool = False


def unused(model: nn.Module, met: Trace, input_shape: tuple[int, int, int]) -> tuple[Unused, ...]:
    """Return what of the model the images of a trace did not meet, in the model's order.

    A layer whose weights are used is met, be it that only they are, as in `F.linear(x, self.embedding.weight)`.
    """
    model = getattr(model, "_orig_mod", model)
    used = {id(parameter) for step in met.steps for parameter in step.parameters}
    found = list(_not_met(model, met.entered, used))
    trained = _entered_in_training(model, input_shape) if found else set()
    return tuple(replace(part, in_training=part.name in trained) for part in found)


def _not_met(model: nn.Module, entered: set[int], used: set[int]) -> Iterator[Unused]:
    layers: list[str] = []
    for path, module in model.named_modules():
        if any(path.startswith(f"{layer}.") for layer in layers):
            continue  # a part of one of torch's layers, which has a row for all of them
        if isinstance(module, torch.jit.ScriptModule | _Loss):
            continue
        if is_layer(module):
            layers.append(path)
        holds = dict(module.named_parameters(path, recurse=is_layer(module)))
        free = {name: parameter for name, parameter in holds.items() if id(parameter) not in used}
        used = used | {id(parameter) for parameter in free.values()}
        holder = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
        whole = is_layer(module) or not (holder or list(module.children()))
        if whole and id(module) not in entered and len(free) == len(holds):
            yield Unused(path, type(module).__name__, sum(parameter.numel() for parameter in free.values()))
        else:
            yield from (Unused(name, "Parameter", parameter.numel()) for name, parameter in free.items())


def _entered_in_training(model: nn.Module, input_shape: tuple[int, int, int]) -> set[str]:
    """Return the names of the modules that run in training mode, as far as a copy of the model can say."""
    entered: set[str] = set()
    with (
        suppress(Exception),  # a reader's network may do anything, and this is a question aside
        redirect_stdout(io.StringIO()),
        warnings.catch_warnings(action="ignore"),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
    ):
        network = copy.deepcopy(model).train()
        for path, module in network.named_modules():
            module.register_forward_pre_hook(lambda *_, path=path: entered.add(path))
        network(blank(network, input_shape))
    return entered

"""Initial weights. Every public function is an initialisation: it fills a module's parameters in place."""

import torch
from torch import nn


def default(module: nn.Module, generator: torch.Generator) -> None:
    """Torch's own initialisation: every layer's `reset_parameters`, drawn from `generator`'s seed."""
    for layer in module.modules():
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()


def keep(module: nn.Module, generator: torch.Generator) -> None:
    """Leave the weights as the module was given, for example to go on from trained ones."""

"""What each module of a network gives, seen while the network runs once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def see_outputs(model: nn.Module, images: Tensor, see: Callable[[str, nn.Module, Tensor], None]) -> None:
    """Run the model without gradients; call `see(path, module, output)` after each module that gives one tensor.

    images: as the model takes them, normalised. An in-place layer may change an output afterwards: copy what is kept.
    """

    def hook(path: str) -> Any:
        return lambda module, given, output: see(path, module, output) if isinstance(output, Tensor) else None

    hooks = [module.register_forward_hook(hook(path)) for path, module in model.named_modules()]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for placed in hooks:
            placed.remove()

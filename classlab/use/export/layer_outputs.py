"""What each layer of a network gives, by the operations that torch records: to name the first layer that differs.

Every format's own engine gives the same list under the same names, so that two of them can be held side by side.
"""

import contextlib
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

NORMALISATION = "the normalisation"  # the name of what comes before the first layer
Outputs = list[tuple[str, np.ndarray]]
Met = tuple[str, str, Any]  # where in the network, the operation's name, its result or a name for that


def recorded(network: "nn.Module", images: "torch.Tensor") -> "torch.export.ExportedProgram":
    """Return the network's operations as torch records them, for any number of images.

    images: as the network takes them, (count, channels, height, width), two or more. Raises UserError for a network
    whose way depends on the values that it computes, or that takes one number of images alone.
    """
    import torch

    try:
        return torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("count")},))
    except Exception as error:  # torch raises many kinds, also out of the reader's own code
        raise UserError(
            f"torch cannot record what this network does, so it is not exported: {first_line(error)}"
        ) from None


def layer_outputs(program: "torch.export.ExportedProgram", images: "torch.Tensor", leaves: Iterable[str]) -> Outputs:
    """Return (name, output) of each layer, float32 or float64, in the order in which they are met.

    leaves: the paths of the layers of torch.nn; what else is computed is named after the module that computes it.
    """
    return named(met(program, images), leaves)


def met(program: "torch.export.ExportedProgram", images: "torch.Tensor") -> list[Met]:
    """Return what each operation gives, as far as the program runs."""
    import torch

    found: list[Met] = []

    class Recorder(torch.fx.Interpreter):
        """Runs the operations one by one and keeps what each gives."""

        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            if n.op == "call_function" and isinstance(result, torch.Tensor) and result.is_floating_point():
                operation = str(n.target).removeprefix("aten.").split(".")[0]
                # An operation in place changes the tensor that the one before gave, hence the copy.
                found.append((where(n), operation, result.detach().clone().numpy()))
            return result

    with torch.no_grad(), contextlib.suppress(RuntimeError, ValueError):
        Recorder(program.module()).run(images)
    return found


def where(node: "torch.fx.Node") -> str:
    """Return the path of the module that a recorded operation belongs to, as torch names a module's parts."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return stack[-1][0] if stack else ""


def named(met: Sequence[Met], leaves: Iterable[str]) -> list[tuple[str, Any]]:
    """Return (name, result) of each layer met: of a layer of torch.nn the last thing that it gives.

    A layer met again has a number behind its name.
    """
    paths, found, seen = set(leaves), [], dict[str, int]()
    for place, (path, operation, result) in enumerate(met):
        after = met[place + 1][0] if place + 1 < len(met) else None
        if path in paths and after == path:
            continue
        name = path if path in paths else f"{path}.{re.sub(r'_?(_[0-9]+)?$', '', operation)}".lstrip(".")
        seen[name] = seen.get(name, 0) + 1
        found.append((name if seen[name] == 1 else f"{name} ({seen[name]})", result))
    return found


def leaves(network: "nn.Module") -> list[str]:
    """Return the paths of the network's layers of torch.nn."""
    from classlab.network.trace import is_layer

    return [path for path, module in network.named_modules() if path and is_layer(module)]


def first_line(error: BaseException | str) -> str:
    """Return what an error says, in one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]

"""Starting weights: those that another run selected, put into a new network before it trains."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from classlab import files, limits
from classlab.data.tensors import read_tensors
from classlab.errors import UserError
from classlab.experiment import Start
from classlab.models.make import part_of
from classlab.runs import store
from classlab.yaml_text import read_yaml

if TYPE_CHECKING:
    from torch import Tensor, nn


def take_over(network: "nn.Module", start: Start) -> str:
    """Put the selected weights of a run into a part of `network`, or into all of it; return their SHA-256.

    Raises UserError where the run has no such weights.
    """
    part = part_of(network, start.layers)
    state = part.state_dict()
    stored = _selected(start)
    for name in [*state, *stored]:
        if name not in stored or name not in state or stored[name].shape != state[name].shape:
            shapes = [tuple(known[name].shape) if name in known else "absent" for known in (stored, state)]
            what = start.layers or "network"
            raise UserError(
                f"training.start_from: the {what} of {start.run} is another one than this experiment's: "
                f"{name} is {shapes[0]} there, {shapes[1]} here"
            )
    part.load_state_dict(stored)
    freeze(network, start)
    return digest(stored)


def freeze(network: "nn.Module", start: Start | None) -> None:
    """Let what is taken over ask for no gradients, where the experiment says so."""
    if start is not None and start.freeze:
        part_of(network, start.layers).requires_grad_(False)


def digest(state: "dict[str, Tensor]") -> str:
    """Return the SHA-256 of weights, by name."""
    sha = hashlib.sha256()
    for name, value in sorted(state.items()):
        sha.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        sha.update(value.contiguous().numpy().tobytes())
    return sha.hexdigest()


def _selected(start: Start) -> "dict[str, Tensor]":
    """Return the weights in the checkpoint that the run's protocol selects; its experiment is read, and not resolved.

    To make an Experiment of it would ask for the code that it may name, and only its weights are wanted.
    """
    run, prefix = Path(start.run), f"model.{start.layers}." if start.layers else "model."
    try:
        document = read_yaml(run / store.EXPERIMENT)
    except files.MissingFile:
        raise UserError(f"training.start_from must be a run folder, and {run} holds no {store.EXPERIMENT}") from None
    protocol = document.get("protocol") if isinstance(document, dict) else None
    select = protocol.get("select", "last") if isinstance(protocol, dict) else "last"
    file = store.selected(run, str(select))
    if not (run / store.SUMMARY).exists():  # its weights are those of some epoch on the way
        raise UserError(f"training.start_from: {run} has no {store.SUMMARY}: that run did not finish")
    try:
        found = read_tensors(file, lambda name: name.startswith(prefix), 8 * limits.PARAMETERS)
    except files.MissingFile:
        raise UserError(f"training.start_from: {run} has no {file.name}: that run did not finish") from None
    return {name.removeprefix(prefix): value for name, value in found.items()}

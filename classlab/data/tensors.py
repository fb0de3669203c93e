"""Tensors in a safetensors file: what is wanted of them, within a limit. Nothing in such a file is ever executed."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from classlab import files, limits
from classlab.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}


def read_tensors(
    path: Path, wanted: Callable[[str], bool] = lambda name: True, most: int = limits.CHECKPOINT_BYTES
) -> "dict[str, Tensor]":
    """Return the tensors of a file whose names are wanted.

    Raises MissingFile, and UserError where the file is not a complete safetensors file, or where the wanted tensors
    together have more than `most` bytes, before any of them is read.
    """
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        with safe_open(path, framework="pt") as stored:
            names = sorted(name for name in stored.keys() if wanted(name))  # noqa: SIM118 - no mapping
            slices = {name: stored.get_slice(name) for name in names}
            sizes = (BYTES.get(part.get_dtype(), 1) * math.prod(part.get_shape()) for part in slices.values())
            total = sum(sizes)
            if total > most:
                raise UserError(f"{path} holds tensors of {total:,} bytes, and at most {most:,} are read here")
            # Copies, since the file stays mapped as long as a tensor refers to it.
            return {name: stored.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise UserError(f"{path} is not a whole safetensors checkpoint ({files.reason(error)})") from None


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts that a file carries beside its tensors. Raises as read_tensors does."""
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        with safe_open(path, framework="pt") as stored:
            return dict(stored.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a whole safetensors checkpoint ({files.reason(error)})") from None


def _check_header(path: Path) -> None:
    """Raise UserError for a file that is not regular, or whose table of tensors is itself too large to read."""
    with files.opened(path) as file:
        length = int.from_bytes(file.read(8), "little")
    if length > limits.HEADER_BYTES:
        raise UserError(f"{path} is not a whole safetensors checkpoint (its table of tensors has {length:,} bytes)")
